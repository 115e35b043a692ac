//! What is printed: data to standard output, everything else to standard error.
//!
//! A message that nobody can read, because the disk is full or the terminal gone,
//! changes nothing of what is done. Data that cannot be written is a failure, told
//! at the end; who closes a pipe (`| head`) has read enough, and is told nothing.
//! Names in messages are untrusted: control characters are shown, not sent.

use std::fmt::{Arguments, Display};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use clap::builder::styling::{AnsiColor, Style};
use indir_shim::quote;

/// A line of data for people.
macro_rules! out {
    ($($arg:tt)*) => { $crate::say::line(format_args!($($arg)*)) };
}
/// A message.
macro_rules! err {
    ($($arg:tt)*) => { $crate::say::message(format_args!($($arg)*)) };
}
pub(crate) use {err, out};

/// Why data could not be written; what follows is dropped.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line of data on standard output.
pub fn line(text: Arguments<'_>) {
    data(shown(&format!("{text}\n")).as_bytes());
}

/// When standard output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// The `Color` of this run.
static COLOR: AtomicU8 = AtomicU8::new(Color::Auto as u8);

/// From now on `when` decides.
pub fn color(when: Color) {
    COLOR.store(when as u8, Ordering::Relaxed);
}

/// Whether standard output gets no colours: no-color.org.
fn is_plain() -> bool {
    match COLOR.load(Ordering::Relaxed) {
        when if when == Color::Always as u8 => false,
        when if when == Color::Never as u8 => true,
        _ => {
            std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
                || !io::stdout().is_terminal()
        }
    }
}

/// What a state means to who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it should be.
    Good,
    /// To be looked at.
    Mind,
    /// To be mended.
    Bad,
}

impl Mood {
    /// The colour of such a state.
    pub fn style(self) -> Style {
        Style::new().fg_color(Some(
            match self {
                Self::Good => AnsiColor::Green,
                Self::Mind => AnsiColor::Yellow,
                Self::Bad => AnsiColor::Red,
            }
            .into(),
        ))
    }
}

/// A line of data that begins with a state, which is coloured.
pub fn state(mood: Mood, state: &str, rest: &str) {
    styled(&[
        (mood.style(), state.to_owned()),
        (Style::new(), rest.to_owned()),
    ]);
}

/// A line of parts in styles of their own.
pub fn styled(parts: &[(Style, String)]) {
    let is_plain = is_plain();
    let mut out = String::new();
    for (style, text) in parts {
        let text = shown(text);
        if is_plain {
            out.push_str(&text);
        } else {
            out.push_str(&format!("{style}{text}{style:#}"));
        }
    }
    out.push('\n');
    data(out.as_bytes());
}

/// A line on standard error; one that cannot be written is dropped.
pub fn message(text: Arguments<'_>) {
    let text = shown(&format!("{text}\n"));
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// One JSON document, which has its own way to write control characters.
pub fn json(document: &impl Display) {
    data(format!("{document:#}\n").as_bytes());
}

/// Bytes of data as they are.
pub fn data(bytes: &[u8]) {
    let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    if failure.is_none() {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        *failure = written.err();
    }
}

/// Whether all data was written, but for what a reader did not want any more;
/// tells why not.
pub fn is_complete() -> bool {
    let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    match failure.take() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            message(format_args!(
                "indir: failed to write to standard output: {error}"
            ));
            false
        }
        _ => true,
    }
}

/// A number of things, whose plural ends in an s.
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// An error and its causes, without those that repeat what stands before them.
pub fn reason(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// `text` with all control characters but the ends of lines in octal.
fn shown(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let mut out = Vec::with_capacity(line.len());
        quote::shown(line.as_bytes(), |part| out.extend_from_slice(part));
        String::from_utf8_lossy(&out).into_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_once() {
        let error = || anyhow::anyhow!("it is a FIFO").context("it is a FIFO");
        assert_eq!(reason(&error()), "it is a FIFO");
        assert_eq!(reason(&error().context("`x`")), "`x`: it is a FIFO");
        assert_eq!(reason(&anyhow::anyhow!("a").context("b")), "b: a");
    }

    #[test]
    fn terminals_obey_nothing() {
        assert_eq!(
            shown("a\u{1b}]0;title\u{7}\n  b\u{9b}2J\n"),
            "a\\033]0;title\\007\n  b\\302\\2332J\n"
        );
    }
}
