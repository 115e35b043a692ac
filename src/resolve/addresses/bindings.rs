//! Where every symbolic relocation of a closure points.
//!
//! Decides for each slot what ld.so would write with eager binding, as an
//! offset into an object, or that ld.so must do it itself at start: IFUNC
//! targets depend on the processor, and some answers depend on the order of
//! lookups. How the result is stored is `table::bindings`' work.
//! Follows elf_machine_rela of glibc (dl-machine.h of each machine) and
//! elf/dl-lookup.c (do_lookup_unique).

use std::collections::{HashMap, HashSet};

use object::elf;
use rayon::prelude::*;

use super::entries::{RawSymbol, Rela};
use super::lookup::{Definition, Resolution, Scope};
use super::object::LoadedObject;
use super::plan::{Refusal, Symbolic};
use crate::arch::Class;

/// What a slot holds once it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// An offset from the load address of an object of the scope.
    Object {
        /// Index of the object.
        object: u32,
        /// Offset from its load address, in bytes.
        offset: u32,
    },
    /// The same in every process: SHN_ABS symbols, undefined weak ones (0).
    Absolute(u32),
}

/// A slot and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Address of the slot, relative to the load address of its object.
    pub slot: u32,
    /// What it holds.
    pub target: Target,
}

/// What becomes of one object's relocations.
#[derive(Clone, Debug, Default)]
pub struct ObjectBindings {
    /// Slots that can be written without ld.so.
    pub bound: Vec<Binding>,
    /// Slots that hold what an IFUNC resolver returns; `target` is the resolver.
    /// The writer makes them IRELATIVE, so that ld.so calls it.
    pub indirect: Vec<Binding>,
    /// Entries that ld.so processes as they are.
    pub residual: Vec<Rela>,
    /// DT_JMPREL stays as it is: a function in it is only for its first call to
    /// look up.
    pub keeps_jump: bool,
    /// Everything stays with ld.so; the other fields are what would have been.
    pub refusal: Option<Refusal>,
    /// How many symbols ld.so would look up with eager binding. It remembers
    /// the last one, so runs of entries with one symbol count once.
    pub lookups: usize,
}

/// The bindings of every object of a scope, in its order.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// One for each object, the executable first.
    pub objects: Vec<ObjectBindings>,
}

impl Bindings {
    /// Number of slots that can be written without ld.so.
    pub fn bound_slots(&self) -> usize {
        self.objects.iter().map(|o| o.bound.len()).sum()
    }

    /// Number of lookups that ld.so is spared at start.
    pub fn lookups(&self) -> usize {
        self.objects.iter().map(|o| o.lookups).sum()
    }
}

/// What one relocation came to, before all lookups of the closure are known.
enum Outcome {
    Bound(Target),
    Indirect(Target),
    Residual,
    /// A lazily bound function that only its first call may look up: nobody
    /// provides it, or ld.so would refuse it at start, or a resolver would run
    /// before what it uses is there.
    Late,
}

/// A lookup that ended at an STB_GNU_UNIQUE symbol.
struct Unique {
    definition: (usize, u32),
    name: Vec<u8>,
    /// The definition has a version: one library exports it on purpose.
    versioned: bool,
}

struct Draft {
    outcomes: Vec<Outcome>,
    /// Index of the relocation, and what it found.
    unique: Vec<(usize, Unique)>,
    lookups: usize,
}

/// Binds a whole scope.
pub fn bind(scope: &Scope) -> Bindings {
    let count = scope.objects().len();
    let drafts: Vec<Draft> = (0..count)
        .into_par_iter()
        .map(|index| draft(scope, index))
        .collect();
    let left = unique_entries_left(scope, &drafts);
    let refused: Vec<bool> = scope
        .objects()
        .iter()
        .map(|o| o.relocation_plan().refusal.is_some())
        .collect();
    // A resolver that runs at the first call may use whatever constructors and
    // other objects have made ready by then. Those of glibc use only what ld.so
    // knows before it maps the first library.
    let early: Vec<bool> = scope
        .objects()
        .iter()
        .zip(&refused)
        .map(|(object, refused)| !refused && object.defines_version(b"GLIBC_PRIVATE"))
        .collect();
    let objects = scope
        .objects()
        .par_iter()
        .zip(drafts)
        .zip(left)
        .enumerate()
        .map(|(index, ((object, draft), left))| finish(index, object, draft, &left, &early))
        .collect();
    Bindings { objects }
}

/// Resolves every symbolic entry of one object.
fn draft(scope: &Scope, index: usize) -> Draft {
    let mut draft = Draft {
        outcomes: Vec::new(),
        unique: Vec::new(),
        lookups: 0,
    };
    let mut last = None;
    let Some(object) = scope.objects().get(index) else {
        return draft;
    };
    let plan = object.relocation_plan();
    let types = object.relocation_types();
    let mut cache = Cache::new(object.symbol_count());
    draft.outcomes.reserve_exact(plan.symbolic.len());
    for (at, entry) in plan.symbolic.iter().enumerate() {
        let class = (types.class)(entry.entry.kind);
        if last.replace((entry.symbol, class)) != Some((entry.symbol, class)) {
            let looks = |s: RawSymbol| s.binding() != elf::STB_LOCAL && !s.binds_locally();
            draft.lookups += usize::from(object.symbol(entry.symbol).is_some_and(looks));
        }
        let found = cache.get(entry.symbol, class, || {
            scope.resolve(index, entry.symbol, class)
        });
        if let Resolution::Found(definition) = found
            && definition.raw.binding() == elf::STB_GNU_UNIQUE
            && let Some(name) = object.symbol_name(entry.symbol)
        {
            let unique = Unique {
                definition: (definition.object, definition.symbol),
                name: name.to_vec(),
                versioned: is_versioned(scope, &definition),
            };
            draft.unique.push((at, unique));
        }
        draft.outcomes.push(outcome(object, index, entry, found));
    }
    draft
}

/// Each symbol is looked up once a class, however many slots refer to it.
struct Cache {
    data: Vec<u32>,
    plt: Vec<u32>,
    found: Vec<Resolution>,
}

impl Cache {
    fn new(symbols: usize) -> Self {
        Self {
            data: vec![0; symbols],
            plt: vec![0; symbols],
            found: Vec::new(),
        }
    }

    fn get(
        &mut self,
        symbol: u32,
        class: Class,
        resolve: impl FnOnce() -> Resolution,
    ) -> Resolution {
        let places = if class == Class::Plt {
            &mut self.plt
        } else {
            &mut self.data
        };
        let Some(place) = places.get_mut(symbol as usize) else {
            return resolve();
        };
        if let Some(&known) = (*place as usize)
            .checked_sub(1)
            .and_then(|i| self.found.get(i))
        {
            return known;
        }
        let found = resolve();
        self.found.push(found);
        *place = u32::try_from(self.found.len()).unwrap_or(0);
        found
    }
}

/// elf_machine_rela's value for one entry.
fn outcome(object: &LoadedObject, from: usize, entry: &Symbolic, found: Resolution) -> Outcome {
    let outcome = match found {
        Resolution::Found(definition) if definition.ambiguous => Outcome::Residual,
        Resolution::Found(definition) => value(from, entry, &definition),
        Resolution::Zero => match u32::try_from(entry.addend) {
            Ok(value) => Outcome::Bound(Target::Absolute(value)),
            Err(_) => Outcome::Residual,
        },
        // ld.so shall say what is missing.
        Resolution::Missing => Outcome::Residual,
    };
    match outcome {
        Outcome::Residual if entry.jump && object.binds_late(entry.symbol) => Outcome::Late,
        other => other,
    }
}

fn value(from: usize, entry: &Symbolic, definition: &Definition) -> Outcome {
    let raw = &definition.raw;
    let address = raw.value.wrapping_add_signed(entry.addend);
    let (Ok(address), Ok(object)) = (u32::try_from(address), u32::try_from(definition.object))
    else {
        return Outcome::Residual;
    };
    let target = if raw.shndx == elf::SHN_ABS {
        Target::Absolute(address)
    } else {
        Target::Object {
            object,
            offset: address,
        }
    };
    if raw.kind() != elf::STT_GNU_IFUNC || raw.shndx == elf::SHN_UNDEF {
        return Outcome::Bound(target);
    }
    // ld.so adds the addend to what the resolver returns, which IRELATIVE
    // cannot say; and it refuses libraries' references to the executable's.
    let plain = entry.addend == 0 && raw.shndx != elf::SHN_ABS;
    if plain && (definition.object != 0 || from == 0) {
        Outcome::Indirect(target)
    } else {
        Outcome::Residual
    }
}

fn is_versioned(scope: &Scope, definition: &Definition) -> bool {
    let object = scope.objects().get(definition.object);
    object.is_some_and(|o| o.symbol_version(definition.symbol).is_some())
}

/// For each object, the entries whose lookup of an STB_GNU_UNIQUE symbol has to
/// be ld.so's.
///
/// Those of a name that different lookups find in different places, since
/// ld.so gives all of them what the first lookup finds. And one of every other
/// name, so that ld.so's table of unique symbols knows it when a library is
/// opened later that looks into itself first (RTLD_DEEPBIND, -Bsymbolic) and
/// has a copy of its own. Symbols with a version are no copies of something in
/// a header, and are not worth the lookup.
fn unique_entries_left(scope: &Scope, drafts: &[Draft]) -> Vec<HashSet<usize>> {
    let all = || {
        let numbered = drafts.iter().enumerate();
        numbered.flat_map(|(object, draft)| draft.unique.iter().map(move |u| (object, u)))
    };
    let mut first: HashMap<&[u8], (usize, u32)> = HashMap::new();
    let mut contested: HashSet<&[u8]> = HashSet::new();
    for (_, (_, unique)) in all() {
        let known = first.entry(&unique.name).or_insert(unique.definition);
        if *known != unique.definition {
            contested.insert(&unique.name);
        }
    }
    let can_leave: Vec<bool> = scope
        .objects()
        .iter()
        .map(|o| o.has_rela() && o.relocation_plan().refusal.is_none())
        .collect();
    let mut left = vec![HashSet::new(); drafts.len()];
    let mut known: HashSet<&[u8]> = HashSet::new();
    for (object, (at, unique)) in all() {
        let name = unique.name.as_slice();
        let entry = drafts.get(object).and_then(|d| d.outcomes.get(*at));
        let teaches = !unique.versioned
            && can_leave.get(object) == Some(&true)
            && matches!(entry, Some(Outcome::Bound(_)))
            && known.insert(name);
        if (teaches || contested.contains(name))
            && let Some(left) = left.get_mut(object)
        {
            left.insert(*at);
        }
    }
    left
}

fn finish(
    index: usize,
    object: &LoadedObject,
    draft: Draft,
    left: &HashSet<usize>,
    early: &[bool],
) -> ObjectBindings {
    let plan = object.relocation_plan();
    let mut outcomes = draft.outcomes;
    for at in left {
        if let Some(outcome) = outcomes.get_mut(*at) {
            *outcome = Outcome::Residual;
        }
    }
    let is_late = |target: &Target| match target {
        Target::Object { object, .. } => early.get(*object as usize) != Some(&true),
        Target::Absolute(_) => false,
    };
    let keeps_jump = !object.binds_now()
        && plan
            .symbolic
            .iter()
            .zip(&outcomes)
            .any(|(entry, outcome)| match outcome {
                Outcome::Late => true,
                Outcome::Indirect(resolver) => {
                    entry.jump && object.binds_late(entry.symbol) && is_late(resolver)
                }
                _ => false,
            });
    let mut result = ObjectBindings {
        keeps_jump,
        refusal: plan.refusal,
        lookups: draft.lookups,
        ..ObjectBindings::default()
    };
    result
        .bound
        .reserve_exact(plan.symbolic.len() + plan.relative.len());
    for (entry, outcome) in plan.symbolic.iter().zip(outcomes) {
        if keeps_jump && entry.jump {
            continue;
        }
        let slot = entry.slot;
        match outcome {
            Outcome::Bound(target) => result.bound.push(Binding { slot, target }),
            Outcome::Indirect(target) => result.indirect.push(Binding { slot, target }),
            Outcome::Residual | Outcome::Late => result.residual.push(entry.entry),
        }
    }
    for entry in &plan.relative {
        // Anything else than an offset into the object is left as it is.
        match u32::try_from(entry.entry.addend) {
            Ok(offset) => result.bound.push(Binding {
                slot: entry.slot,
                target: Target::Object {
                    object: index as u32,
                    offset,
                },
            }),
            Err(_) => result.residual.push(entry.entry),
        }
    }
    let kept = plan.residual.iter().filter(|r| !(keeps_jump && r.jump));
    result.residual.extend(kept.map(|r| r.entry));
    let is_left = !result.residual.is_empty() || !result.indirect.is_empty();
    if result.refusal.is_none() && is_left && !object.has_rela() {
        result.refusal = Some(Refusal::NoRela);
    }
    result
}
