//! The distributions of run times side by side, as SVG.
//!
//! One row a way: every run is a dot, the box spans the quartiles, the line is
//! the median. The axis begins at zero, so that lengths are ratios.

use std::fmt::Write as _;

use super::Summary;

/// One row of the picture.
#[derive(Clone, Debug)]
pub struct Row {
    /// Left of it.
    pub label: String,
    /// Right of it: a ratio, or nothing.
    pub remark: String,
    /// Milliseconds.
    pub samples: Vec<f64>,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 790.0;
const TOP: f64 = 84.0;
const ROW: f64 = 74.0;
const COLOURS: [&str; 4] = ["#8a8f98", "#5b6470", "#3b82c4", "#d9622b"];
/// Most dots of a row; more would hide each other.
const DOTS: usize = 600;

/// The picture, a complete document.
pub fn svg(title: &str, subtitle: &str, rows: &[Row]) -> String {
    let height = TOP + ROW * rows.len() as f64 + 56.0;
    let end = axis_end(rows);
    let x = |ms: f64| LEFT + (RIGHT - LEFT) * (ms / end).clamp(0.0, 1.0);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, 'DejaVu Sans', sans-serif">
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="24" y="36" font-size="20" font-weight="600" fill="#1f2430">{}</text>
<text x="24" y="58" font-size="13" fill="#6b7280">{}</text>"##,
        escape(title),
        escape(subtitle)
    );
    let bottom = TOP + ROW * rows.len() as f64;
    let step = tick(end);
    let mut at = 0.0;
    while at <= end * 1.0001 {
        let _ = writeln!(
            out,
            r##"<line x1="{0:.1}" x2="{0:.1}" y1="{TOP}" y2="{bottom}" stroke="#e5e7eb"/><text x="{0:.1}" y="{1}" font-size="12" fill="#6b7280" text-anchor="middle">{at:.2$}</text>"##,
            x(at),
            bottom + 20.0,
            usize::from(step < 1.0) + usize::from(step < 0.1)
        );
        at += step;
    }
    let _ = writeln!(
        out,
        r##"<text x="{}" y="{}" font-size="12" fill="#6b7280" text-anchor="middle">milliseconds from posix_spawn to wait4</text>"##,
        (LEFT + RIGHT) / 2.0,
        bottom + 42.0
    );
    for (index, row) in rows.iter().enumerate() {
        let colour = COLOURS
            .get(index % COLOURS.len())
            .copied()
            .unwrap_or("#000");
        draw(
            &mut out,
            row,
            colour,
            TOP + ROW * (index as f64 + 0.5),
            end,
            &x,
        );
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, row: &Row, colour: &str, y: f64, end: f64, x: &dyn Fn(f64) -> f64) {
    let Some(summary) = Summary::of(&row.samples) else {
        return;
    };
    let _ = writeln!(
        out,
        r##"<text x="{}" y="{}" font-size="14" fill="#1f2430" text-anchor="end">{}</text>"##,
        LEFT - 14.0,
        y + 5.0,
        escape(&row.label)
    );
    let each = row.samples.len().div_ceil(DOTS).max(1);
    let _ = writeln!(out, r##"<g fill="{colour}" fill-opacity="0.35">"##);
    for (n, sample) in row.samples.iter().step_by(each).enumerate() {
        // The golden ratio spreads dots evenly, the same way every time.
        let spread = (n as f64 * 0.618_033_988_75).fract() - 0.5;
        let radius = if *sample > end { 1.2 } else { 2.2 };
        let _ = writeln!(
            out,
            r##"<circle cx="{:.1}" cy="{:.1}" r="{radius}"/>"##,
            x(*sample),
            y + spread * ROW * 0.56
        );
    }
    out.push_str("</g>\n");
    let (low, high) = (x(summary.lower_quartile), x(summary.upper_quartile));
    let (box_width, half) = ((high - low).max(1.0), ROW * 0.34);
    let (top, box_height) = (y - half, half * 2.0);
    let (middle, median) = (x(summary.median), summary.median);
    let (line_top, line_end) = (top - 3.0, y + half + 3.0);
    let (text, text_y, remark_y) = (RIGHT + 14.0, y - 1.0, y + 16.0);
    let remark = escape(&row.remark);
    let _ = writeln!(
        out,
        r##"<rect x="{low:.1}" y="{top:.1}" width="{box_width:.1}" height="{box_height:.1}" rx="3" fill="{colour}" fill-opacity="0.15" stroke="{colour}"/>
<line x1="{middle:.1}" x2="{middle:.1}" y1="{line_top:.1}" y2="{line_end:.1}" stroke="{colour}" stroke-width="3"/>
<text x="{text:.1}" y="{text_y:.1}" font-size="14" font-weight="600" fill="#1f2430">{median:.2} ms</text>
<text x="{text:.1}" y="{remark_y:.1}" font-size="12" fill="#6b7280">{remark}</text>"##
    );
}

/// Leaves out the slowest runs, which have nothing to do with the program.
fn axis_end(rows: &[Row]) -> f64 {
    let of = |row: &Row| {
        let mut sorted = row.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() * 97 / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or(0.0)
    };
    rows.iter().map(of).fold(0.001, f64::max) * 1.08
}

/// The distance of ticks: 1, 2 or 5 times a power of ten, at most nine of them.
fn tick(end: f64) -> f64 {
    let power = 10f64.powf((end / 8.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| end / step <= 8.0)
        .unwrap_or(end)
}

fn escape(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    clean.fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
        out
    })
}
