//! What `indir update` says: lines for people, a sum, a JSON document.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::given;
use crate::exit;
use crate::resolve::unmet::Unmet;
use crate::say::Mood;
use crate::update::{self, Entry, Outcome, Report};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// One line for each program whose table changes, or for each.
pub(super) fn list(report: &Report, all: bool) {
    for entry in &report.entries {
        let (mood, word) = match &entry.outcome {
            Outcome::Updated => (Mood::Mind, "changes"),
            Outcome::Current if all => (Mood::Good, "current"),
            _ => continue,
        };
        let change = entry.change.as_deref().unwrap_or("");
        let rest = format!(" {}: {change}", entry.path.display());
        crate::say::state(mood, word, &rest);
    }
}

/// Prints what needs attention and the sum; returns the exit code.
pub(super) fn summary(report: &Report, dry_run: bool, quiet: bool) -> ExitCode {
    for entry in &report.entries {
        if quiet {
            errors(entry);
            continue;
        }
        for unmet in &entry.missing {
            if unmet.misfit.is_some() {
                crate::say::err!("warning: {unmet}");
            } else {
                crate::say::err!("warning: the first call stops the program: {unmet}");
            }
        }
        for why in &entry.warnings {
            crate::say::err!("warning: `{}`: {why}", entry.path.display());
        }
        for plugin in entry.plugins.iter().flatten() {
            for why in &plugin.missing {
                let path = plugin.path.display();
                crate::say::err!("warning: the plugin `{path}` is not complete: {why}");
            }
        }
        errors(entry);
    }
    given::unknown(&report.unknown);
    if !quiet {
        given::idle(&report.idle);
    }
    let counts = report.counts();
    interrupted(counts.left);
    let updated = if dry_run { "would update" } else { "updated" };
    if !quiet {
        crate::say::err!(
            "{updated} {}, current {}, refused {}, failed {}",
            counts.updated,
            counts.current,
            counts.refused,
            counts.failed
        );
    }
    ExitCode::from(match counts {
        _ if counts.refused > 0 => exit::REFUSED,
        _ if counts.failed + counts.left > 0 || report.all_unknown => exit::FAILED,
        _ => exit::DONE,
    })
}

/// Says that a signal came, and what of.
pub(super) fn interrupted(left: usize) {
    if crate::interrupt::is_pending() {
        crate::say::err!(
            "indir: interrupted: the tables of {} stay as they are",
            crate::say::counted(left, "program")
        );
    }
}

fn errors(entry: &Entry) {
    if let Outcome::Refused(why) | Outcome::Failed(why) = &entry.outcome {
        crate::say::err!("indir: `{}`: {why}", entry.path.display());
    }
}

/// One symbol, or version, that the libraries lack.
fn unmet_json(unmet: &Unmet) -> serde_json::Value {
    json!({
        "symbol": unmet.symbol,
        "version": unmet.version,
        "needed_by": unmet.needed_by.to_string_lossy(),
        "provider": unmet.provider.as_ref().map(|path| path.to_string_lossy()),
        "what": unmet.to_string(),
    })
}

fn plugins_json(all: &[update::Plugin]) -> Vec<serde_json::Value> {
    let plugins = all.iter().map(|plugin| {
        let libraries = plugin.libraries.iter();
        json!({
            "path": plugin.path.to_string_lossy(),
            "libraries": libraries.map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "missing": plugin.missing,
        })
    });
    plugins.collect()
}

pub(super) fn to_json(
    report: &Report,
    dry_run: bool,
    pruned: Option<&[PathBuf]>,
) -> serde_json::Value {
    let counts = report.counts();
    let executables: Vec<_> = report
        .entries
        .iter()
        .map(|entry| {
            let (state, message) = match &entry.outcome {
                Outcome::Updated => ("updated", None),
                Outcome::Current => ("current", None),
                Outcome::Refused(why) => ("refused", Some(why)),
                Outcome::Failed(why) => ("failed", Some(why)),
                Outcome::Left => ("left", None),
            };
            let missing: Vec<_> = entry.missing.iter().map(ToString::to_string).collect();
            json!({
                "path": entry.path.to_string_lossy(),
                "table": entry.table.as_ref().map(|table| table.to_string_lossy()),
                "libraries": entry.libraries,
                "state": state,
                "change": entry.change,
                "missing": missing,
                "unmet": entry.unmet.iter().map(unmet_json).collect::<Vec<_>>(),
                "warnings": entry.warnings,
                "message": message,
                "plugins": entry.plugins.as_ref().map(|all| plugins_json(all)),
            })
        })
        .collect();
    json!({
        "version": JSON_VERSION,
        "dry_run": dry_run,
        "pruned": pruned.map(|all| all.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>()),
        "updated": counts.updated,
        "current": counts.current,
        "refused": counts.refused,
        "failed": counts.failed,
        "left": counts.left,
        "unknown_replacements": report.unknown.iter().map(|r| r.old.to_string_lossy()).collect::<Vec<_>>(),
        "idle_lib_dirs": report.idle.iter().map(|idle| idle.folder.to_string_lossy()).collect::<Vec<_>>(),
        "executables": executables,
    })
}
