//! Dynamic string tokens: `$ORIGIN`, `$LIB`, `$PLATFORM` (glibc elf/dl-load.c,
//! `_dl_dst_substitute`).

use crate::arch::Arch;

/// Expands the tokens of `text`, which an object of that machine in the folder `origin`
/// holds.
/// Unknown tokens stay as they are, as in ld.so.
pub(super) fn expand(arch: &Arch, text: &[u8], origin: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let known = (byte == b'$').then(|| token(arch, tail, origin)).flatten();
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
pub(super) fn below_origin(arch: &Arch, text: &[u8]) -> Option<Vec<u8>> {
    let tail = text.strip_prefix(b"$")?;
    let (_, rest) = token(arch, tail, b"").filter(|(value, _)| value.is_empty())?;
    (rest.is_empty() || rest.starts_with(b"/")).then(|| expand(arch, rest, b"$ORIGIN"))
}

/// The value of the token that `text` (after its `$`) begins with, and the rest.
fn token<'a>(arch: &Arch, text: &'a [u8], origin: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let tokens = [
        (&b"ORIGIN"[..], origin),
        (b"LIB", arch.lib.as_bytes()),
        (b"PLATFORM", arch.platform.as_bytes()),
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
            ("/a/$LIB", "/a/<LIB>"),
            ("/a/${PLATFORM}/b", "/a/<PLATFORM>/b"),
            ("$", "$"),
            ("${ORIGIN", "${ORIGIN"),
        ];
        for arch in crate::arch::ALL {
            for (text, expected) in cases {
                let expected = expected.replace("<LIB>", arch.lib);
                let expected = expected.replace("<PLATFORM>", arch.platform);
                let expanded = expand(arch, text.as_bytes(), b"/o");
                assert_eq!(expanded, expected.as_bytes(), "{text}");
            }
        }
    }
}
