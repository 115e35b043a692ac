//! What is told of programs that were judged: lines, counts, a document.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::elf::Root;
use crate::exit;
use crate::reach::{Doubt, Judgement, ReachError, Shared, Step, Stored, Verdict};
use crate::say::Mood;
use crate::table::Replacement;

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;
/// Most steps of a path that are printed.
const SHOWN: usize = 6;

/// What is shared by all questions of a run.
///
/// # Errors
/// When a folder is not there, or that of graphs cannot be used.
pub(super) fn shared(debug_dirs: &[PathBuf], graphs: Option<&Path>) -> anyhow::Result<Shared> {
    let existing = |folder| super::given::existing(&Root::default(), "--debug-dir", folder);
    let debug_dirs = debug_dirs.iter().map(|folder| existing(folder));
    let debug_dirs = debug_dirs.collect::<anyhow::Result<_>>()?;
    let open = |folder: &Path| {
        Stored::open(folder).with_context(|| format!("`--graphs {}`", folder.display()))
    };
    let stored = graphs.map(open).transpose()?;
    Ok(Shared::new(debug_dirs, stored))
}

/// Says that a graph could not be kept.
pub(super) fn warn(shared: &Shared) {
    if shared.has_failed_to_store() {
        crate::say::err!(
            "warning: graphs cannot be kept in the folder of --graphs; the answers are as good, later ones take longer"
        );
    }
}

/// Says that a signal came, and how many programs were `left`.
pub(super) fn interrupted(left: usize) {
    if crate::interrupt::is_pending() {
        crate::say::err!(
            "indir: interrupted: not judged: {}",
            crate::say::counted(left, "program")
        );
    }
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Report {
    /// A state, and what stands behind it.
    lines: Vec<(&'static str, String)>,
    documents: Vec<Value>,
    same: usize,
    affected: usize,
    unknown: usize,
    failed: usize,
    left: usize,
    /// Replacements that no table knew.
    unknown_replacements: Vec<Replacement>,
    /// No replacement is any other.
    nothing_asked: bool,
}

impl Report {
    /// Of a question with replacements that no table knew, or with no others.
    pub(super) fn of(unknown_replacements: Vec<Replacement>, nothing_asked: bool) -> Self {
        Self {
            unknown_replacements,
            nothing_asked,
            ..Self::default()
        }
    }

    /// A program that was not judged because a signal came.
    fn leave(&mut self, program: &Path) {
        self.left += 1;
        self.documents.push(json!({
            "path": program.to_string_lossy(),
            "state": "left",
            "message": null,
        }));
    }

    /// A path of which nothing can be said.
    pub(super) fn fail(&mut self, path: &Path, why: &str) {
        self.failed += 1;
        self.documents.push(json!({
            "path": path.to_string_lossy(),
            "state": "failed",
            "message": why,
        }));
    }

    /// A program that gets its first table: there is nothing to compare with.
    pub(super) fn add_first(&mut self, program: &Path) {
        let message = "has no earlier table to compare with; run its tests";
        self.unknown += 1;
        self.documents.push(json!({
            "path": program.to_string_lossy(),
            "state": "unknown",
            "message": message,
            "remedy": "run its tests",
        }));
        let path = program.display();
        self.lines.push(("unknown", format!("  {path}  {message}")));
    }

    /// What was found of a program, if no signal came before; what failed is told at once.
    pub(super) fn add(&mut self, program: &Path, result: Option<Result<Judgement, ReachError>>) {
        let judgement = match result {
            None => return self.leave(program),
            Some(Ok(judgement)) => judgement,
            Some(Err(error)) => {
                let why = crate::say::reason(&error.into());
                crate::say::err!("indir: `{}`: {why}", program.display());
                return self.fail(program, &why);
            }
        };
        let mut document = json!({
            "path": judgement.program.to_string_lossy(),
            "plugin": judgement.plugin.as_ref().map(|path| path.to_string_lossy()),
        });
        let (state, message) = match &judgement.verdict {
            Verdict::Same(slice) => {
                self.same += 1;
                document["slice"] = json!(slice);
                ("same", None)
            }
            Verdict::Affected {
                difference,
                cosmetic,
            } => {
                self.affected += 1;
                document["steps"] = steps(&difference.path);
                document["cosmetic"] = json!(cosmetic);
                let only = match cosmetic {
                    Some(true) => ", only line numbers and texts",
                    _ => "",
                };
                let path = path(&difference.path);
                let how = difference.how.words();
                ("affected", Some(format!("{path} ({how}{only})")))
            }
            Verdict::Unknown(doubt) => {
                self.unknown += 1;
                document["steps"] = steps(&doubt.path);
                document["remedy"] = json!(doubt.remedy);
                ("unknown", Some(doubted(doubt)))
            }
        };
        document["state"] = json!(state);
        document["message"] = json!(message);
        self.documents.push(document);
        let mut line = format!("  {}", judgement.program.display());
        if let Some(plugin) = &judgement.plugin {
            line.push_str(&format!("  by its plugin {}:", plugin.display()));
        }
        if let Some(message) = message {
            line.push_str("  ");
            line.push_str(&message);
        }
        self.lines.push((state, line));
    }

    pub(super) fn to_json(&self) -> Value {
        let unknown = self.unknown_replacements.iter();
        let unknown = unknown.map(|one| one.old.to_string_lossy());
        json!({
            "version": JSON_VERSION,
            "executables": self.documents,
            "same": self.same,
            "affected": self.affected,
            "unknown": self.unknown,
            "failed": self.failed,
            "left": self.left,
            "unknown_replacements": unknown.collect::<Vec<_>>(),
        })
    }

    /// How many were not judged because a signal came.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn print(&self) {
        for (state, rest) in &self.lines {
            let mood = match *state {
                "same" => Mood::Good,
                "affected" => Mood::Bad,
                _ => Mood::Mind,
            };
            crate::say::state(mood, &format!("{state:<8}"), rest);
        }
        let failed = match self.failed {
            0 => String::new(),
            count => format!(", failed {count}"),
        };
        crate::say::out!(
            "affected {}, same {}, unknown {}{failed}",
            self.affected,
            self.same,
            self.unknown
        );
    }

    pub(super) fn code(&self) -> u8 {
        match (self.failed, self.affected + self.unknown) {
            _ if self.nothing_asked => exit::FAILED,
            (0, 0) => exit::DONE,
            (0, _) => exit::REFUSED,
            _ => exit::FAILED,
        }
    }
}

/// The steps of a path, the middle of a long one left out; a library is named where it
/// is another one than before.
pub(super) fn path(steps: &[Step]) -> String {
    let mut words = Vec::new();
    let mut before = "";
    for (index, step) in steps.iter().enumerate() {
        let hidden = steps.len() > SHOWN && index >= SHOWN / 2 && index + SHOWN / 2 < steps.len();
        if hidden {
            if words.last().is_some_and(|word| word != "…") {
                words.push("…".to_owned());
            }
            continue;
        }
        words.push(match (&*step.library, &*step.name) {
            (library, "") => library.to_owned(),
            (library, name) if library.is_empty() || library == before => name.to_owned(),
            (library, name) => format!("{library}: {name}"),
        });
        before = &step.library;
    }
    words.join(" > ")
}

pub(super) fn doubted(doubt: &Doubt) -> String {
    let path = path(&doubt.path);
    let space = if path.is_empty() { "" } else { " " };
    format!("{path}{space}{}; {}", doubt.reason, doubt.remedy)
}

fn steps(path: &[Step]) -> Value {
    let steps = path
        .iter()
        .map(|step| json!({ "library": step.library, "name": step.name }));
    steps.collect()
}
