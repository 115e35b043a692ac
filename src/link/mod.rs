//! The linker wrapper: runs the real linker so that an executable comes out
//! indirect.
//!
//! It adds a note and names another interpreter; it takes nothing away. What is not
//! an executable for glibc's ld.so comes out as the real linker makes it, byte for
//! byte. docs/linker.md says what is changed and why. The wrapper must not print
//! anything of its own on a link that succeeds or that the real linker itself refuses.

mod aside;
mod child;
mod options;
mod output;
mod plan;
mod real;
mod response;
mod run;
mod save;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

/// Whether a program called as `argv0` is the linker wrapper.
pub fn is_wrapper(argv0: &OsStr) -> bool {
    let Some(name) = Path::new(argv0).file_name().and_then(OsStr::to_str) else {
        return false;
    };
    // Cross tools have the machine in front.
    let name = name.rsplit_once("-ld").map_or(name, |(_, end)| match end {
        "" => "ld",
        end if end.starts_with('.') => "ld",
        _ => name,
    });
    name == "ld" || name.starts_with("ld.")
}

/// Links: `argv` is the whole command line with the wrapper's own name first.
pub fn main(argv: &[OsString]) -> ExitCode {
    match link(argv) {
        Ok(code) => code,
        Err(error) => {
            crate::say::err!("indir-ld: {}", crate::say::reason(&error));
            crate::exit::code_of(&error)
        }
    }
}

fn link(argv: &[OsString]) -> anyhow::Result<ExitCode> {
    let (argv0, args) = match argv.split_first() {
        Some((argv0, args)) => (argv0.as_os_str(), args),
        None => (OsStr::new("ld"), argv),
    };
    let called = Path::new(argv0).file_name().unwrap_or(argv0);
    let items = options::scan(&response::expand(args)?);
    let linker = real::find(called, plan::machine(&items))?;
    if let Some(folder) = std::env::var_os(save::VARIABLE).filter(|folder| !folder.is_empty()) {
        save::save(Path::new(&folder), &linker, &items).context("failed to save the link")?;
    }
    match plan::Plan::of(items)? {
        plan::Plan::Untouched => Err(run::replace_as_is(&linker, args)),
        plan::Plan::Plain(args) => Err(run::replace(&linker, &args)),
        plan::Plan::Aside(args, output) => {
            let status = run::wait(&linker, &args, &output)?;
            if status.success() {
                aside::write(&output)?;
            }
            Ok(run::pass_on(status))
        }
        plan::Plan::Indirect(job) => indirect(&linker, &job),
    }
}

/// Links what may come out as an executable of glibc's. Where the command line does
/// not tell, a link without the note does, and is what stays unless it is one; where
/// it told wrong, such a link follows.
fn indirect(linker: &Path, job: &plan::Job) -> anyhow::Result<ExitCode> {
    let mut stack = true;
    if !job.is_sure {
        let status = run::wait(linker, &job.plain(), &job.output)?;
        if !status.success() {
            return Ok(run::pass_on(status));
        }
        match output::look(job) {
            Some(has_stack_header) => stack = has_stack_header,
            None => return Ok(ExitCode::SUCCESS),
        }
    }
    let (args, _note) = job.indirect(stack)?;
    let status = if job.is_sure {
        run::wait(linker, &args, &job.output)?
    } else {
        run::again(linker, &args, &job.output)?
    };
    if !status.success() {
        return Ok(run::pass_on(status));
    }
    if output::finish(job)? {
        return Ok(ExitCode::SUCCESS);
    }
    let status = run::again(linker, &job.plain(), &job.output)?;
    Ok(run::pass_on(status))
}
