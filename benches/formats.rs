//! What the shim does with bytes on every start: checking a table, walking its
//! objects, scanning notes. Nothing of the operating system is in it.

#![expect(missing_docs, reason = "criterion_group! makes a public function")]

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use indir::elf::Identity;
use indir::table::{ObjectSpec, TableSpec};
use indir_shim::format::note::Notes;
use indir_shim::format::table::Table;

/// A table as an update writes it, with paths as long as a Nix store's.
fn table(objects: usize) -> Vec<u8> {
    let identity = Identity::BuildId(vec![7; 20]);
    let object = |n: usize| ObjectSpec {
        soname: format!("libnumber{n}.so.1").into_bytes(),
        path: PathBuf::from(format!(
            "/nix/store/{n:032x}-number-{n}.0/lib/libnumber{n}.so.1"
        )),
        identity: identity.clone(),
        flags: 0,
    };
    let spec = TableSpec {
        exe_id: vec![1; 20],
        ldso: PathBuf::from("/nix/store/0123456789abcdef-glibc-2.41/lib/ld-linux-x86-64.so.2"),
        ldso_identity: identity.clone(),
        ldso_span: 0x36000,
        ldso_r_debug: 0x34118,
        objects: (0..objects).map(object).collect(),
        search: b"/nix/store/0123456789abcdef-glibc-2.41/lib".to_vec(),
        ..TableSpec::default()
    };
    spec.to_bytes().expect("it fits")
}

fn tables(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check a table and walk its objects");
    for objects in [1, 20, 300] {
        let bytes = table(objects);
        group.bench_with_input(BenchmarkId::from_parameter(objects), &bytes, |b, bytes| {
            b.iter(|| {
                let table = Table::parse(black_box(bytes)).expect("a table");
                table.objects().map(|o| o.path.count_bytes()).sum::<usize>()
            });
        });
    }
    group.finish();
}

fn notes(criterion: &mut Criterion) {
    let own = std::fs::read("/proc/self/exe").expect("this executable");
    let elf = indir::elf::ElfFile::parse(&own).expect("this executable");
    criterion.bench_function("scan the notes of an executable", |b| {
        b.iter(|| {
            let mut notes = Notes::default();
            for segment in elf.segments() {
                if segment.kind == object::elf::PT_NOTE
                    && let Some(bytes) = elf.segment_bytes(segment)
                {
                    notes.scan(black_box(bytes), segment.align as usize);
                }
            }
            notes.id().map(<[u8]>::len)
        });
    });
}

criterion_group!(formats, tables, notes);
criterion_main!(formats);
