//! Programs in turn, so that whatever else the machine does hits all alike; each round
//! in another order, since a program starts faster or slower after some other one.

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
    let mut order: Vec<usize> = (0..programs.len()).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..runs + warm_up {
        for last in (1..order.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            order.swap(last, (state % (last as u64 + 1)) as usize);
        }
        for &at in &order {
            let (program, series) = (&programs[at], &mut samples[at]);
            let run = program.run().expect("it starts");
            assert!(libc::WIFEXITED(run.status) && good(libc::WEXITSTATUS(run.status)));
            if round >= warm_up {
                series.push(run);
            }
        }
    }
    samples
}
