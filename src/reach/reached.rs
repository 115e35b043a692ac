//! What a program starts with and reaches, with the old and with the new libraries.

use std::collections::HashSet;

use super::closures::{Closures, name};
use super::flaw::Flaw;
use super::pair::{Difference, Doubt, How, Parent, Rules, Step, Walk};
use super::shared::Names;
use super::sides::Sides;
use super::slice::slice;
use super::verdict::{Explained, Extents, Verdict, affected};
use super::world::{Choices, Node, Target, World};
use crate::arch::Class;
use crate::resolve::addresses::hash;
use crate::update::Subject;

/// What ld.so asks libraries for by itself (glibc elf/rtld.c, elf/dl-minimal.c,
/// elf/dl-call-libc-early-init.c).
const OF_LDSO: [&[u8]; 5] = [
    b"malloc",
    b"calloc",
    b"realloc",
    b"free",
    b"__libc_early_init",
];

impl Sides<'_> {
    /// What the program, or the plugin that it has opened, and ld.so start with.
    fn roots(&self) -> Vec<(Target, Target)> {
        let whole = self.closures.whole();
        let names = self.names(&self.closures.new, whole);
        let mut roots: Vec<_> = self.asked_by(whole, &names);
        for name in OF_LDSO {
            let find = |world: &World<'_>| {
                let definition = world.scope.find(name, None, Class::Plt)?;
                Some(world.definition(definition))
            };
            roots.extend(find(&self.old).zip(find(&self.new)));
        }
        let graphs = (0..self.new.parts.len()).filter_map(|object| {
            let object = u32::try_from(object).ok()?;
            let target = |world: &World<'_>| Some(made(object, world.graph(object)?.constructors));
            target(&self.old).zip(target(&self.new))
        });
        roots.extend(graphs);
        roots
    }

    /// What an object that is the same on both sides asks for.
    fn asked_by(&self, object: usize, names: &Names) -> Vec<(Target, Target)> {
        let index = u32::try_from(object).unwrap_or(u32::MAX);
        let pairs = names.symbols.iter().map(|&(symbol, class)| {
            let old = self.old.resolve(index, symbol, class);
            (old, self.new.resolve(index, symbol, class))
        });
        pairs.collect()
    }

    /// What ld.so chooses for all objects that are looked into, by symbol.
    fn choices(&self) -> [Choices; 2] {
        let of = |world: &World<'_>, subject: &Subject| {
            let mut all = Choices::new();
            let objects = || (0..world.parts.len()).map(|object| (object, object as u32));
            let inside = objects().filter(|(_, index)| world.graph(*index).is_some());
            let chooses = inside.flat_map(|(object, _)| {
                let names = self.names(subject, object);
                names.chooses.iter().copied().collect::<Vec<_>>()
            });
            let chooses: HashSet<u32> = chooses.collect();
            for (object, index) in objects() {
                world.choices(index, &self.names(subject, object), &chooses, &mut all);
            }
            all
        };
        [
            of(&self.old, &self.closures.old),
            of(&self.new, &self.closures.new),
        ]
    }

    /// Compares what can be reached.
    pub(super) fn walk(&self, rules: Rules) -> Verdict {
        let mut walk = Walk::new(&self.old, &self.new, rules);
        let mut roots = self.roots();
        let [before, after] = self.choices();
        for (asked, &old) in &before {
            if let Some(&new) = after.get(asked) {
                roots.push((made(old.object, old.atom), made(new.object, new.atom)));
            }
        }
        for &(old, new) in &roots {
            walk.start(old, new);
        }
        let odd =
            |asked: &&(u32, Vec<u8>)| before.contains_key(*asked) != after.contains_key(*asked);
        if let Some((_, name)) = before.keys().chain(after.keys()).find(odd) {
            walk.differences.push(Difference {
                path: vec![Step {
                    library: "ld.so".to_owned(),
                    name: format!("the choice of {}", String::from_utf8_lossy(name)),
                }],
                how: How::Presence,
            });
        }
        self.executable_lookups(&mut walk, &roots);
        self.follow_lookups(&mut walk, &mut roots);
        if let Some(difference) = walk.differences.first() {
            return affected(difference.clone());
        }
        for &(object, flaw) in &self.opaque {
            let asked = self.asked_by(object, &self.names(&self.closures.new, object));
            for &(old, new) in &asked {
                walk.start(old, new);
                if walk.is_finder(&new) || !walk.differences.is_empty() || !walk.doubts.is_empty() {
                    return self.through(object, flaw, &walk);
                }
            }
            roots.extend(asked);
        }
        self.follow_lookups(&mut walk, &mut roots);
        if let Some(doubt) = walk.doubts.first() {
            return Verdict::Unknown(doubt.clone());
        }
        if let Some(difference) = walk.differences.first() {
            return affected(difference.clone());
        }
        if rules.loose {
            return Verdict::Same(None);
        }
        let (old, new): (Vec<_>, Vec<_>) = roots.into_iter().unzip();
        let sum = slice(&self.new, &new);
        if slice(&self.old, &old) != sum {
            return Verdict::Unknown(Doubt {
                path: Vec::new(),
                reason: "the two ways of comparing do not agree",
                remedy: "run its tests, and report it with the two libraries",
            });
        }
        Verdict::Same(Some(sum))
    }

    /// Something is reached, or could be, through a library that is not looked into.
    fn through(&self, object: usize, flaw: Flaw, walk: &Walk<'_>) -> Verdict {
        let library = Closures::library(&self.closures.new, object).map(name);
        let library = library.unwrap_or_default();
        let rest = match (walk.differences.first(), walk.doubts.first()) {
            (Some(difference), _) => difference.path.clone(),
            (None, Some(doubt)) => doubt.path.clone(),
            (None, None) => Vec::new(),
        };
        let first = Step {
            library,
            name: "anything in it".to_owned(),
        };
        Verdict::Unknown(Doubt {
            path: std::iter::once(first).chain(rest).collect(),
            reason: match flaw {
                Flaw::NoSymbols => "is between, and has no symbols",
                _ => "is between, and cannot be looked into",
            },
            remedy: flaw.remedy(),
        })
    }

    /// Symbols that the executable, or the plugin, itself looks up while it runs.
    fn executable_lookups(&self, walk: &mut Walk<'_>, roots: &[(Target, Target)]) {
        let finder = roots.iter().find(|(_, new)| walk.is_finder(new));
        let Some((_, new)) = finder else { return };
        let node = new.node;
        let whole = Closures::library(&self.closures.new, self.closures.whole());
        match whole.and_then(|library| self.shared.lookups(library)) {
            Some(names) => {
                let names = names.into_iter().map(|name| (node, name));
                walk.looked_up.extend(names);
            }
            None => walk.doubt(
                Parent::Root,
                Some(node),
                "looks symbols up by names that are not constant",
                "run its tests",
            ),
        }
    }

    /// What is looked up by constant names is reached too.
    fn follow_lookups(&self, walk: &mut Walk<'_>, roots: &mut Vec<(Target, Target)>) {
        let mut seen: HashSet<Box<[u8]>> = HashSet::new();
        while let Some((from, name)) = walk.looked_up.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let hash = hash::gnu(&name);
            let of = |world: &World<'_>, subject: &Subject| {
                let has = |object| self.names(subject, object).offers.contains(&hash);
                world.definitions(&name, has)
            };
            let old = of(&self.old, &self.closures.old);
            let new = of(&self.new, &self.closures.new);
            if !old.keys().eq(new.keys()) {
                walk.differences.push(Difference {
                    path: vec![Step {
                        library: "dlsym".to_owned(),
                        name: String::from_utf8_lossy(&name).into_owned(),
                    }],
                    how: How::Presence,
                });
            }
            for (asked, old) in old {
                let Some(&new) = new.get(&asked) else {
                    continue;
                };
                let pair = (self.old.definition(old), self.new.definition(new));
                walk.start_from(from, pair.0, pair.1);
                roots.push(pair);
            }
        }
    }

    /// All that is there in the libraries that are looked into, and whether the program
    /// reaches it.
    pub(super) fn extents(&self) -> Vec<Extents> {
        let rules = Rules {
            all: true,
            plugins_declared: true,
            ..Rules::default()
        };
        let mut walk = Walk::new(&self.old, &self.new, rules);
        let mut roots = self.roots();
        let [before, after] = self.choices();
        for (old, new) in before.values().zip(after.values()) {
            roots.push((made(old.object, old.atom), made(new.object, new.atom)));
        }
        for &(old, new) in &roots {
            walk.start(old, new);
        }
        self.executable_lookups(&mut walk, &roots);
        self.follow_lookups(&mut walk, &mut roots);
        let reached: HashSet<Node> = walk.reached().into_iter().collect();
        let objects = self.new.scope.objects().iter().zip(0_u32..);
        let all = objects.filter_map(|(library, object)| {
            let graph = self.new.graph(object)?;
            let atoms = (0_u32..).zip(&graph.atoms);
            let atoms = atoms.filter(|(_, atom)| atom.start < atom.end);
            let mut pieces: Vec<_> = atoms
                .map(|(index, atom)| {
                    let node = Node {
                        object,
                        atom: index,
                    };
                    (atom.start, atom.end, reached.contains(&node))
                })
                .collect();
            pieces.sort_unstable();
            Some(Extents {
                library: library.path().to_owned(),
                pieces,
            })
        });
        all.collect()
    }

    /// What is reached from `symbol`, whoever in the closure has it.
    pub(super) fn explain(&self, symbol: &str) -> Option<Explained> {
        let rules = Rules {
            all: true,
            plugins_declared: true,
            ..Rules::default()
        };
        let mut walk = Walk::new(&self.old, &self.new, rules);
        let (name, version) = match symbol.split_once('@') {
            Some((name, version)) => (name, Some(version.trim_start_matches('@').as_bytes())),
            None => (symbol, None),
        };
        let find = |world: &World<'_>| {
            let found = world.scope.find(name.as_bytes(), version, Class::Plt)?;
            Some(world.definition(found))
        };
        let (old, new) = (find(&self.old), find(&self.new));
        match (old, new) {
            (None, None) => return None,
            (Some(old), Some(new)) => {
                walk.start(old, new);
                self.follow_lookups(&mut walk, &mut Vec::new());
            }
            _ => walk.differences.push(Difference {
                path: vec![Step {
                    library: String::new(),
                    name: symbol.to_owned(),
                }],
                how: How::Presence,
            }),
        }
        let reached = walk.reached();
        let named = reached.into_iter().filter(|node| {
            let graph = self.new.graph(node.object);
            graph.is_some_and(|graph| graph.name(node.atom).is_some())
        });
        let mut steps: Vec<(String, String)> = named
            .map(|node| (self.new.library(node.object), self.new.label(node)))
            .collect();
        steps.sort();
        steps.dedup();
        let reached = steps
            .into_iter()
            .map(|(library, name)| Step { library, name });
        Some(Explained {
            reached: reached.collect(),
            differences: std::mem::take(&mut walk.differences),
            doubts: std::mem::take(&mut walk.doubts),
        })
    }
}

fn made(object: u32, atom: u32) -> Target {
    Target {
        node: Node { object, atom },
        offset: 0,
        definition: None,
    }
}
