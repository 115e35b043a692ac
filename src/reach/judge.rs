//! Whether a program can run or read what differs between two builds of its libraries.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::builds::Change;
use super::closures::Closures;
use super::error::ReachError;
use super::pair::{Difference, Doubt, How, Rules, Step};
use super::shared::Shared;
use super::sides::Sides;
use super::verdict::{Explained, Verdict, affected};
use crate::resolve::Store;

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
        closures.plugins_declared = !folders.is_empty();
        let mut judgement = Judgement {
            program: closures.old.path.clone(),
            plugin: None,
            verdict: self.decide(&closures),
        };
        for plugin in self.plugins(&folders)? {
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

    /// What is in the folders of plugins. A table may name one that is gone.
    fn plugins(&self, folders: &[(PathBuf, bool)]) -> Result<Vec<PathBuf>, ReachError> {
        let mut plugins = Vec::new();
        for (folder, given) in folders {
            match self.store.objects_in(folder) {
                Ok(objects) => plugins.extend(objects.iter().cloned()),
                Err(why) if *given => {
                    return Err(ReachError::Plugins(folder.clone(), why.to_string()));
                }
                Err(_) => {}
            }
        }
        let mut seen = HashSet::new();
        plugins.retain(|plugin| seen.insert(plugin.clone()));
        Ok(plugins)
    }

    fn of_plugin(&self, plugin: &Path) -> Verdict {
        match Closures::of(&self.store, plugin, &self.change) {
            Ok(mut closures) => {
                closures.plugins_declared = true;
                self.decide(&closures)
            }
            Err(_) => Verdict::Unknown(Doubt {
                path: vec![Step {
                    library: plugin.display().to_string(),
                    name: String::new(),
                }],
                reason: "is a plugin whose libraries cannot be found",
                remedy: "run `indir why` on it, or take it out of the folder",
            }),
        }
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
