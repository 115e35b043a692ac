//! `indir stand-in`: which of a library's trees a consumer sees, and why.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{ArgMatches, FromArgMatches};

use crate::elf::Root;
use crate::exit::Usage;
use crate::standin::choose::{Choice, Chooser, Library, Reason};
use crate::standin::tree::Tree;
use crate::standin::words::Words;
use crate::standin::{self, Kind};

/// Link to the earliest tree of a library that a consumer cannot tell from the new one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  indir stand-in --words curl.words --history openssl-3.0.20 --new openssl-3.0.22 -o seen/openssl
  indir stand-in --words curl.words --history ssl-1 --new ssl-2 -o seen/ssl \\
                 --history zlib-1 --new zlib-2 -o seen/zlib
  indir stand-in --explain openssl-3.0.20 openssl-3.0.22 --words curl.words

A library is its --history trees, the earliest first, one --new and one -o. In doubt the
link leads to the new tree.")]
pub struct Args {
    /// With --explain and nothing to write: an earlier tree and the new one.
    #[arg(value_name = "TREE", num_args = 2, conflicts_with_all = ["history", "new", "output"])]
    pair: Vec<PathBuf>,
    /// Words of the consumer and of the tools that build it, see `indir words`.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    words: Vec<PathBuf>,
    #[command(flatten)]
    libraries: Libraries,
    /// A tree or folder of headers that does not change, for what the others include.
    #[arg(long, value_name = "TREE")]
    with: Vec<PathBuf>,
    /// Print what was chosen and why.
    #[arg(long)]
    explain: bool,
    /// Print the same as one JSON document.
    #[arg(long)]
    json: bool,
}

/// Libraries in the order of the command line, which the parser alone knows.
#[derive(Debug)]
struct Libraries(Result<Vec<Given>, Usage>);

#[derive(Debug)]
struct Given {
    history: Vec<PathBuf>,
    new: PathBuf,
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Raw {
    /// An earlier tree of the library whose --new comes next; may be repeated.
    #[arg(long, value_name = "TREE")]
    history: Vec<PathBuf>,
    /// The new tree of a library: stubs, headers, files of pkg-config and CMake.
    #[arg(long, value_name = "TREE")]
    new: Vec<PathBuf>,
    /// The symlink to write, for each --new; a symlink that is there is replaced.
    #[arg(short, long, value_name = "LINK")]
    output: Vec<PathBuf>,
}

impl clap::Args for Libraries {
    fn augment_args(command: clap::Command) -> clap::Command {
        Raw::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Raw::augment_args_for_update(command)
    }
}

impl FromArgMatches for Libraries {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let raw = Raw::from_arg_matches(matches)?;
        let places = |id: &str| -> Vec<usize> {
            matches
                .indices_of(id)
                .map_or_else(Vec::new, Iterator::collect)
        };
        let mut all: Vec<(usize, Option<PathBuf>, Option<PathBuf>)> = Vec::new();
        for (at, path) in places("history").into_iter().zip(raw.history) {
            all.push((at, Some(path), None));
        }
        for (at, path) in places("new").into_iter().zip(raw.new) {
            all.push((at, None, Some(path)));
        }
        all.sort_by_key(|given| given.0);
        let usage = |text: &str| Ok(Self(Err(Usage(text.to_owned()))));
        let mut libraries = Vec::new();
        let mut history = Vec::new();
        for (_, earlier, new) in all {
            history.extend(earlier);
            if let Some(new) = new {
                libraries.push(Given {
                    history: std::mem::take(&mut history),
                    new,
                    output: None,
                });
            }
        }
        if !history.is_empty() {
            return usage("`--history` is not followed by the `--new` of its library");
        }
        if !raw.output.is_empty() && raw.output.len() != libraries.len() {
            return usage("each `--new` needs one `-o`, in the same order");
        }
        for (library, output) in libraries.iter_mut().zip(raw.output) {
            library.output = Some(output);
        }
        Ok(Self(Ok(libraries)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Runs `indir stand-in`.
///
/// # Errors
/// When words or a new tree cannot be read, or a link cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut given = args.libraries.0?;
    if let [old, new] = args.pair.as_slice() {
        given.push(Given {
            history: vec![old.clone()],
            new: new.clone(),
            output: None,
        });
    }
    if given.is_empty() {
        let why =
            "no library is given: name its trees with --history and --new, or two before --words";
        return Err(Usage(why.to_owned()).into());
    }
    let prints = args.explain || args.json;
    if !prints && given.iter().any(|library| library.output.is_none()) {
        let why = match args.pair.is_empty() {
            true => "nothing to do: give -o LINK for each --new, or --explain",
            false => "nothing to do: give --explain or --json with two trees",
        };
        return Err(Usage(why.to_owned()).into());
    }
    check(&given)?;
    let words = words(&args.words)?;
    let mut trees = Vec::new();
    let mut unreadable = Vec::new();
    let mut libraries = Vec::new();
    for library in &given {
        let mut history = Vec::new();
        let mut passed = Vec::new();
        for path in &library.history {
            match Tree::read(path) {
                Ok(tree) => {
                    history.push(trees.len());
                    trees.push(tree);
                }
                // An earlier tree that cannot be read does not stand in.
                Err(error) => passed.push((path.clone(), error.to_string())),
            }
        }
        let new = Tree::read(&library.new).context("cannot read the new tree")?;
        libraries.push(Library {
            history,
            new: trees.len(),
        });
        trees.push(new);
        unreadable.push(passed);
    }
    for path in &args.with {
        trees.push(Tree::read(path).context("cannot read a tree of --with")?);
    }
    let choices = Chooser::new(&trees, &words).choose(&libraries);
    // From here on something would be left.
    crate::interrupt::watch();
    for (library, choice) in given.iter().zip(&choices) {
        let tree = trees.get(choice.tree).context("no tree was chosen")?;
        if let Some(link) = &library.output {
            let target = super::given::absolute(&Root::default(), &tree.path)?;
            standin::replace(link, &target)
                .with_context(|| format!("cannot write {}", link.display()))?;
        }
    }
    let reports: Vec<Report> = given
        .iter()
        .zip(&choices)
        .zip(&unreadable)
        .zip(&libraries)
        .map(|(((given, choice), unreadable), library)| {
            let stands_in = choice.tree != library.new;
            report(given, choice, stands_in, unreadable, &trees)
        })
        .collect();
    if args.json {
        let document = serde_json::json!({ "version": 1, "libraries": reports });
        crate::say::json(&document);
    } else if args.explain {
        reports.iter().for_each(explain);
    }
    Ok(ExitCode::from(crate::exit::DONE))
}

/// Refuses what cannot be written, before anything is.
fn check(given: &[Given]) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    for link in given.iter().filter_map(|library| library.output.as_ref()) {
        let place =
            standin::check(link).with_context(|| format!("cannot write {}", link.display()))?;
        if !seen.insert(place) {
            bail!("two libraries have the same -o {}", link.display());
        }
    }
    Ok(())
}

fn words(paths: &[PathBuf]) -> anyhow::Result<Words> {
    /// Longest file of words, in bytes.
    const MAX: u64 = 1 << 30;
    let mut words = Words::default();
    for path in paths {
        let context = || format!("cannot read {}", path.display());
        let metadata = path.metadata().with_context(context)?;
        if !metadata.is_file() || metadata.len() > MAX {
            bail!("{}: no file of words (see `indir words`)", path.display());
        }
        let text = std::fs::read(path).with_context(context)?;
        match Words::from_text(&text) {
            Ok(more) => words.join(more).with_context(context)?,
            Err(line) => bail!(
                "{}:{line}: not a file of words of this version of indir; make it with `indir words`",
                path.display()
            ),
        }
    }
    Ok(words)
}

#[derive(serde::Serialize)]
struct Report {
    /// What is linked to.
    chosen: String,
    /// Whether it is an earlier tree.
    stands_in: bool,
    new: String,
    /// Differences between the two that the consumer does not reach.
    unseen: usize,
    passed: Vec<Passed>,
}

#[derive(serde::Serialize)]
struct Passed {
    tree: String,
    reasons: Vec<Why>,
}

#[derive(serde::Serialize)]
struct Why {
    kind: Kind,
    what: String,
    how: String,
}

fn report(
    library: &Given,
    choice: &Choice,
    stands_in: bool,
    unreadable: &[(PathBuf, String)],
    trees: &[Tree],
) -> Report {
    let path = |tree: usize| {
        let path = trees.get(tree).map_or(Path::new(""), |tree| &tree.path);
        path.display().to_string()
    };
    let why = |reason: &Reason| Why {
        kind: reason.kind,
        what: reason.what.clone(),
        how: reason.how.clone(),
    };
    let mut passed: Vec<Passed> = unreadable
        .iter()
        .map(|(tree, error)| Passed {
            tree: tree.display().to_string(),
            reasons: vec![Why {
                kind: Kind::Unreadable,
                what: error.clone(),
                how: String::new(),
            }],
        })
        .collect();
    passed.extend(choice.passed.iter().map(|(tree, reasons)| Passed {
        tree: path(*tree),
        reasons: reasons.iter().map(why).collect(),
    }));
    let chosen = path(choice.tree);
    let new = library.new.display().to_string();
    Report {
        stands_in,
        chosen,
        new,
        unseen: choice.unseen,
        passed,
    }
}

/// Most reasons that are told to people.
const MOST: usize = 5;

fn explain(report: &Report) {
    for passed in &report.passed {
        crate::say::out!("{}: cannot stand in for {}", passed.tree, report.new);
        for why in passed.reasons.iter().take(MOST) {
            let (kind, what) = (why.kind.word(), &why.what);
            match why.how.is_empty() {
                true => crate::say::out!("  {kind}: {what}"),
                false => crate::say::out!("  {kind}: {what}; {}", why.how),
            }
        }
        if passed.reasons.len() > MOST {
            crate::say::out!("  and {} more", passed.reasons.len() - MOST);
        }
    }
    match (report.stands_in, report.unseen) {
        (true, 0) => crate::say::out!("{}: stands in, it is the same", report.chosen),
        (true, count) => {
            let differences = match count {
                1 => "1 difference, which is not reached".to_owned(),
                _ => format!("{count} differences, none of which is reached"),
            };
            crate::say::out!(
                "{}: stands in for {}; {differences}",
                report.chosen,
                report.new
            );
        }
        (false, _) => crate::say::out!("{}: the new tree", report.chosen),
    }
}
