//! Programs in turn, so that whatever else the machine does hits all alike.

use indir::bench::{Program, Run};

/// Runs all `programs` `runs` times, after some rounds to warm up, and returns
/// the runs of each; every one must exit by itself, with a code that `good` takes.
pub(crate) fn rounds(
    programs: &[Program],
    runs: usize,
    good: impl Fn(i32) -> bool,
) -> Vec<Vec<Run>> {
    let mut samples: Vec<_> = programs.iter().map(|_| Vec::with_capacity(runs)).collect();
    let warm_up = runs / 20 + 1;
    for round in 0..runs + warm_up {
        for (program, series) in programs.iter().zip(&mut samples) {
            let run = program.run().expect("it starts");
            assert!(libc::WIFEXITED(run.status) && good(libc::WEXITSTATUS(run.status)));
            if round >= warm_up {
                series.push(run);
            }
        }
    }
    samples
}
