//! Words for a shell: the commands that messages name can be pasted into one.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use indir_shim::quote;

/// `path` as an argument of a shell's command, without control characters.
pub fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    if path.to_str().is_none() {
        return escaped(bytes);
    }
    let mut word = Vec::with_capacity(bytes.len());
    quote::shell(bytes, |part| word.extend_from_slice(part));
    String::from_utf8_lossy(&word).into_owned()
}

/// What is not UTF-8 could not be printed as it is.
fn escaped(bytes: &[u8]) -> String {
    let mut word = String::from("$'");
    for &byte in bytes {
        // Writing to a string cannot fail.
        let _ = match byte {
            b'\'' | b'\\' => write!(word, "\\{}", char::from(byte)),
            b' '..=b'~' => write!(word, "{}", char::from(byte)),
            _ => write!(word, "\\{byte:03o}"),
        };
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_shell_reads_every_name_back() {
        for name in [
            &b"plain"[..],
            b"my dir; touch x; #",
            b"a'b\\c",
            b"\xff\xfe'\\ \x1b",
            b"$HOME",
        ] {
            let word = quoted(Path::new(OsStr::from_bytes(name)));
            assert!(!word.chars().any(char::is_control), "{word:?}");
            let out = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {word}")])
                .output();
            assert_eq!(out.expect("bash runs").stdout, name, "{word}");
        }
    }
}
