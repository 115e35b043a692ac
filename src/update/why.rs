//! Who provides a symbol to whom. Reads only.

use std::path::{Path, PathBuf};

use object::elf::{SHN_UNDEF, STB_LOCAL};

use super::error::PlanError;
use super::options::Options;
use super::subject::Subject;
use crate::elf::VERSYM_HIDDEN;
use crate::resolve::Store;
use crate::resolve::addresses::lookup::{Resolution, Scope};

/// A definition of the symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The object that defines it.
    pub file: PathBuf,
    /// `name`, `name@VERSION` or, for the default version, `name@@VERSION`.
    pub symbol: String,
}

/// A reference to the symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The object that refers to it.
    pub file: PathBuf,
    /// `name` or `name@VERSION`.
    pub symbol: String,
    /// Who provides it; `None` if nobody does.
    pub provider: Option<PathBuf>,
    /// The reference is weak: without a provider its address is 0.
    pub weak: bool,
}

/// What the closure of an executable says about a symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// Every reference, in ld.so's order of objects.
    pub wants: Vec<Want>,
    /// Every definition, in the same order: the first that fits is used.
    pub offers: Vec<Offer>,
}

/// Looks `name` up in the closure of the executable at `exe`, with the folders
/// of its table if it has one, or with others if `options` say so; with
/// `version`, only what has that version.
///
/// # Errors
/// When the closure cannot be found.
pub fn why(
    exe: &Path,
    name: &str,
    version: Option<&str>,
    options: &Options,
) -> Result<Why, PlanError> {
    let Subject {
        path,
        closure,
        scope,
        ..
    } = Subject::of(&Store::in_root(options.root.clone()), exe, options)?;
    let mut paths = vec![path];
    paths.extend(closure.nodes.iter().map(|node| node.path.clone()));
    let mut why = Why::default();
    for (index, path) in paths.iter().enumerate() {
        wants(&scope, index, path, &paths, (name, version), &mut why);
        offers(&scope, index, path, (name, version), &mut why);
    }
    Ok(why)
}

fn wants(
    scope: &Scope,
    index: usize,
    path: &Path,
    paths: &[PathBuf],
    (name, version): (&str, Option<&str>),
    why: &mut Why,
) {
    for reference in scope.references(index) {
        let wanted = reference.version.map(|version| version.name);
        let asked = version.is_none() || version.map(str::as_bytes) == wanted;
        if reference.name != name.as_bytes() || !asked {
            continue;
        }
        let provider = match scope.resolve(index, reference.symbol, reference.class) {
            Resolution::Found(definition) => paths.get(definition.object).cloned(),
            Resolution::Zero | Resolution::Missing => None,
        };
        why.wants.push(Want {
            file: path.to_owned(),
            symbol: full_name(name, "@", wanted),
            provider,
            weak: reference.weak,
        });
    }
}

fn offers(
    scope: &Scope,
    index: usize,
    path: &Path,
    (name, version): (&str, Option<&str>),
    why: &mut Why,
) {
    let Some(object) = scope.objects().get(index) else {
        return;
    };
    let count = u32::try_from(object.symbol_count()).unwrap_or(u32::MAX);
    for symbol in 1..count {
        let Some(raw) = object.symbol(symbol) else {
            continue;
        };
        let undefined = raw.shndx == SHN_UNDEF;
        let local = raw.binding() == STB_LOCAL;
        if undefined || local || object.symbol_name(symbol) != Some(name.as_bytes()) {
            continue;
        }
        let has = object.symbol_version(symbol).map(|version| version.name);
        if version.is_some() && version.map(str::as_bytes) != has {
            continue;
        }
        let hidden = object
            .version_index(symbol)
            .is_some_and(|i| i & VERSYM_HIDDEN != 0);
        why.offers.push(Offer {
            file: path.to_owned(),
            symbol: full_name(name, if hidden { "@" } else { "@@" }, has),
        });
    }
}

fn full_name(name: &str, at: &str, version: Option<&[u8]>) -> String {
    match version {
        Some(version) => format!("{name}{at}{}", String::from_utf8_lossy(version)),
        None => name.to_owned(),
    }
}
