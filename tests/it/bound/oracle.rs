//! What the binder leaves behind is what ld.so alone would: the same executable
//! is started in the direct plan with eager binding and in the bound plan, lazy
//! and eager, and every symbolic slot of every object is compared, IFUNC
//! targets included. Addresses are compared as offsets into objects, since
//! every start maps them elsewhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::resolve::cases::build;
use crate::support::traced::{Libraries, Traced, data, library, link_map};
use crate::support::{Scratch, b_flag, indir, run};

/// An address as the object that holds it and the offset there.
type Place = (Option<usize>, u64);

/// The path of an object and one of its slots.
type Slot = (String, u32);

/// What a slot holds, and what it holds while its function waits for the first
/// call: an address of its own object's PLT.
struct Held {
    place: Place,
    waits: bool,
}

/// Every symbolic slot of every object but ld.so, when `main` begins.
fn slots(exe: &Path, libraries: &Libraries, variables: &[(&str, &str)]) -> BTreeMap<Slot, Held> {
    const DT_DEBUG: u64 = 21;
    let traced = Traced::start(exe, variables);
    traced.run_to_trap();
    let object = library(libraries, exe);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", traced.pid())).unwrap();
    let line = maps
        .lines()
        .find(|line| line.ends_with(&format!(" {}", exe.display())))
        .expect("the executable's mapping");
    let start = u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    let first = object.segments().iter().find(|s| s.kind.0 == 1).unwrap();
    let base = start - (first.vaddr & !0xfff);
    let dynamic = object.segments().iter().find(|s| s.kind.0 == 2).unwrap();
    let mut at = base + dynamic.vaddr;
    while traced.word(at) != DT_DEBUG {
        assert!(traced.word(at) != 0, "no DT_DEBUG");
        at += 16;
    }
    let (bases, objects) = link_map(&traced, exe, traced.word(at + 8), libraries);
    let place = |address: u64| {
        let below = bases
            .iter()
            .enumerate()
            .filter(|(_, base)| **base <= address);
        let Some((index, base)) = below.max_by_key(|(_, base)| **base) else {
            return (None, address);
        };
        // The base of a fixed-address executable is 0, as are weak symbols.
        (Some(index), address - base)
    };
    let mut all = BTreeMap::new();
    for (index, (object, base)) in objects.iter().zip(&bases).enumerate() {
        if object.soname() == Some(b"ld-linux-x86-64.so.2") {
            continue;
        }
        let segments = data(&traced, *base, object);
        for symbolic in &object.relocation_plan().symbolic {
            let at = base.wrapping_add(u64::from(symbolic.slot));
            let (start, bytes) = segments
                .iter()
                .find(|(start, bytes)| at >= *start && at - start < bytes.len() as u64)
                .unwrap();
            let from = (at - start) as usize;
            let value = u64::from_le_bytes(bytes[from..from + 8].try_into().unwrap());
            let key = (object.path().display().to_string(), symbolic.slot);
            let place = place(value);
            let late = symbolic.jump && !object.binds_now();
            let waits = late && place.0 == Some(index);
            all.insert(key, Held { place, waits });
        }
    }
    all
}

/// Symbols that ld.so looked up in a start of `exe`.
fn lookups(exe: &Path, variables: &[(&str, &str)]) -> usize {
    let ran = run(Command::new(exe)
        .envs(variables.iter().copied())
        .env("LD_DEBUG", "statistics"));
    let text = ran.stderr();
    let line = text.lines().find(|l| l.contains("number of relocations:"));
    let count = line.expect("statistics").rsplit(':').next().unwrap();
    count.trim().parse().unwrap()
}

#[test]
fn bound_starts_leave_what_direct_starts_leave() {
    let scratch = Scratch::new();
    let b_flag = b_flag();
    let modes: [(&str, &[&str], &[&str]); 5] = [
        ("lazy", &["-fPIE", "-pie", "-DSTOP"], &["-Wl,-z,lazy"]),
        (
            "now",
            &["-fPIE", "-pie", "-DSTOP"],
            &["-Wl,-z,now,-z,relro"],
        ),
        (
            "fixed",
            &["-fno-pie", "-no-pie", "-DFIXED", "-DSTOP"],
            &["-Wl,-z,lazy"],
        ),
        (
            "relr",
            &["-fPIE", "-pie", "-DSTOP"],
            &["-Wl,-z,pack-relative-relocs"],
        ),
        (
            "tlsdesc",
            &["-fPIE", "-pie", "-DSTOP"],
            &["-mtls-dialect=gnu2", "-Wl,-z,lazy"],
        ),
    ];
    let direct = [("INDIR_DISABLE_BINDINGS", "1"), ("LD_BIND_NOW", "1")];
    for linker in ["bfd", "gold", "lld", "mold"] {
        for (mode, compile, link) in modes {
            if mode == "relr" && matches!(linker, "gold" | "mold") {
                // gold has no RELR, and mold 1 lacks the version that ld.so asks for.
                continue;
            }
            let name = format!("{linker}-{mode}");
            let select = format!("-fuse-ld={linker}");
            let mut link = link.to_vec();
            link.extend([select.as_str(), b_flag.as_str()]);
            let exe = build(&scratch, &name, compile, &link);
            run(indir()
                .args(["update", "--plan", "bound", "--lib-dir"])
                .arg(exe.parent().unwrap())
                .arg(&exe))
            .success();
            let libraries = Libraries::default();
            let expected = slots(&exe, &libraries, &direct);
            assert!(expected.len() > 30, "{name}");
            let eager = [("LD_BIND_NOW", "1")];
            for variables in [&[][..], &eager] {
                let found = slots(&exe, &libraries, variables);
                assert!(found.keys().eq(expected.keys()), "{name}");
                for ((object, slot), held) in &found {
                    let wanted = &expected[&(object.clone(), *slot)];
                    // Both call an IFUNC that is not glibc's: late, as ever.
                    let may_wait = variables.is_empty()
                        && (object.ends_with("/libcase.so") || object.ends_with("/main"));
                    assert!(
                        held.place == wanted.place || may_wait && held.waits,
                        "{name}: {slot:#x} of {object} is {:?}, not {:?}",
                        held.place,
                        wanted.place
                    );
                }
            }
            // The slots would be the same if nothing had been bound.
            let (was, is) = (lookups(&exe, &direct), lookups(&exe, &eager));
            assert!(is < was, "{name}: {was} lookups direct, {is} bound");
        }
    }
}
