//! Dynamic string tokens: `$ORIGIN`, `$LIB`, `$PLATFORM` (glibc elf/dl-load.c,
//! `_dl_dst_substitute`).

/// What `$LIB` stands for in Debian's multiarch glibc.
const LIB: &[u8] = b"lib/x86_64-linux-gnu";
/// What `$PLATFORM` stands for. glibc up to 2.36 says `haswell` or `xeon_phi`
/// on some processors; a table must be right on all, so only the common value
/// is used.
const PLATFORM: &[u8] = b"x86_64";

/// Expands the tokens of `text`, which an object in the folder `origin` holds.
/// Unknown tokens stay as they are, as in ld.so.
pub(super) fn expand(text: &[u8], origin: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let known = (byte == b'$').then(|| token(tail, origin)).flatten();
        rest = match known {
            Some((value, after)) => {
                out.extend_from_slice(value);
                after
            }
            None => {
                out.push(byte);
                tail
            }
        };
    }
    out
}

/// What `text` is of the form `$ORIGIN` or `$ORIGIN/…` leaves behind the token;
/// the other tokens are expanded.
pub(super) fn below_origin(text: &[u8]) -> Option<Vec<u8>> {
    let tail = text.strip_prefix(b"$")?;
    let (_, rest) = token(tail, b"").filter(|(value, _)| value.is_empty())?;
    (rest.is_empty() || rest.starts_with(b"/")).then(|| expand(rest, b"$ORIGIN"))
}

/// The value of the token that `text` (after its `$`) begins with, and the rest.
fn token<'a>(text: &'a [u8], origin: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let tokens = [
        (&b"ORIGIN"[..], origin),
        (b"LIB", LIB),
        (b"PLATFORM", PLATFORM),
    ];
    tokens.into_iter().find_map(|(name, value)| {
        let after = match text.strip_prefix(b"{") {
            Some(inner) => inner.strip_prefix(name)?.strip_prefix(b"}")?,
            None => {
                let after = text.strip_prefix(name)?;
                // A longer name is another token (is_dst).
                let goes_on = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
                if after.first().is_some_and(goes_on) {
                    return None;
                }
                after
            }
        };
        Some((value, after))
    })
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn tokens_expand_as_in_ld_so() {
        let cases: [(&str, &str); 7] = [
            ("$ORIGIN/../lib", "/o/../lib"),
            ("${ORIGIN}x", "/ox"),
            ("$ORIGINx", "$ORIGINx"),
            ("/a/$LIB", "/a/lib/x86_64-linux-gnu"),
            ("/a/${PLATFORM}/b", "/a/x86_64/b"),
            ("$", "$"),
            ("${ORIGIN", "${ORIGIN"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                expand(text.as_bytes(), b"/o"),
                expected.as_bytes(),
                "{text}"
            );
        }
    }
}
