//! `indir status`: a system at a glance.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::exit;
use crate::say::Mood;
use crate::status::{Status, status};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Count indirect programs by glibc, plan and state
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  indir status /srv/programs

One line for each glibc that tables name, then what has no table and what
`indir verify` has something to say about.

Exit codes: 0 all have tables, and all is well; 1 otherwise; 2 wrong usage.")]
pub struct Args {
    /// Executables, or folders of which every indirect executable is meant
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Never: what cannot be looked at is counted.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let bar = super::update::progress_bar();
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let status = status(&args.paths, &progress);
    bar.finish_and_clear();
    if args.json {
        crate::say::json(&to_json(&status));
    } else {
        print(&status);
    }
    let Status {
        ordinary,
        sealed,
        wrong,
        failed,
        ..
    } = &status;
    let bad = [ordinary, sealed, wrong, failed];
    Ok(ExitCode::from(if bad.iter().all(|all| all.is_empty()) {
        exit::DONE
    } else {
        exit::FAILED
    }))
}

fn print(status: &Status) {
    let plural = if status.programs() == 1 { "" } else { "s" };
    crate::say::out!("{:6} indirect program{plural}", status.programs());
    for (ldso, on) in &status.glibcs {
        let folder = ldso.parent().unwrap_or(Path::new("/"));
        let build = on.build.as_deref().unwrap_or("build unknown");
        crate::say::out!(
            "{:6} on {}: {} direct, {} bound",
            on.direct + on.bound,
            folder.display(),
            on.direct,
            on.bound
        );
        crate::say::out!("         {build}");
    }
    for (mood, all, what) in [
        (
            Mood::Mind,
            &status.ordinary,
            "without a table, started as ordinary programs",
        ),
        (
            Mood::Bad,
            &status.sealed,
            "without a table, and sealed: they do not start",
        ),
        (Mood::Bad, &status.wrong, "wrong: run `indir verify`"),
        (Mood::Bad, &status.failed, "not indirect, or not to be read"),
    ] {
        if let Some(first) = all.first() {
            crate::say::state(mood, &format!("{:6} {what}", all.len()), "");
            let more = if all.len() > 1 { ", …" } else { "" };
            crate::say::out!("         {}{more}", first.display());
        }
    }
}

fn to_json(status: &Status) -> serde_json::Value {
    let paths = |all: &[PathBuf]| -> Vec<String> {
        let all = all.iter();
        all.map(|path| path.to_string_lossy().into_owned())
            .collect()
    };
    let glibcs = status.glibcs.iter().map(|(ldso, on)| {
        json!({
            "ldso": ldso.to_string_lossy(),
            "build": on.build,
            "direct": on.direct,
            "bound": on.bound,
        })
    });
    json!({
        "version": JSON_VERSION,
        "programs": status.programs(),
        "glibcs": glibcs.collect::<Vec<_>>(),
        "ordinary": paths(&status.ordinary),
        "sealed": paths(&status.sealed),
        "wrong": paths(&status.wrong),
        "failed": paths(&status.failed),
    })
}
