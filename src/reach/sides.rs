//! A program with two sets of libraries: which of them have to be looked into.
//!
//! A library that has not changed, and that asks for nothing that leads to a change, is
//! not looked into. One that should be and has no symbols counts as reached as a whole.

use std::cell::RefCell;
use std::collections::HashSet;

use object::elf;

use super::closures::{Closures, name};
use super::flaw::Flaw;
use super::pair::{Difference, Doubt, How, Step};
use super::shared::{Names, Shared};
use super::verdict::{Verdict, affected};
use super::world::{Part, World, interesting};
use crate::resolve::Library;
use crate::resolve::addresses::lookup::Scope;
use crate::update::Subject;

/// DF_1_INITFIRST: its constructors run before all others.
const INITFIRST: u64 = elf::DF_1_INITFIRST.0;

/// A library that counts as reached as a whole, and why.
pub(super) type Opaque = (usize, Flaw);

pub(super) struct Sides<'a> {
    pub(super) closures: &'a Closures,
    pub(super) shared: &'a Shared,
    pub(super) old: World<'a>,
    pub(super) new: World<'a>,
    changes: bool,
    pub(super) opaque: Vec<Opaque>,
}

impl<'a> Sides<'a> {
    /// Err is a verdict that needs no more.
    pub(super) fn new(closures: &'a Closures, shared: &'a Shared) -> Result<Self, Box<Verdict>> {
        Self::build(closures, shared, false)
    }

    /// The same with all libraries looked into.
    pub(super) fn of_all(closures: &'a Closures, shared: &'a Shared) -> Result<Self, Box<Verdict>> {
        Self::build(closures, shared, true)
    }

    fn build(closures: &'a Closures, shared: &'a Shared, all: bool) -> Result<Self, Box<Verdict>> {
        if let Some(doubt) = &closures.elsewhere {
            return Err(Box::new(Verdict::Unknown(doubt.clone())));
        }
        compare_closures(closures, shared)?;
        let count = closures.old.closure.nodes.len() + 1;
        let changed: Vec<bool> = (0..count)
            .map(|object| {
                let old = Closures::library(&closures.old, object);
                let new = Closures::library(&closures.new, object);
                matches!((old, new), (Some(old), Some(new)) if !shared.is_same(old, new))
            })
            .collect();
        let mut sides = Self {
            closures,
            shared,
            old: leaves(&closures.old.scope, count, closures.at_start()),
            new: leaves(&closures.new.scope, count, closures.at_start()),
            changes: changed.contains(&true),
            opaque: Vec::new(),
        };
        if sides.changes || all {
            let inside = match all {
                true => vec![true; count],
                false => sides.looked_into(&changed),
            };
            sides.add_graphs(&changed, &inside)?;
        }
        Ok(sides)
    }

    /// Whether any of its libraries is another one.
    pub(super) fn loads_a_change(&self) -> bool {
        self.changes
    }

    pub(super) fn names(&self, subject: &Subject, object: usize) -> std::sync::Arc<Names> {
        match Closures::library(subject, object) {
            Some(library) => self.shared.names(library),
            None => std::sync::Arc::default(),
        }
    }

    /// Which objects have changed or ask for something that leads to a change.
    fn looked_into(&self, changed: &[bool]) -> Vec<bool> {
        let closures = self.closures;
        let mut inside = changed.to_vec();
        let mut names: HashSet<u32> = interesting(closures.plugins_declared);
        for (object, _) in changed.iter().enumerate().filter(|(_, changed)| **changed) {
            names.extend(&self.names(&closures.old, object).offers);
            names.extend(&self.names(&closures.new, object).offers);
        }
        loop {
            let mut more = false;
            for (object, inside) in inside.iter_mut().enumerate().skip(1) {
                let ldso = Closures::library(&closures.new, object).is_some_and(|l| l.is_ldso());
                if *inside || ldso || object == closures.whole() {
                    continue;
                }
                let own = self.names(&closures.new, object);
                if own.wants.iter().any(|name| names.contains(name)) {
                    *inside = true;
                    more = true;
                    names.extend(&own.offers);
                }
            }
            if !more {
                return inside;
            }
        }
    }

    fn add_graphs(&mut self, changed: &[bool], inside: &[bool]) -> Result<(), Box<Verdict>> {
        let objects = changed.iter().zip(inside).enumerate().skip(1);
        for (object, (&changed, _)) in objects.filter(|(_, (_, inside))| **inside) {
            let libraries = (
                Closures::library(&self.closures.old, object),
                Closures::library(&self.closures.new, object),
            );
            let (Some(old), Some(new)) = libraries else {
                continue;
            };
            if new.is_ldso() {
                continue;
            }
            let after = self.shared.graph(new);
            let before = match changed {
                true => self.shared.graph(old),
                false => after.clone(),
            };
            match (before, after) {
                (Ok(before), Ok(after)) => {
                    set(&mut self.old, object, Part::Graph(before));
                    set(&mut self.new, object, Part::Graph(after));
                }
                (Err(flaw), _) if changed => return Err(flawed(&name(old), flaw, "the old ")),
                (_, Err(flaw)) if changed => return Err(flawed(&name(new), flaw, "the new ")),
                (Err(flaw), _) | (_, Err(flaw)) => self.opaque.push((object, flaw)),
            }
        }
        Ok(())
    }
}

fn leaves(scope: &Scope, count: usize, at_start: usize) -> World<'_> {
    World {
        scope,
        at_start,
        known: RefCell::default(),
        parts: vec![Part::Leaf; count],
    }
}

fn set(world: &mut World<'_>, object: usize, part: Part) {
    if let Some(slot) = world.parts.get_mut(object) {
        *slot = part;
    }
}

fn flawed(library: &str, flaw: Flaw, which: &str) -> Box<Verdict> {
    Box::new(Verdict::Unknown(Doubt {
        path: vec![Step {
            library: format!("{which}{library}"),
            name: String::new(),
        }],
        reason: match flaw {
            Flaw::NoSymbols => "has no symbols",
            Flaw::NoSections => "has no section headers",
            Flaw::TextRelocations => "has text relocations",
            Flaw::Machine => "is for a processor whose code is not decoded: only that of x86-64 is",
            Flaw::Malformed(why) => why,
            Flaw::TooLarge => "is too large",
        },
        remedy: flaw.remedy(),
    }))
}

/// Another set or order of libraries, or another ld.so, changes everything.
fn compare_closures(closures: &Closures, shared: &Shared) -> Result<(), Box<Verdict>> {
    let names = (
        Closures::names(&closures.old),
        Closures::names(&closures.new),
    );
    let presence = |library: String, name: &str, how| {
        let name = name.to_owned();
        let path = vec![Step { library, name }];
        Err(Box::new(affected(Difference { path, how })))
    };
    if names.0 != names.1 {
        let (old, new) = (&names.0, &names.1);
        let alone = |a: &[String], b: &[String]| a.iter().find(|n| !b.contains(n)).cloned();
        let odd = alone(new, old).or_else(|| alone(old, new));
        return match odd {
            Some(library) => presence(library, "the whole library", How::Presence),
            None => presence("the libraries".to_owned(), "their order", How::Content),
        };
    }
    // The order of constructors follows from these (glibc elf/dl-sort-maps.c).
    let order = |library: &Library| {
        let flags = library.map().elf().ok().and_then(|elf| {
            let dynamic = elf.dynamic().ok()??;
            dynamic.value(elf::DT_FLAGS_1)
        });
        (library.needs.clone(), flags.unwrap_or(0) & INITFIRST)
    };
    for object in 1..=names.0.len() {
        let pair = (
            Closures::library(&closures.old, object),
            Closures::library(&closures.new, object),
        );
        if let (Some(old), Some(new)) = pair
            && order(old) != order(new)
        {
            return presence(name(new), "what it needs", How::Content);
        }
    }
    let (old, new) = (&closures.old.closure.ldso.1, &closures.new.closure.ldso.1);
    if !shared.is_same(old, new) {
        return presence(name(new), "which starts every program", How::Content);
    }
    Ok(())
}
