//! Linker scripts of development folders (`libc.so`, `libm.so`, …).
//!
//! They name files by absolute path; a stub folder's scripts name them plainly,
//! so that the linker finds them through `-L`. Only what such files consist of
//! is understood: OUTPUT_FORMAT, GROUP, INPUT, AS_NEEDED. This module must not
//! touch files.

/// Longest script, in bytes.
const MAX_SCRIPT: usize = 64 * 1024;

/// Why a script cannot be rewritten.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It is too long to be one of these.
    #[error("a linker script of more than {MAX_SCRIPT} bytes")]
    Long,
    /// It says something else.
    #[error("a linker script with `{0}`, which is not understood")]
    Unknown(String),
    /// A bracket is missing.
    #[error("a linker script whose brackets do not match")]
    Brackets,
}

/// A rewritten script, and the files that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The new text.
    pub text: String,
    /// Plain names of the files, in order; not the `-lNAME` ones.
    pub files: Vec<String>,
}

/// Rewrites `data` to plain names, one space between words.
///
/// # Errors
/// When it is not one of the scripts that are understood.
pub fn rewrite(data: &[u8]) -> Result<Script, ScriptError> {
    if data.len() > MAX_SCRIPT {
        return Err(ScriptError::Long);
    }
    let text = String::from_utf8_lossy(data);
    let mut script = Script {
        text: String::new(),
        files: Vec::new(),
    };
    let mut depth = 0usize;
    let mut format = false;
    let mut words: Vec<String> = Vec::new();
    for token in tokens(&text) {
        match token.as_str() {
            "(" => depth += 1,
            ")" => {
                depth = depth.checked_sub(1).ok_or(ScriptError::Brackets)?;
                format = false;
            }
            "GROUP" | "INPUT" if depth == 0 => {}
            "OUTPUT_FORMAT" if depth == 0 => format = true,
            "AS_NEEDED" if depth == 1 => {}
            _ if format => {}
            name if depth > 0 => {
                let plain = name.rsplit('/').next().unwrap_or(name).to_owned();
                if !plain.starts_with("-l") {
                    script.files.push(plain.clone());
                }
                words.push(plain);
                continue;
            }
            other => return Err(ScriptError::Unknown(other.to_owned())),
        }
        words.push(token);
        if depth == 0 && words.last().is_some_and(|w| w == ")") {
            script.text.push_str(&words.join(" "));
            script.text.push('\n');
            words.clear();
        }
    }
    if depth != 0 || !words.is_empty() {
        return Err(ScriptError::Brackets);
    }
    Ok(script)
}

/// Words and brackets; comments, commas and semicolons separate.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut word = String::new();
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("/*") {
            rest = after.split_once("*/").map_or("", |(_, tail)| tail);
            flush(&mut word, &mut tokens);
            continue;
        }
        match next {
            '(' | ')' => {
                flush(&mut word, &mut tokens);
                tokens.push(next.to_string());
            }
            ',' | ';' | '"' => flush(&mut word, &mut tokens),
            other if other.is_whitespace() => flush(&mut word, &mut tokens),
            other => word.push(other),
        }
        rest = rest.get(next.len_utf8()..).unwrap_or("");
    }
    flush(&mut word, &mut tokens);
    tokens
}

fn flush(word: &mut String, tokens: &mut Vec<String>) {
    if !word.is_empty() {
        tokens.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_s_scripts_get_plain_names() {
        let libc = b"/* GNU ld script\n   Use the shared library, but ... */\n\
            OUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/x86_64-linux-gnu/libc.so.6 \
            /usr/lib/x86_64-linux-gnu/libc_nonshared.a  AS_NEEDED ( /lib64/ld-linux-x86-64.so.2 ) )\n";
        let script = rewrite(libc).unwrap();
        assert_eq!(
            script.text,
            "OUTPUT_FORMAT ( elf64-x86-64 )\n\
             GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( ld-linux-x86-64.so.2 ) )\n"
        );
        assert_eq!(
            script.files,
            ["libc.so.6", "libc_nonshared.a", "ld-linux-x86-64.so.2"]
        );
        assert_eq!(rewrite(script.text.as_bytes()).unwrap(), script);
        assert_eq!(
            rewrite(b"INPUT(-lncurses -ltinfo)").unwrap().text,
            "INPUT ( -lncurses -ltinfo )\n"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "SECTIONS { }",
            "GROUP ( a",
            "GROUP a )",
            "GROUP",
            "VERSION ( x )",
        ] {
            assert!(rewrite(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
