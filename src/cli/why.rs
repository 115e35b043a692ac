//! `indir why`: who provides a symbol, and who wanted it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use crate::exit;
use crate::table::Replacement;
use crate::update::{self, Offer, Options, Subject, Want, Why};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Say who provides a symbol, and who wanted it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  indir why ./hello printf@GLIBC_2.2.5
  indir why ./hello printf --replace /store/glibc-2.36=/store/glibc-2.41

Offers are in ld.so's order: the first that fits is used. With --replace or
--lib-dir, what would be then stands behind `then`.

Exit codes: 0 somebody provides it; 1 nobody does, or something failed; 2 wrong
usage; 3 it is provided now and would not be then.")]
pub struct Args {
    /// A dynamically linked executable
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Name of the symbol, with a version to see only that
    #[arg(value_name = "SYMBOL[@VERSION]")]
    symbol: String,
    /// Ask what would be if the table's folders in OLD were in NEW
    #[arg(long, value_name = "OLD=NEW")]
    replace: Vec<Replacement>,
    /// Ask what would be if the table had this folder instead of its own
    #[arg(long = "lib-dir", value_name = "DIR")]
    lib_dirs: Vec<PathBuf>,
    /// The paths of programs and tables are those of the system in this folder
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// When the closure of the executable cannot be found.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (name, version) = match args.symbol.split_once('@') {
        Some((name, version)) => (name, Some(version.trim_start_matches('@'))),
        None => (args.symbol.as_str(), None),
    };
    let ask = |options: &Options| {
        let context = || format!("`{}`", args.path.display());
        update::why(&args.path, name, version, options).with_context(context)
    };
    let root = super::given::root(args.sysroot.as_deref())?;
    let now = ask(&Options {
        root: root.clone(),
        ..Options::default()
    })?;
    let lib_dirs = args.lib_dirs.iter();
    let lib_dirs = lib_dirs.map(|folder| super::given::absolute(&root, folder));
    let lib_dirs = lib_dirs.collect::<anyhow::Result<Vec<_>>>()?;
    let asked = Options {
        root: root.clone(),
        lib_dirs: (!lib_dirs.is_empty()).then(|| lib_dirs.clone()),
        replacements: args.replace.clone(),
        ..Options::default()
    };
    let programs = std::slice::from_ref(&args.path);
    let unknown = Subject::unconcerned(&root, programs, &asked);
    let nothing_asked = !unknown.is_empty() && unknown.len() == args.replace.len();
    let then = if lib_dirs.is_empty() && args.replace.is_empty() {
        None
    } else {
        Some(ask(&asked)?)
    };
    if args.json {
        let document = json!({
            "version": JSON_VERSION,
            "path": args.path.to_string_lossy(),
            "symbol": args.symbol,
            "now": to_json(&now),
            "then": then.as_ref().map(to_json),
        });
        crate::say::json(&document);
    } else {
        print(&now, then.as_ref().unwrap_or(&now));
    }
    super::given::unknown(&unknown);
    let lacks = |why: &Why| why.wants.iter().any(|w| w.provider.is_none() && !w.weak);
    if now.offers.is_empty() && then.as_ref().is_none_or(|then| then.offers.is_empty()) {
        crate::say::err!(
            "indir: nobody in the closure of `{}` provides `{}`",
            args.path.display(),
            args.symbol
        );
        return Ok(ExitCode::from(exit::FAILED));
    }
    let lost = then.as_ref().is_some_and(lacks) && !lacks(&now);
    Ok(ExitCode::from(if nothing_asked {
        exit::FAILED
    } else if lost {
        exit::REFUSED
    } else {
        exit::DONE
    }))
}

/// Libraries that are replaced have other paths: their names tell which one
/// another one stands for.
fn key(want: &Want) -> (Option<OsString>, &str) {
    let name = want.file.file_name().map(ToOwned::to_owned);
    (name, &want.symbol)
}

/// Prints both; `then` is `now` if nothing else was asked for.
fn print(now: &Why, then: &Why) {
    for want in &now.wants {
        let other = then.wants.iter().find(|other| key(other) == key(want));
        let before = provider(want);
        let change = match other.map(provider) {
            Some(after) if after == before => String::new(),
            Some(after) => format!(", then {after}"),
            None => ", then not wanted".to_owned(),
        };
        let file = want.file.display();
        crate::say::out!("{} wanted by {file} => {before}{change}", want.symbol);
    }
    for want in &then.wants {
        if now.wants.iter().all(|other| key(other) != key(want)) {
            let (file, provider) = (want.file.display(), provider(want));
            crate::say::out!("{} then wanted by {file} => {provider}", want.symbol);
        }
    }
    for offer in &now.offers {
        let change = if then.offers.contains(offer) {
            ""
        } else {
            ", then not"
        };
        let Offer { file, symbol } = offer;
        crate::say::out!("{symbol} offered by {}{change}", file.display());
    }
    for offer in then.offers.iter().filter(|o| !now.offers.contains(o)) {
        let Offer { file, symbol } = offer;
        crate::say::out!("{symbol} then offered by {}", file.display());
    }
}

fn provider(want: &Want) -> String {
    match &want.provider {
        Some(provider) => provider.display().to_string(),
        None if want.weak => "nobody (weak: its address is 0)".to_owned(),
        None => "nobody".to_owned(),
    }
}

fn to_json(why: &Why) -> serde_json::Value {
    let wants = why.wants.iter().map(|want| {
        json!({
            "file": want.file.to_string_lossy(),
            "symbol": want.symbol,
            "provider": want.provider.as_ref().map(|path| path.to_string_lossy()),
            "weak": want.weak,
        })
    });
    let offers = why
        .offers
        .iter()
        .map(|offer| json!({ "file": offer.file.to_string_lossy(), "symbol": offer.symbol }));
    json!({
        "wants": wants.collect::<Vec<_>>(),
        "offers": offers.collect::<Vec<_>>(),
    })
}
