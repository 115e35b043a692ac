//! What `indir bench` shows: a table, a JSON document, a picture.

use std::path::Path;

use clap::builder::styling::Style;
use serde_json::{Value, json};

use crate::bench::plot::{Panel, Picture, Row};
use crate::bench::{Comparison, Measured, Ratio, Summary, Until, WARM_UP, WayKind};
use crate::say::{Mood, counted};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Everything that was measured of a program.
pub(super) struct Report<'a> {
    pub(super) exe: &'a Path,
    pub(super) args: &'a [String],
    pub(super) runs: usize,
    pub(super) cold: bool,
    pub(super) measured: Vec<Measured>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) missing: &'a [(WayKind, String)],
}

/// Fewest runs of each way for a verdict: of fewer, an interval of 95 % of a ratio of
/// medians is too often wrong.
const FEWEST: usize = 20;

/// What a ratio of so many runs shows.
fn verdict(ratio: &Ratio, runs: usize) -> &'static str {
    match ratio.is_real() {
        _ if runs < FEWEST => "too few runs",
        true if ratio.value < 1.0 => "faster",
        true => "slower",
        false => "no difference",
    }
}

fn key(until: Until) -> &'static str {
    match until {
        Until::Entry => "entry",
        Until::Exit => "exit",
    }
}

fn heading(until: Until) -> &'static str {
    match until {
        Until::Entry => "from exec to the program's entry point",
        Until::Exit => "from posix_spawn to its exit",
    }
}

const BOTH: [Until; 2] = [Until::Entry, Until::Exit];

impl Report<'_> {
    fn cache(&self) -> &'static str {
        if self.cold { ", cold caches" } else { "" }
    }

    pub(super) fn print(&self) {
        let bold = Style::new().bold();
        crate::say::styled(&[(bold, self.sentence())]);
        let command = format!("{} {}", self.exe.display(), self.args.join(" "));
        crate::say::out!(
            "{}: {} of each way, by turns{}",
            command.trim_end(),
            counted(self.runs, "run"),
            self.cache()
        );
        for until in BOTH {
            let titles = format!(
                "{:26}{:>9}{:>18}{:>18}{:>8}",
                "", "median ms", "95 % interval", "quartiles", "faults"
            );
            crate::say::styled(&[(bold, format!("\n{}\n{titles}", heading(until)))]);
            for way in &self.measured {
                let Some(s) = Summary::of(&way.wall_ms(until)) else {
                    continue;
                };
                let range = |low: f64, high: f64| format!("{low:.2} - {high:.2}");
                crate::say::out!(
                    "  {:24}{:>9.3}{:>18}{:>18}{:>8}",
                    way.kind.name(),
                    s.median,
                    range(s.interval.0, s.interval.1),
                    range(s.lower_quartile, s.upper_quartile),
                    way.faults(until).unwrap_or(0.0),
                );
            }
            for comparison in self.comparisons.iter().filter(|c| c.until == until) {
                print_ratio(comparison, self.runs);
            }
        }
        let titles = format!(
            "\n{:26}{:>9}{:>18}{:>18}",
            "the whole run", "syscalls", "dirty KiB", "symbol lookups"
        );
        crate::say::styled(&[(bold, titles)]);
        for way in &self.measured {
            let count = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
            crate::say::out!(
                "  {:24}{:>9}{:>18}{:>18}",
                way.kind.name(),
                way.counts.system_calls,
                count(way.counts.private_dirty_kib),
                count(way.counts.lookups),
            );
        }
        crate::say::out!(
            "\nlazy: functions are bound when they are first called; eager: at start\n\
             (LD_BIND_NOW). direct: by a table of paths; bound: by bindings, too.\n\
             A / B: median of A over median of B, with its 95 % interval.\n\
             faults: page faults."
        );
    }

    /// What came of it, for who reads no table.
    fn sentence(&self) -> String {
        let name = self.exe.file_name().unwrap_or_default().to_string_lossy();
        let of = |way| {
            let is_it =
                |c: &&Comparison| (c.way, c.over, c.until) == (way, WayKind::Lazy, Until::Entry);
            self.comparisons.iter().find(is_it)
        };
        let median = |kind| {
            let way = self.measured.iter().find(|way| way.kind == kind)?;
            Some(Summary::of(&way.wall_ms(Until::Entry))?.median)
        };
        let best = of(WayKind::Bound).map(|c| (c, "with bindings"));
        let best = best.or_else(|| of(WayKind::Direct).map(|c| (c, "by its table")));
        let Some((comparison, how)) = best else {
            return format!("{name}: there is nothing to compare");
        };
        let ms = median(comparison.way).zip(median(WayKind::Lazy));
        let (new, old) = ms.unwrap_or_default();
        let times = format!("{new:.2} ms instead of {old:.2} ms");
        match verdict(&comparison.ratio, self.runs) {
            "faster" => format!(
                "{name} starts {:.2} times as fast {how}: {times}",
                comparison.ratio.value.recip()
            ),
            "slower" => format!(
                "{name} starts {:.2} times as slowly {how}: {times}",
                comparison.ratio.value
            ),
            "too few runs" => format!(
                "{name} starts in {times} {how}; so few runs prove nothing: give `--runs {FEWEST}` or more",
            ),
            _ => format!("{name} starts as fast {how} as without: {new:.2} ms, {old:.2} ms"),
        }
    }

    /// How the program ends, if that is no success.
    pub(super) fn failure(&self) -> Option<String> {
        let status = self.measured.first()?.status;
        match (status & 0x7f, status >> 8 & 0xff) {
            (0, 0) => None,
            (0, code) => Some(format!("ends with exit status {code}")),
            (signal, _) => Some(format!("is killed by signal {signal}")),
        }
    }

    pub(super) fn picture(&self) -> Picture {
        let panel = |until| Panel {
            heading: heading(until).to_owned(),
            rows: self
                .measured
                .iter()
                .map(|way| self.row(way, until))
                .collect(),
        };
        let name = self.exe.file_name().unwrap_or_default().to_string_lossy();
        let title = format!("{name} {}", self.args.join(" "));
        let subtitle = format!(
            "{} of each way, by turns{}; box: quartiles, line: median",
            counted(self.runs, "run"),
            self.cache()
        );
        Picture::new(title.trim_end(), &subtitle, &BOTH.map(panel))
    }

    fn row(&self, way: &Measured, until: Until) -> Row {
        let comparison = self
            .comparisons
            .iter()
            .find(|c| (c.way, c.over, c.until) == (way.kind, WayKind::Eager, until));
        let remark = match comparison.map(|c| c.ratio) {
            Some(_) if self.runs < FEWEST => "too few runs".to_owned(),
            Some(ratio) if ratio.is_real() => format!("× {:.2} of eager", ratio.value),
            Some(_) => "no difference shown".to_owned(),
            None => String::new(),
        };
        Row {
            label: way.kind.name().to_owned(),
            remark,
            samples: way.wall_ms(until),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let summary = |samples: &[f64]| {
            Summary::of(samples).map(|s| {
                json!({
                    "median": s.median,
                    "interval": [s.interval.0, s.interval.1],
                    "lower_quartile": s.lower_quartile,
                    "upper_quartile": s.upper_quartile,
                })
            })
        };
        let way = |way: &Measured| {
            json!({
                "name": way.kind.name(),
                "entry_ms": summary(&way.wall_ms(Until::Entry)),
                "entry_ms_samples": way.wall_ms(Until::Entry),
                "entry_page_faults": way.faults(Until::Entry),
                "wall_ms": summary(&way.wall_ms(Until::Exit)),
                "wall_ms_samples": way.wall_ms(Until::Exit),
                "cpu_ms": summary(&way.cpu_ms()),
                "page_faults": way.faults(Until::Exit),
                "system_calls": way.counts.system_calls,
                "private_dirty_kib": way.counts.private_dirty_kib,
                "symbol_lookups_at_start": way.counts.lookups_at_start,
                "symbol_lookups": way.counts.lookups,
            })
        };
        let ratio = |c: &Comparison| {
            json!({
                "way": c.way.name(),
                "over": c.over.name(),
                "until": key(c.until),
                "value": c.ratio.value,
                "interval": [c.ratio.interval.0, c.ratio.interval.1],
                "real": c.ratio.is_real() && self.runs >= FEWEST,
            })
        };
        let missing =
            |(kind, why): &(WayKind, String)| json!({"name": kind.name(), "message": why});
        json!({
            "version": JSON_VERSION,
            "path": self.exe.to_string_lossy(),
            "arguments": self.args,
            "runs": self.runs,
            "wait_status": self.measured.first().map(|way| way.status),
            "warm_up": if self.cold { 0 } else { WARM_UP },
            "cold": self.cold,
            "ways": self.measured.iter().map(way).collect::<Vec<_>>(),
            "ratios": self.comparisons.iter().map(ratio).collect::<Vec<_>>(),
            "missing": self.missing.iter().map(missing).collect::<Vec<_>>(),
        })
    }
}

fn print_ratio(comparison: &Comparison, runs: usize) {
    let bold = Style::new().bold();
    let ratio = comparison.ratio;
    let verdict = verdict(&ratio, runs);
    let colour = match verdict {
        "faster" => Mood::Good.style(),
        "slower" => Mood::Bad.style(),
        _ => Style::new(),
    };
    let ways = format!("{} / {}", comparison.way.name(), comparison.over.name());
    let interval = format!("{:.3} - {:.3}", ratio.interval.0, ratio.interval.1);
    crate::say::styled(&[
        (Style::new(), format!("  {ways:24}")),
        (bold, format!("{:>9.3}", ratio.value)),
        (Style::new(), format!("{interval:>18}  ")),
        (colour, verdict.to_owned()),
    ]);
}
