//! Measures the ways of starting one program, by turns.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::interrupt;

use super::{Caches, Counts, Program, Ratio, Run, Start, Summary, WayKind, Ways};

/// Rounds before the measured ones.
pub const WARM_UP: usize = 3;

/// Until when time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The program's first instruction.
    Entry,
    /// Its end.
    Exit,
}

/// What was measured of one way.
#[derive(Debug)]
pub struct Measured {
    /// Which.
    pub kind: WayKind,
    /// How every run ended, as wait(2) tells.
    pub status: i32,
    /// Runs from posix_spawn to wait4.
    pub runs: Vec<Run>,
    /// Runs from exec to the entry point.
    pub starts: Vec<Start>,
    /// What was counted once.
    pub counts: Counts,
}

impl Measured {
    /// Milliseconds of each run.
    pub fn wall_ms(&self, until: Until) -> Vec<f64> {
        let ms = |wall: std::time::Duration| wall.as_secs_f64() * 1e3;
        match until {
            Until::Exit => self.runs.iter().map(|r| ms(r.wall)).collect(),
            Until::Entry => self.starts.iter().map(|s| ms(s.wall)).collect(),
        }
    }

    /// Milliseconds of processor time of each run.
    pub fn cpu_ms(&self) -> Vec<f64> {
        let ms = |run: &Run| run.cpu.as_secs_f64() * 1e3;
        self.runs.iter().map(ms).collect()
    }

    /// Median of the page faults without input or output.
    pub fn faults(&self, until: Until) -> Option<f64> {
        let faults: Vec<f64> = match until {
            Until::Exit => self.runs.iter().map(|r| r.minor_faults as f64).collect(),
            Until::Entry => self.starts.iter().map(|s| s.minor_faults as f64).collect(),
        };
        Some(Summary::of(&faults)?.median)
    }
}

/// One way over another.
#[derive(Clone, Copy, Debug)]
pub struct Comparison {
    /// The one.
    pub way: WayKind,
    /// The other.
    pub over: WayKind,
    /// Of which times.
    pub until: Until,
    /// Median over median.
    pub ratio: Ratio,
}

impl Ways {
    /// Runs each way `runs` times to its exit and as often to its entry point,
    /// with `args` and, besides its own variables, `env`. Another way is the
    /// first in every round. With `caches` these are emptied before every run.
    ///
    /// # Errors
    /// When a way cannot be run, or does not end as the others do.
    pub fn measure(
        &self,
        args: &[String],
        env: &[(String, String)],
        runs: usize,
        caches: Option<&Caches>,
        progress: &dyn Fn(usize),
    ) -> anyhow::Result<Vec<Measured>> {
        let mut programs = Vec::new();
        let mut measured = Vec::new();
        for way in &self.ways {
            let env = environment(env, &way.env);
            let command = || {
                let mut command = Command::new(&way.exe);
                command.args(args).env_clear().envs(env.iter().cloned());
                command
            };
            let counts = Counts::of(command, self.scratch())
                .with_context(|| format!("failed to watch it ({})", way.kind.name()))?;
            programs.push(Program::new(&way.exe, args, env.clone())?);
            measured.push(Measured {
                kind: way.kind,
                status: 0,
                runs: Vec::new(),
                starts: Vec::new(),
                counts,
            });
        }
        let cool = || caches.map_or(Ok(()), Caches::drop_all);
        let warm_up = if caches.is_some() { 0 } else { WARM_UP };
        let mut status = None;
        for round in 0..warm_up + runs {
            for turn in 0..programs.len() {
                let index = (round + turn) % programs.len();
                let (Some(program), Some(way)) = (programs.get(index), measured.get_mut(index))
                else {
                    continue;
                };
                let of_way = || format!("failed to run it ({})", way.kind.name());
                interrupt::check()?;
                cool()?;
                let start = program.run_to_entry().with_context(of_way)?;
                cool()?;
                let run = program.run().with_context(of_way)?;
                interrupt::check()?;
                let expected = *status.get_or_insert(run.status);
                if run.status != expected {
                    bail!(
                        "it ends with wait status {:#x} ({}), but with {expected:#x} another way; nothing can be compared",
                        run.status,
                        way.kind.name()
                    );
                }
                way.status = run.status;
                if round >= warm_up {
                    way.starts.push(start);
                    way.runs.push(run);
                }
            }
            progress(round.saturating_sub(warm_up));
        }
        Ok(measured)
    }
}

/// The caller's variables, without those that would choose the way.
fn environment(env: &[(String, String)], extra: &[(String, String)]) -> Vec<(String, String)> {
    let taken = |name: &str| {
        name == "LD_BIND_NOW" || name.starts_with("INDIR_") || extra.iter().any(|(n, _)| n == name)
    };
    let kept = env.iter().filter(|(name, _)| !taken(name));
    kept.chain(extra).cloned().collect()
}

/// Every indirect way over each of the ordinary ones: the start alone first.
pub fn compare(measured: &[Measured]) -> Vec<Comparison> {
    let mut out = Vec::new();
    for until in [Until::Entry, Until::Exit] {
        for over in [WayKind::Eager, WayKind::Lazy] {
            let Some(base) = measured.iter().find(|way| way.kind == over) else {
                continue;
            };
            for way in measured {
                let indirect = matches!(way.kind, WayKind::Direct | WayKind::Bound);
                let ratio = Ratio::of(&way.wall_ms(until), &base.wall_ms(until));
                if let Some(ratio) = ratio.filter(|_| indirect) {
                    out.push(Comparison {
                        way: way.kind,
                        over,
                        until,
                        ratio,
                    });
                }
            }
        }
    }
    out
}
