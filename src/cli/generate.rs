//! `indir generate`: manual pages and shell completions, from the same source
//! as `--help`. The bytes are a function of this executable: no date, no paths.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Subcommand, ValueHint};
use clap_complete::Shell;
use clap_mangen::{Man, roff};
use fs_err as fs;

/// Print manual pages or shell completions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    indir generate man update | man -l -\n  \
    indir generate man --out-dir /usr/local/share/man/man1\n  \
    indir generate completions bash > /etc/bash_completion.d/indir")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Manual pages, in roff
    #[command(after_help = "Example:\n  \
        indir generate man update | man -l -\n  \
        indir generate man --out-dir /usr/local/share/man/man1")]
    Man {
        /// Whose page to print, for example `update`; `indir`'s own without it
        #[arg(conflicts_with = "out_dir")]
        subcommand: Vec<String>,
        /// Write all pages into this folder instead
        #[arg(long, value_name = "DIR")]
        out_dir: Option<PathBuf>,
    },
    /// A completion script
    #[command(after_help = "Example:\n  \
        indir generate completions bash > /etc/bash_completion.d/indir\n  \
        indir generate completions fish > ~/.config/fish/completions/indir.fish")]
    Completions {
        /// For which shell
        shell: Shell,
    },
}

/// Runs `indir generate` for the command line `root`.
///
/// # Errors
/// An unknown subcommand; a file that cannot be written.
pub fn run(args: Args, root: clap::Command) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Man {
            out_dir: Some(dir), ..
        } => {
            fs::create_dir_all(&dir)?;
            for (name, page) in pages(&root)? {
                fs::write(dir.join(name), page)?;
            }
        }
        What::Man { subcommand, .. } => {
            let name = std::iter::once("indir".to_owned())
                .chain(subcommand)
                .collect::<Vec<_>>()
                .join("-");
            let page = pages(&root)?
                .into_iter()
                .find(|(file, _)| *file == format!("{name}.1") || file.replace('.', "-") == name)
                .map(|(_, page)| page)
                .with_context(|| {
                    format!("no manual page `{name}`; `indir help` lists the commands")
                })?;
            crate::say::data(&page);
        }
        What::Completions { shell } => crate::say::data(&completions(shell, &root)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What belongs under a prefix's `share` for the command line `root`: path relative to it, and content.
///
/// # Errors
/// None that depends on the machine; rendering writes to memory.
pub fn share(root: &clap::Command) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = pages(root)?
        .into_iter()
        .map(|(name, page)| {
            let folder = if name.ends_with(".7") {
                "man/man7"
            } else {
                "man/man1"
            };
            (Path::new(folder).join(name), page)
        })
        .collect();
    for (path, shell) in [
        ("bash-completion/completions/indir", Shell::Bash),
        ("zsh/site-functions/_indir", Shell::Zsh),
        ("fish/vendor_completions.d/indir.fish", Shell::Fish),
    ] {
        files.push((path.into(), completions(shell, root)));
    }
    Ok(files)
}

fn completions(shell: Shell, root: &clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut hinted(root.clone()), "indir", &mut script);
    script
}

/// With what values are: folders, files, programs on PATH.
fn hinted(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let hint = match arg.get_value_names().and_then(|names| names.first()) {
            Some(name) if name == "DIR" || name == "TREE" => ValueHint::DirPath,
            Some(name) if name == "FILE" || name == "LIB" => ValueHint::FilePath,
            Some(name) if name == "PROGRAM [ARGS]" => ValueHint::CommandWithArguments,
            _ => return arg,
        };
        arg.value_hint(hint)
    });
    command.mut_subcommands(hinted)
}

/// File name and text of every page: `indir.1`, `indir-update.1`, …
fn pages(root: &clap::Command) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut root = root.clone().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    let mut left = vec![root];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().cloned());
        let page = page(&command).context("failed to render a manual page")?;
        pages.push((Man::new(command).get_filename(), page));
    }
    pages.extend(
        super::pages::others()
            .iter()
            .map(|page| (page.file.to_owned(), page.render())),
    );
    pages.sort();
    Ok(pages)
}

/// One page; `Man::render` would run the examples together into a paragraph.
fn page(command: &clap::Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .source(concat!("indir ", env!("CARGO_PKG_VERSION")))
        .manual("indir");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    // What stands behind the options in `--help`, by its paragraphs.
    let after = command.get_after_help().map(ToString::to_string);
    let mut section = roff::Roff::new();
    let mut known = Vec::new();
    for paragraph in after.iter().flat_map(|text| text.split("\n\n")) {
        let heading = match paragraph {
            _ if paragraph.starts_with("Example") => "EXAMPLES",
            _ if paragraph.starts_with("Exit codes") => "EXIT STATUS",
            _ if paragraph.starts_with("Environment") => continue,
            _ => "NOTES",
        };
        if !known.contains(&heading) {
            section.control("SH", [heading]);
            known.push(heading);
        } else {
            section.control("PP", []);
        }
        section.control("nf", []);
        for line in paragraph.lines() {
            section.text([roff::roman(line)]);
        }
        section.control("fi", []);
    }
    // The codes that all commands share are said once.
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    super::pages::add(&mut section, &super::pages::sections(name, &known));
    section.to_writer(&mut page)?;
    Ok(page)
}
