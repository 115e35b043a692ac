//! Whether a program can run or read what differs between two builds of its libraries.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::change::{Build, Change};
use super::closures::{self, Closures};
use super::error::ReachError;
use super::pair::{Difference, Doubt, How, Rules, Step};
use super::shared::Shared;
use super::sides::Sides;
use super::verdict::{Explained, Extents, Verdict, affected};
use crate::arch::x86_64;
use crate::elf::MappedElf;
use crate::resolve::Store;
use crate::resolve::check::{unmet, unmet_by_opened};
use crate::resolve::unmet::Unmet;
use crate::update::Subject;

/// What is asked of every program.
#[derive(Debug, Default)]
pub struct Options {
    /// Folders of what the programs open while they run.
    pub plugin_dirs: Vec<PathBuf>,
    /// Folders that libraries are searched for in, in place of those of tables.
    pub lib_dirs: Vec<PathBuf>,
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

/// An object that the programs open, with the old and with the new libraries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Plugin {
    old: Option<PathBuf>,
    new: Option<PathBuf>,
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
    /// A judge that shares `shared` among all of its questions.
    pub fn new(change: Change, options: Options, shared: Shared) -> Self {
        Self {
            store: Store::with_links(change.links()),
            change,
            options,
            shared,
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
        let mut closures =
            Closures::of(&self.store, program, &self.change, &self.options.lib_dirs)?;
        let plugins = self.plugins(&closures)?;
        closures.plugins_declared = plugins.is_some();
        let mut judgement = Judgement {
            program: closures.old.path.clone(),
            plugin: None,
            verdict: self.decide(&closures),
        };
        let plugins = plugins.unwrap_or_default();
        let folders = plugins.iter().filter_map(|plugin| plugin.new.as_deref());
        let mut siblings: Vec<PathBuf> = folders
            .filter_map(|path| path.parent().map(Path::to_owned))
            .collect();
        siblings.sort_unstable();
        siblings.dedup();
        // One that loads no change alone may be a change.
        for plugin in plugins {
            if matches!(judgement.verdict, Verdict::Affected { .. }) {
                break;
            }
            let verdict = self.of_plugin(&closures, &plugin, &siblings);
            let worse = match verdict {
                Verdict::Same(_) => false,
                Verdict::Affected { .. } => true,
                Verdict::Unknown(_) => matches!(judgement.verdict, Verdict::Same(_)),
            };
            if worse {
                judgement.verdict = verdict;
                judgement.plugin = plugin.new.or(plugin.old);
            }
        }
        Ok(judgement)
    }

    /// What is in the folders of plugins, if there are any. A table may name one that is
    /// gone.
    fn plugins(&self, closures: &Closures) -> Result<Option<Vec<Plugin>>, ReachError> {
        // An update that is the first to declare them does not change what is opened.
        let (old, new) = match (&closures.old.plugin_dirs, &closures.new.plugin_dirs) {
            (old, new) if old.is_empty() => (new, new),
            (old, new) if new.is_empty() => (old, old),
            both => both,
        };
        let own = |at: usize| (old.get(at).cloned(), new.get(at).cloned(), false);
        let given = self.options.plugin_dirs.iter();
        let given = given.map(|folder| (Some(folder.clone()), Some(folder.clone()), true));
        let mut plugins: Vec<Plugin> = Vec::new();
        let mut declared = false;
        for (old, new, given) in (0..old.len().max(new.len())).map(own).chain(given) {
            let objects = |folder: &Option<PathBuf>| match folder {
                None => Ok(BTreeMap::new()),
                Some(folder) => match self.store.objects_in(&x86_64::ARCH, folder) {
                    Ok(objects) => {
                        let all = objects.iter().map(|path| {
                            let inner = path.strip_prefix(folder).unwrap_or(path);
                            (inner.to_owned(), path.clone())
                        });
                        Ok(all.collect())
                    }
                    Err(why) if given => Err(ReachError::Plugins(folder.clone(), why.to_string())),
                    Err(_) => Ok(BTreeMap::new()),
                },
            };
            let there = |folder: &Option<PathBuf>| folder.as_deref().is_some_and(Path::is_dir);
            declared |= there(&old) || there(&new);
            let (before, mut after) = (objects(&old)?, objects(&new)?);
            let pairs = before.into_iter().map(|(inner, old)| Plugin {
                new: after.remove(&inner),
                old: Some(old),
            });
            plugins.extend(pairs.collect::<Vec<_>>());
            let more = after.into_values().map(Some);
            plugins.extend(more.map(|new| Plugin { old: None, new }));
        }
        let mut seen = HashSet::new();
        plugins.retain(|plugin| seen.insert(plugin.clone()));
        Ok(declared.then_some(plugins))
    }

    /// The program once it has opened a plugin; where that does not tell all of it, it is
    /// not guessed.
    fn of_plugin(&self, closures: &Closures, plugin: &Plugin, siblings: &[PathBuf]) -> Verdict {
        let differs = |path: &Path, how| {
            let path = vec![Step::of_file(path)];
            self.early(affected(Difference { path, how }))
        };
        let (old, new) = match (&plugin.old, &plugin.new) {
            (Some(old), Some(new)) => (old, new),
            (None, Some(one)) | (Some(one), None) => return differs(one, How::Presence),
            (None, None) => return Verdict::Same(None),
        };
        if old != new && !is_equal(old, new) {
            return differs(new, How::Content);
        }
        if let Change::Builds(before, after) = &self.change
            && let Some(changed) = changed(new, before).or_else(|| changed(new, after))
        {
            return differs(&changed, How::Content);
        }
        let opened = closures.opening(&self.store, (old, new), siblings, &self.change);
        let opened = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return Verdict::Same(None),
            Err(doubt) => return Verdict::Unknown(doubt),
        };
        match self.misses(&opened, &opened.old) {
            Ok(misses) if misses.iter().any(|miss| miss.symbol.is_some()) => {
                Verdict::Unknown(Doubt {
                    path: vec![Step::of_file(new)],
                    reason: "is a plugin that takes symbols from what else is opened",
                    remedy: "run its tests",
                })
            }
            Ok(_) => self.decide(&opened),
            Err(verdict) => verdict,
        }
    }

    /// What a closure, or what is opened in it, asks for and lacks.
    fn misses(&self, closures: &Closures, subject: &Subject) -> Result<Vec<Unmet>, Verdict> {
        let (exe, library, closure) = (&subject.path, &subject.library, &subject.closure);
        let found = match closures.plugin {
            None => unmet(&self.store, exe, library, closure),
            Some(first) => unmet_by_opened(exe, library, closure, first),
        };
        found.map_err(|(path, _)| {
            Verdict::Unknown(Doubt {
                path: vec![Step::of_file(&path)],
                reason: "has symbol tables that cannot be read",
                remedy: "run its tests",
            })
        })
    }

    /// What the new libraries lack and the old ones had: ld.so may not start it.
    fn missing(&self, closures: &Closures) -> Option<Verdict> {
        let of = |subject| {
            let misses = self.misses(closures, subject)?;
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
            let path = vec![Step {
                library: "the package".to_owned(),
                name: format!("`{}`", file.display()),
            }];
            let how = How::Content;
            return self.early(affected(Difference { path, how }));
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

    /// What of all of its libraries a program reaches.
    ///
    /// # Errors
    /// When its closure cannot be found, or nothing can be said of one of its libraries.
    pub fn extents(&self, program: &Path) -> Result<Result<Vec<Extents>, Verdict>, ReachError> {
        let closures = Closures::of(&self.store, program, &self.change, &self.options.lib_dirs)?;
        let sides = Sides::of_all(&closures, &self.shared);
        Ok(sides.map(|sides| sides.extents()).map_err(|early| *early))
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
        let closures = Closures::of(&self.store, program, &self.change, &self.options.lib_dirs)?;
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
    (!is_equal(plugin, successor)).then(|| successor.to_owned())
}

fn is_equal(old: &Path, new: &Path) -> bool {
    match (MappedElf::open(old), MappedElf::open(new)) {
        (Ok(old), Ok(new)) => old.bytes() == new.bytes(),
        _ => false,
    }
}
