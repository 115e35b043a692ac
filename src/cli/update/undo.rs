//! What `indir update --undo` says.

use std::process::ExitCode;

use serde_json::json;

use crate::exit;
use crate::update::{Turned, TurnedBack, UndoReport};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) dry_run: bool,
    pub(super) json: bool,
    pub(super) verbose: bool,
    pub(super) quiet: bool,
}

/// How many executables ended how.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    undone: usize,
    unchanged: usize,
    nothing: usize,
    refused: usize,
    failed: usize,
    left: usize,
}

fn counts(report: &UndoReport) -> Counts {
    let mut counts = Counts::default();
    for entry in &report.entries {
        *match entry.outcome {
            Turned::Back => &mut counts.undone,
            Turned::Stays => &mut counts.unchanged,
            Turned::Nothing => &mut counts.nothing,
            Turned::Refused(_) => &mut counts.refused,
            Turned::Failed(_) => &mut counts.failed,
            Turned::Left => &mut counts.left,
        } += 1;
    }
    counts
}

/// Prints what became of everything; returns the exit code.
pub(super) fn tell(report: &UndoReport, how: How) -> ExitCode {
    let counts = counts(report);
    if how.json {
        crate::say::json(&to_json(report, how.dry_run, counts));
    } else if how.verbose || how.dry_run && !how.quiet {
        list(report, how.verbose);
    }
    for entry in &report.entries {
        let path = entry.path.display();
        match &entry.outcome {
            Turned::Refused(why) | Turned::Failed(why) => {
                crate::say::err!("indir: `{path}`: {why}");
            }
            Turned::Back if entry.lacks_bindings && !how.quiet => crate::say::err!(
                "warning: `{path}`: the bindings of its earlier table are not there any more, so that it starts slower"
            ),
            _ => {}
        }
    }
    super::print::interrupted(counts.left);
    if !how.quiet {
        summary(report, how.dry_run, counts);
    }
    ExitCode::from(match counts {
        _ if counts.refused > 0 => exit::REFUSED,
        _ if counts.failed + counts.left > 0 || counts.undone == 0 => exit::FAILED,
        _ => exit::DONE,
    })
}

fn list(report: &UndoReport, all: bool) {
    for entry in &report.entries {
        let word = match &entry.outcome {
            Turned::Back => "undone",
            Turned::Stays if all => "unchanged",
            Turned::Nothing if all => "nothing",
            _ => continue,
        };
        let path = entry.path.display();
        match &entry.change {
            Some(change) => crate::say::out!("{word} {path}: {change}"),
            None => crate::say::out!("{word} {path}"),
        }
    }
}

fn summary(report: &UndoReport, dry_run: bool, counts: Counts) {
    match report.run {
        None => crate::say::err!(
            "note: nothing to go back to: no table of these programs was replaced by an update, or all are back already"
        ),
        Some(run) => {
            let others = usize::try_from(run.replaced).unwrap_or(usize::MAX);
            let here = counts.undone + counts.refused + counts.failed;
            let elsewhere = match others.checked_sub(here) {
                None | Some(0) => String::new(),
                Some(others) => format!("; it was to replace {others} more, of other programs"),
            };
            crate::say::err!("note: this is the update of {}{elsewhere}", utc(run.began));
        }
    }
    let undone = if dry_run { "would undo" } else { "undone" };
    crate::say::err!(
        "{undone} {}, unchanged {}, nothing to undo {}, refused {}, failed {}",
        counts.undone,
        counts.unchanged,
        counts.nothing,
        counts.refused,
        counts.failed
    );
}

fn state(entry: &TurnedBack) -> (&'static str, Option<&String>) {
    match &entry.outcome {
        Turned::Back => ("undone", None),
        Turned::Stays => ("unchanged", None),
        Turned::Nothing => ("nothing", None),
        Turned::Refused(why) => ("refused", Some(why)),
        Turned::Failed(why) => ("failed", Some(why)),
        Turned::Left => ("left", None),
    }
}

fn to_json(report: &UndoReport, dry_run: bool, counts: Counts) -> serde_json::Value {
    let programs = report.entries.iter().map(|entry| {
        let (state, message) = state(entry);
        json!({
            "path": entry.path.to_string_lossy(),
            "table": entry.table.as_ref().map(|table| table.to_string_lossy()),
            "state": state,
            "change": entry.change,
            "lacks_bindings": entry.lacks_bindings,
            "message": message,
        })
    });
    json!({
        "version": JSON_VERSION,
        "dry_run": dry_run,
        "update": report.run.map(|run| utc(run.began)),
        "replaced": report.run.map(|run| run.replaced),
        "undone": counts.undone,
        "unchanged": counts.unchanged,
        "nothing": counts.nothing,
        "refused": counts.refused,
        "failed": counts.failed,
        "left": counts.left,
        "executables": programs.collect::<Vec<_>>(),
    })
}

/// `nanoseconds` since 1970 as a date and a time.
fn utc(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    // Years of the Gregorian calendar from March on: 400 of them have 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, january) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        era * 400 + year + january,
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_795_750_245, "2026-11-27 03:30:45 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(utc(seconds * 1_000_000_000), date);
        }
        assert!(utc(u64::MAX).starts_with("2554-07-21"));
    }
}
