//! What manual pages say besides the options: exit status, environment, files, other
//! pages; and the pages that no command of `indir` has.

mod common;
mod concepts;
mod ld;
mod roff;

pub(super) use ld::help as linker_help;
use roff::Line::Text;
pub(super) use roff::{Page, Section, add};

/// The sections behind the options of the page `name`, such as `indir-update`; those in
/// `known` are there already.
pub(super) fn sections(name: &str, known: &[&str]) -> Vec<Section> {
    let mut all = vec![common::exit_status()];
    all.push(common::environment());
    all.push(common::files());
    all.push(("SEE ALSO", vec![Text(see_also(name))]));
    all.retain(|(heading, _)| !known.contains(heading));
    all
}

fn see_also(name: &str) -> &'static str {
    match name {
        "indir" => "indir(7), indir-ld(1), indir-setup(1), indir-update(1), ld.so(8), elf(5)",
        "indir-setup" => "indir(1), indir(7), indir-ld(1)",
        "indir-update" => {
            "indir(1), indir(7), indir-status(1), indir-diff(1), indir-verify(1), ldconfig(8)"
        }
        "indir-adopt" => "indir(1), indir(7), indir-update(1), indir-restore(1), patchelf(1)",
        "indir-bench" => "indir(1), indir(7), indir-update(1), ld.so(8), perf(1)",
        "indir-show" => "indir(1), indir(7), indir-diff(1), indir-files(1), indir-why(1), ldd(1)",
        "indir-diff" => "indir(1), indir(7), indir-show(1), indir-update(1), diff(1)",
        "indir-status" | "indir-verify" => {
            "indir(1), indir(7), indir-update(1), indir-why(1), ldd(1)"
        }
        "indir-reach" => "indir(1), indir(7), indir-why(1), indir-update(1), needrestart(1)",
        "indir-words" | "indir-stand-in" => {
            "indir(1), indir(7), indir-words(1), indir-stand-in(1), indir-stub(1)"
        }
        "indir-seal" => "indir(1), indir(7), indir-ld(1), strip(1), chrpath(1)",
        _ => "indir(1), indir(7), indir-ld(1), indir-update(1)",
    }
}

/// The pages of what is no command of `indir`.
pub(super) fn others() -> Vec<Page> {
    vec![ld::page(), concepts::page()]
}
