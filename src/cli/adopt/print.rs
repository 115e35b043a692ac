//! What `indir adopt` says: lines for people, a sum, a JSON document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::entry::{Entry, State};
use crate::adopt::Skipped;
use crate::cli::given;
use crate::exit;
use crate::say::Mood;
use crate::update::Idle;

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) dry_run: bool,
    pub(super) json: bool,
    pub(super) verbose: bool,
    pub(super) quiet: bool,
    /// More than one program was asked for, so that a sum is of use.
    pub(super) many: bool,
}

/// How many programs ended how.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    adopted: usize,
    already: usize,
    refused: usize,
    failed: usize,
    left: usize,
}

fn counts(entries: &[Entry]) -> Counts {
    let mut counts = Counts::default();
    for entry in entries {
        *match entry.state {
            State::Adopted { .. } => &mut counts.adopted,
            State::Already => &mut counts.already,
            State::Refused(_) => &mut counts.refused,
            State::Failed(_) => &mut counts.failed,
            State::Left => &mut counts.left,
        } += 1;
    }
    counts
}

/// Prints what became of everything; returns the exit code.
pub(super) fn tell(
    entries: &[Entry],
    skipped: &BTreeMap<PathBuf, Skipped>,
    idle: &[Idle],
    how: How,
) -> u8 {
    let counts = counts(entries);
    if how.json {
        crate::say::json(&to_json(entries, skipped, idle, how.dry_run));
    } else if how.verbose || how.dry_run && !how.quiet {
        list(entries, skipped, how.verbose);
    }
    for entry in entries {
        notes(entry, how.quiet);
    }
    if !how.quiet {
        given::idle(idle);
    }
    if crate::interrupt::is_pending() {
        crate::say::err!("indir: interrupted: what is not counted as done stays as it was");
    }
    if (how.many || how.verbose || how.dry_run) && !how.quiet {
        summary(skipped, how.dry_run, counts);
    }
    match counts {
        _ if counts.refused > 0 => exit::REFUSED,
        _ if counts.failed + counts.left > 0 => exit::FAILED,
        _ => exit::DONE,
    }
}

fn list(entries: &[Entry], skipped: &BTreeMap<PathBuf, Skipped>, all: bool) {
    for entry in entries {
        let (mood, word) = match entry.state {
            State::Adopted { .. } => (Mood::Mind, "adopted"),
            State::Already => (Mood::Good, "already"),
            _ => continue,
        };
        let path = entry.path.display();
        let to = match &entry.output {
            Some(output) => format!(" -> {}", output.display()),
            None => String::new(),
        };
        let change = entry.change.as_deref().unwrap_or("");
        crate::say::state(mood, word, &format!(" {path}{to}: {change}"));
    }
    for (path, what) in skipped.iter().filter(|_| all) {
        crate::say::out!("{} {}", what.word(), path.display());
    }
}

/// What a person should know of one program.
fn notes(entry: &Entry, quiet: bool) {
    let path = entry.path.display();
    match &entry.state {
        State::Refused(why) | State::Failed(why) => crate::say::err!("indir: `{path}`: {why}"),
        State::Adopted {
            headers_moved: true,
        } if !quiet => crate::say::err!(
            "warning: `{path}`: its program headers moved, which `strip` and `objcopy` do not expect: strip the original, not the result"
        ),
        State::Already if !quiet => {
            let done = match entry.output {
                None => "its table was updated",
                Some(_) => "the copy has a table of its own",
            };
            crate::say::err!("note: `{path}` is indirect already; {done}");
        }
        _ => {}
    }
}

fn of(skipped: &BTreeMap<PathBuf, Skipped>, what: Skipped) -> usize {
    skipped.values().filter(|&&kind| kind == what).count()
}

fn summary(skipped: &BTreeMap<PathBuf, Skipped>, dry_run: bool, counts: Counts) {
    let adopted = if dry_run { "would adopt" } else { "adopted" };
    let mut text = format!(
        "{adopted} {}, already indirect {}, refused {}, failed {}",
        counts.adopted, counts.already, counts.refused, counts.failed
    );
    if counts.left > 0 {
        text.push_str(&format!(", not done {}", counts.left));
    }
    let kinds = Skipped::ALL.map(|what| (what, of(skipped, what)));
    let others: Vec<String> = kinds
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{} {count}", what.word()))
        .collect();
    if !others.is_empty() {
        text.push_str(&format!("; left as they are: {}", others.join(", ")));
    }
    crate::say::err!("{text}");
}

fn to_json(
    entries: &[Entry],
    skipped: &BTreeMap<PathBuf, Skipped>,
    idle: &[Idle],
    dry_run: bool,
) -> serde_json::Value {
    let counts = counts(entries);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let executables = entries.iter().map(|entry| {
        let (state, message, headers_moved) = match &entry.state {
            State::Adopted { headers_moved } => ("adopted", None, *headers_moved),
            State::Already => ("already", None, false),
            State::Refused(why) => ("refused", Some(why), false),
            State::Failed(why) => ("failed", Some(why), false),
            State::Left => ("left", None, false),
        };
        json!({
            "path": text(&entry.path),
            "output": entry.output.as_deref().map(text),
            "table": entry.table.as_deref().map(text),
            "state": state,
            "change": entry.change,
            "headers_moved": headers_moved,
            "message": message,
        })
    });
    let executables: Vec<_> = executables.collect();
    let count = |what| of(skipped, what);
    json!({
        "version": JSON_VERSION,
        "dry_run": dry_run,
        "adopted": counts.adopted,
        "already": counts.already,
        "refused": counts.refused,
        "failed": counts.failed,
        "left": counts.left,
        "idle_lib_dirs": idle.iter().map(|idle| text(&idle.folder)).collect::<Vec<_>>(),
        "skipped": {
            "script": count(Skipped::Script),
            "static": count(Skipped::Static),
            "library": count(Skipped::Library),
            "foreign": count(Skipped::Foreign),
            "other": count(Skipped::Other),
        },
        "executables": executables,
    })
}
