//! What a stub costs, without a process's start: the ABI of libc.so.6, which
//! has more symbols and versions than most, as text and as a stub.

#![expect(missing_docs, reason = "criterion_group! makes a public function")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use indir::abi::{self, Finder};
use indir::stub::stub;

/// The system's own.
const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";

fn libc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("libc.so.6");
    let load = || abi::load(black_box(Path::new(LIBC)), &Finder::new(Vec::new()));
    group.bench_function("ABI text", |b| {
        b.iter(|| load().expect("a library").abi.to_text().len());
    });
    group.bench_function("stub", |b| {
        b.iter(|| stub(&load().expect("a library").abi).expect("a stub").len());
    });
    group.finish();
}

criterion_group!(stubs, libc);
criterion_main!(stubs);
