//! Whether a program can run or read what differs between two builds of its libraries.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::builds::{Build, Change};
use super::closures::{self, Closures};
use super::error::ReachError;
use super::pair::{Difference, Doubt, How, Rules, Step};
use super::shared::Shared;
use super::sides::Sides;
use super::verdict::{Explained, Verdict, affected};
use crate::elf::MappedElf;
use crate::resolve::Store;
use crate::resolve::check::unmet;
use crate::resolve::unmet::Unmet;
use crate::update::Subject;

/// What is asked of every program.
#[derive(Debug, Default)]
pub struct Options {
    /// Folders of what the programs open while they run.
    pub plugin_dirs: Vec<PathBuf>,
    /// Say too what would be left without numbers of lines and texts.
    pub cosmetic: bool,
    /// A file of the package that changes besides its libraries.
    pub other_change: Option<PathBuf>,
}

/// A program, and what was found.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Absolute and free of symlinks.
    pub program: PathBuf,
    /// The plugin of it that decided, if one did.
    pub plugin: Option<PathBuf>,
    /// What was found.
    pub verdict: Verdict,
}

/// Answers questions about one change.
#[derive(Debug)]
pub struct Judge {
    change: Change,
    options: Options,
    store: Store,
    shared: Shared,
}

impl Judge {
    /// Debug files are looked for in `debug_folders`, then in the system's.
    pub fn new(change: Change, options: Options, debug_folders: Vec<PathBuf>) -> Self {
        Self {
            change,
            options,
            store: Store::default(),
            shared: Shared::new(debug_folders),
        }
    }

    /// What is worked out of each library.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What the change means to the program at `program`.
    ///
    /// # Errors
    /// When its closure cannot be found.
    pub fn judge(&self, program: &Path) -> Result<Judgement, ReachError> {
        let mut closures = Closures::of(&self.store, program, &self.change)?;
        let own = closures
            .old
            .plugin_dirs
            .iter()
            .map(|folder| (folder.clone(), false));
        let given = self.options.plugin_dirs.iter();
        let folders: Vec<_> = own.chain(given.map(|f| (f.clone(), true))).collect();
        let plugins = self.plugins(&folders)?;
        closures.plugins_declared = plugins.is_some();
        let mut judgement = Judgement {
            program: closures.old.path.clone(),
            plugin: None,
            verdict: self.decide(&closures),
        };
        // One that loads no change alone may be a change.
        for plugin in plugins.unwrap_or_default() {
            if matches!(judgement.verdict, Verdict::Affected { .. }) {
                break;
            }
            let verdict = self.of_plugin(&plugin);
            let worse = match verdict {
                Verdict::Same(_) => false,
                Verdict::Affected { .. } => true,
                Verdict::Unknown(_) => matches!(judgement.verdict, Verdict::Same(_)),
            };
            if worse {
                judgement.verdict = verdict;
                judgement.plugin = Some(plugin);
            }
        }
        Ok(judgement)
    }

    /// What is in the folders of plugins, if there are any. A table may name one that is
    /// gone.
    fn plugins(&self, folders: &[(PathBuf, bool)]) -> Result<Option<Vec<PathBuf>>, ReachError> {
        let mut plugins = Vec::new();
        let mut declared = false;
        for (folder, given) in folders {
            match self.store.objects_in(folder) {
                Ok(objects) => {
                    declared = true;
                    plugins.extend(objects.iter().cloned());
                }
                Err(why) if *given => {
                    return Err(ReachError::Plugins(folder.clone(), why.to_string()));
                }
                Err(_) => {}
            }
        }
        let mut seen = HashSet::new();
        plugins.retain(|plugin| seen.insert(plugin.clone()));
        Ok(declared.then_some(plugins))
    }

    /// A plugin with its own libraries; where those do not tell all of it, that is not
    /// guessed.
    fn of_plugin(&self, plugin: &Path) -> Verdict {
        let step = |library: String| Step {
            library,
            name: String::new(),
        };
        let unknown = |reason, remedy| {
            Verdict::Unknown(Doubt {
                path: vec![step(plugin.display().to_string())],
                reason,
                remedy,
            })
        };
        let Change::Builds(old, new) = &self.change else {
            return unknown(
                "is a plugin, whose libraries --replace does not move",
                "give the two builds as OLD and NEW",
            );
        };
        if let Some(changed) = changed(plugin, old).or_else(|| changed(plugin, new)) {
            return affected(Difference {
                path: vec![step(changed.display().to_string())],
                how: How::Content,
            });
        }
        let Ok(mut closures) = Closures::of(&self.store, plugin, &self.change) else {
            return unknown(
                "is a plugin whose libraries cannot be found",
                "run `indir why` on it, or take it out of the folder",
            );
        };
        closures.plugins_declared = true;
        match self.misses(&closures.old) {
            Ok(misses) if misses.iter().all(|miss| miss.symbol.is_none()) => self.decide(&closures),
            _ => unknown(
                "is a plugin that takes symbols from the program",
                "run its tests",
            ),
        }
    }

    /// What a closure asks for and lacks.
    fn misses(&self, subject: &Subject) -> Result<Vec<Unmet>, Verdict> {
        let found = unmet(
            &self.store,
            &subject.path,
            &subject.library,
            &subject.closure,
        );
        found.map_err(|(path, _)| {
            Verdict::Unknown(Doubt {
                path: vec![Step {
                    library: path.display().to_string(),
                    name: String::new(),
                }],
                reason: "has symbol tables that cannot be read",
                remedy: "run its tests",
            })
        })
    }

    /// What the new libraries lack and the old ones had: ld.so may not start it.
    fn missing(&self, closures: &Closures) -> Option<Verdict> {
        let of = |subject| {
            let misses = self.misses(subject)?;
            Ok(misses.into_iter().map(|miss| {
                (
                    closures::name_of(&miss.needed_by),
                    miss.symbol,
                    miss.version,
                )
            }))
        };
        let (before, after) = match (of(&closures.old), of(&closures.new)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(verdict), _) | (_, Err(verdict)) => return Some(verdict),
        };
        let before: HashSet<_> = before.collect();
        let mut after = after;
        let (library, symbol, version) = after.find(|miss| !before.contains(miss))?;
        let name = symbol.unwrap_or_else(|| format!("version {version}"));
        Some(affected(Difference {
            path: vec![Step { library, name }],
            how: How::Presence,
        }))
    }

    fn decide(&self, closures: &Closures) -> Verdict {
        let sides = match Sides::new(closures, &self.shared) {
            Ok(sides) => sides,
            Err(early) => return self.early(*early),
        };
        if !sides.loads_a_change() {
            return Verdict::Same(None);
        }
        if let Some(file) = &self.options.other_change {
            return affected(Difference {
                path: vec![Step {
                    library: "the package".to_owned(),
                    name: format!("`{}`", file.display()),
                }],
                how: How::Content,
            });
        }
        if let Some(verdict) = self.missing(closures) {
            return self.early(verdict);
        }
        let rules = Rules {
            plugins_declared: closures.plugins_declared,
            ..Rules::default()
        };
        match sides.walk(rules) {
            Verdict::Affected { difference, .. } => {
                let loose = Rules {
                    loose: true,
                    ..rules
                };
                let cosmetic = || matches!(sides.walk(loose), Verdict::Same(_));
                Verdict::Affected {
                    difference,
                    cosmetic: self.options.cosmetic.then(cosmetic),
                }
            }
            other => other,
        }
    }

    fn early(&self, early: Verdict) -> Verdict {
        match early {
            Verdict::Affected { difference, .. } => Verdict::Affected {
                difference,
                cosmetic: self.options.cosmetic.then_some(false),
            },
            other => other,
        }
    }

    /// What a program reaches from one symbol: each thing, and how it differs if it
    /// does.
    ///
    /// # Errors
    /// When its closure cannot be found, or nobody in it has the symbol.
    pub fn explain(
        &self,
        program: &Path,
        symbol: &str,
    ) -> Result<Result<Explained, Doubt>, ReachError> {
        let closures = Closures::of(&self.store, program, &self.change)?;
        let sides = match Sides::of_all(&closures, &self.shared) {
            Ok(sides) => sides,
            Err(early) => {
                return match *early {
                    Verdict::Unknown(doubt) => Ok(Err(doubt)),
                    Verdict::Affected { difference, .. } => Ok(Ok(Explained {
                        reached: Vec::new(),
                        differences: vec![difference],
                        ..Explained::default()
                    })),
                    Verdict::Same(_) => Ok(Ok(Explained::default())),
                };
            }
        };
        let explained = sides.explain(symbol);
        Ok(Ok(
            explained.ok_or_else(|| ReachError::NoSymbol(symbol.to_owned()))?
        ))
    }
}

/// What a build has in the place of a plugin, if that is another one.
fn changed(plugin: &Path, build: &Build) -> Option<PathBuf> {
    let successor = build.of_name(plugin.file_name()?)?;
    let read = |path: &Path| MappedElf::open(path).ok();
    let same = match (read(plugin), read(successor)) {
        (Some(a), Some(b)) => a.bytes() == b.bytes(),
        _ => false,
    };
    (!same).then(|| successor.to_owned())
}
