//! Response files (`@file`): read by libiberty's rules, written back quoted.
//!
//! Rules: libiberty's `expandargv` and `buildargv` (argv.c), which GNU ld and
//! gold use and which lld and mold follow. An `@file` that cannot be read stays
//! as it is, for the linker itself to complain about or to take as an input.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use anyhow::bail;

/// Most response files opened for one command line; libiberty's own bound,
/// which is what ends a file that names itself.
const MAX_FILES: usize = 2000;
/// Most bytes read from all response files of one command line.
const MAX_BYTES: usize = 64 << 20;

/// `args` with every readable `@file` replaced by what it holds, at any depth.
///
/// # Errors
/// When there are more files, or more bytes in them, than any real link has.
pub(super) fn expand(args: &[OsString]) -> anyhow::Result<Vec<OsString>> {
    let mut out = Vec::with_capacity(args.len());
    // Arguments still to be looked at, last first.
    let mut todo: Vec<OsString> = args.iter().rev().cloned().collect();
    let (mut files, mut bytes) = (0, 0);
    while let Some(arg) = todo.pop() {
        let content = match arg.as_bytes().strip_prefix(b"@") {
            Some(path) if files < MAX_FILES => read(OsStr::from_bytes(path)),
            Some(_) => bail!(
                "too many @-files, the last is `{}`",
                Path::new(&arg).display()
            ),
            None => None,
        };
        let Some(content) = content else {
            out.push(arg);
            continue;
        };
        files += 1;
        bytes += content.len();
        if bytes > MAX_BYTES {
            bail!(
                "`{}`: @-files hold more than {MAX_BYTES} bytes",
                Path::new(&arg).display()
            );
        }
        todo.extend(split(&content).into_iter().rev());
    }
    Ok(out)
}

/// The content of a regular file or a pipe; `None` when the linker shall see
/// the argument as it is.
fn read(path: &OsStr) -> Option<Vec<u8>> {
    let file = std::fs::File::open(path).ok()?;
    if file.metadata().ok()?.is_dir() {
        return None;
    }
    let mut content = Vec::new();
    file.take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut content)
        .ok()?;
    Some(content)
}

/// Splits at white space outside of quotes; a backslash takes the next byte as
/// it is, inside of either kind of quotes too.
fn split(content: &[u8]) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = content.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => word.get_or_insert_default().extend(bytes.next()),
            _ if quote == Some(byte) => quote = None,
            _ if quote.is_some() => word.get_or_insert_default().push(byte),
            b'\'' | b'"' => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                out.extend(word.take().map(OsString::from_vec));
            }
            _ => word.get_or_insert_default().push(byte),
        }
    }
    out.extend(word.map(OsString::from_vec));
    out
}

/// A response file that [`expand`] and every linker read back as `args`.
pub(super) fn quote<'a>(args: impl IntoIterator<Item = &'a OsStr>) -> Vec<u8> {
    let mut out = Vec::new();
    for arg in args {
        if arg.is_empty() {
            out.extend_from_slice(b"\"\"");
        }
        for &byte in arg.as_bytes() {
            if byte.is_ascii_whitespace() || matches!(byte, 0x0b | b'\\' | b'\'' | b'"') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(content: &str) -> Vec<String> {
        split(content.as_bytes())
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    #[test]
    fn splits_as_libiberty_does() {
        assert_eq!(words(""), Vec::<String>::new());
        assert_eq!(words(" \n\t "), Vec::<String>::new());
        assert_eq!(words("a  b\nc"), ["a", "b", "c"]);
        assert_eq!(words("'a b'\"c d\" e\\ f"), ["a bc d", "e f"]);
        assert_eq!(words("'' \"\" x''"), ["", "", "x"]);
        assert_eq!(
            words(r#"'it\'s' "a\"b" '"' "'""#),
            ["it's", "a\"b", "\"", "'"]
        );
    }

    #[test]
    fn a_file_that_names_itself_ends_in_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("loop");
        let mut arg = OsString::from("@");
        arg.push(&file);
        std::fs::write(&file, arg.as_bytes()).unwrap();
        let error = expand(&[arg]).unwrap_err().to_string();
        assert!(error.starts_with("too many @-files"), "{error}");
    }

    #[test]
    fn an_unreadable_file_stays_as_it_is() {
        let args = [OsString::from("@/nowhere/at/all"), "@/".into(), "@".into()];
        assert_eq!(expand(&args).unwrap(), args);
    }

    proptest! {
        #[test]
        fn quoted_arguments_are_read_back(args: Vec<Vec<u8>>) {
            let args: Vec<OsString> = args
                .into_iter()
                .map(|arg| OsString::from_vec(arg.into_iter().filter(|&b| b != 0).collect()))
                .collect();
            prop_assert_eq!(split(&quote(args.iter().map(OsString::as_os_str))), args);
        }
    }
}
