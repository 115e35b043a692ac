//! Names in messages: nothing that a terminal obeys, and in a command nothing
//! that a shell does.
//!
//! Host and shim share it, so that the advice of both can be pasted.

/// Gives `push` the parts of `bytes` as a POSIX shell reads them as one word:
/// plain where that is safe, in single quotes otherwise, and as `$'…'`
/// (POSIX.1-2024, XCU 2.2.4) where there are control characters.
pub fn shell(bytes: &[u8], mut push: impl FnMut(&[u8])) {
    if !bytes.is_empty() && bytes.iter().all(|&b| is_plain(b)) && !has_control(bytes) {
        push(bytes);
        return;
    }
    let escapes = has_control(bytes);
    push(if escapes { b"$'" } else { b"'" });
    each(bytes, |part, control| match part {
        _ if control => octal(part, &mut push),
        b"'" if !escapes => push(b"'\\''"),
        b"'" | b"\\" if escapes => {
            push(b"\\");
            push(part);
        }
        _ => push(part),
    });
    push(b"'");
}

/// Gives `push` the parts of `bytes` for people to read: control characters as
/// `\ooo`.
pub fn shown(bytes: &[u8], mut push: impl FnMut(&[u8])) {
    if !has_control(bytes) {
        push(bytes);
        return;
    }
    each(bytes, |part, control| {
        if control {
            octal(part, &mut push);
        } else {
            push(part);
        }
    });
}

/// Characters that no shell gives a meaning; those beyond ASCII are letters.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(
            byte,
            b'_' | b'@' | b'%' | b'+' | b':' | b',' | b'.' | b'/' | b'-'
        )
}

/// Bytes of the control character at the start of `bytes`: C0 and DEL, or C1 in
/// UTF-8; 0 if it begins with something else.
const fn control_len(bytes: &[u8]) -> usize {
    match bytes {
        [0xc2, 0x80..=0x9f, ..] => 2,
        [0..0x20 | 0x7f, ..] => 1,
        _ => 0,
    }
}

fn has_control(mut bytes: &[u8]) -> bool {
    while let Some((_, rest)) = bytes.split_first() {
        if control_len(bytes) != 0 {
            return true;
        }
        bytes = rest;
    }
    false
}

/// Each byte, control characters whole.
fn each(mut bytes: &[u8], mut visit: impl FnMut(&[u8], bool)) {
    while !bytes.is_empty() {
        let control = control_len(bytes);
        let Some((part, rest)) = bytes.split_at_checked(control.max(1)) else {
            return;
        };
        visit(part, control != 0);
        bytes = rest;
    }
}

fn octal(part: &[u8], push: &mut impl FnMut(&[u8])) {
    for &byte in part {
        push(&[
            b'\\',
            b'0' + (byte >> 6),
            b'0' + (byte >> 3 & 7),
            b'0' + (byte & 7),
        ]);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn shell_word(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        shell(text, |part| out.extend_from_slice(part));
        out
    }

    #[test]
    fn words_for_a_shell() {
        for (text, word) in [
            (&b"/usr/bin/a-b_c.d+1"[..], &b"/usr/bin/a-b_c.d+1"[..]),
            (b"", b"''"),
            (
                b"my dir; touch pwned; #/prog",
                b"'my dir; touch pwned; #/prog'",
            ),
            (b"it's", b"'it'\\''s'"),
            (b"~root", b"'~root'"),
            (b"a\x1b]0;x\x07'\\", b"$'a\\033]0;x\\007\\'\\\\'"),
            (b"a\xc2\x9bz", b"$'a\\302\\233z'"),
            ("m\u{fc}nchen".as_bytes(), "m\u{fc}nchen".as_bytes()),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }

    #[test]
    fn a_shell_reads_the_word_back() {
        for byte in 1..=255_u8 {
            let text = [b'x', byte, b'y'];
            let word = [&b"printf %s "[..], &shell_word(&text)].concat();
            let out = std::process::Command::new("bash")
                .arg("-c")
                .arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&word))
                .output();
            assert_eq!(out.expect("bash runs").stdout, text, "byte {byte}");
        }
    }

    #[test]
    fn shown_names_have_no_control_characters() {
        let mut out = Vec::new();
        shown(b"a\x1b[2Jb\nc", |part| out.extend_from_slice(part));
        assert_eq!(out, b"a\\033[2Jb\\012c");
    }
}
