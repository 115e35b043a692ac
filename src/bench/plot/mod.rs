//! The distributions of run times side by side, as a picture.
//!
//! One panel for the start alone and one for the whole run, one row a way:
//! every run is a dot, the box spans the quartiles, the line is the median. All
//! panels have one axis, which begins at zero, so that lengths are ratios. The
//! layout is a list of shapes; [`Picture::svg`] and [`Picture::png`] draw it.

mod png;
mod svg;

use super::Summary;

/// Rows with a heading.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Until when time is measured.
    pub heading: String,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// One row of a panel.
#[derive(Clone, Debug)]
pub struct Row {
    /// Left of it.
    pub label: String,
    /// Right of it: a ratio, or nothing.
    pub remark: String,
    /// Milliseconds.
    pub samples: Vec<f64>,
}

/// A picture, laid out.
#[derive(Clone, Debug)]
pub struct Picture {
    height: f32,
    shapes: Vec<Shape>,
}

/// 0xRRGGBB.
type Colour = u32;

/// Where a text's position is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
struct Style {
    size: f32,
    bold: bool,
    anchor: Anchor,
    colour: Colour,
}

impl Style {
    const fn new(size: f32, anchor: Anchor, colour: Colour) -> Self {
        Self {
            size,
            bold: false,
            anchor,
            colour,
        }
    }

    const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

/// Everything that is drawn; lengths in the units of the SVG.
#[derive(Clone, Debug)]
enum Shape {
    Line {
        from: (f32, f32),
        to: (f32, f32),
        width: f32,
        colour: Colour,
    },
    /// An outline, and the same colour within, paler.
    Rectangle {
        at: (f32, f32),
        size: (f32, f32),
        colour: Colour,
    },
    Dot {
        at: (f32, f32),
        radius: f32,
        colour: Colour,
    },
    Text {
        at: (f32, f32),
        style: Style,
        text: String,
    },
}

const WIDTH: f32 = 960.0;
const LEFT: f32 = 150.0;
const RIGHT: f32 = 770.0;
const MARGIN: f32 = 24.0;
const TOP: f32 = 76.0;
const HEADING: f32 = 34.0;
const ROW: f32 = 58.0;
const COLOURS: [Colour; 4] = [0x8a_8f98, 0x5b_6470, 0x3b_82c4, 0xd9_622b];
const INK: Colour = 0x1f_2430;
const PALE_INK: Colour = 0x6b_7280;
const GRID: Colour = 0xe5_e7eb;
const TITLE: Style = Style::new(20.0, Anchor::Start, INK).bold();
const SUBTITLE: Style = Style::new(13.0, Anchor::Start, PALE_INK);
const PANEL: Style = Style::new(14.0, Anchor::Start, INK).bold();
const LABEL: Style = Style::new(14.0, Anchor::End, INK);
const MEDIAN: Style = Style::new(14.0, Anchor::Start, INK).bold();
const REMARK: Style = Style::new(12.0, Anchor::Start, PALE_INK);
const AXIS: Style = Style::new(12.0, Anchor::Middle, PALE_INK);
const DOT_OPACITY: f32 = 0.35;
const BOX_OPACITY: f32 = 0.15;
/// Most dots of a row; more would hide each other.
const DOTS: usize = 600;

impl Picture {
    /// Lays out the picture.
    pub fn new(title: &str, subtitle: &str, panels: &[Panel]) -> Self {
        let mut picture = Self {
            height: 0.0,
            shapes: Vec::new(),
        };
        let end = axis_end(panels);
        picture.text((MARGIN, 36.0), TITLE, title);
        picture.text((MARGIN, 58.0), SUBTITLE, subtitle);
        let mut y = TOP;
        for panel in panels {
            y += HEADING;
            picture.text((MARGIN, y - 12.0), PANEL, &panel.heading);
            let bottom = y + ROW * panel.rows.len() as f32;
            picture.axis(end, y, bottom);
            for (row, colour) in panel.rows.iter().zip(COLOURS.iter().cycle()) {
                picture.row(row, *colour, y + ROW / 2.0, end);
                y += ROW;
            }
            y += 26.0;
        }
        let middle = ((LEFT + RIGHT) / 2.0, y + 16.0);
        picture.text(middle, AXIS, "milliseconds");
        picture.height = y + 30.0;
        picture
    }

    fn text(&mut self, at: (f32, f32), style: Style, text: &str) {
        self.shapes.push(Shape::Text {
            at,
            style,
            text: text.chars().filter(|c| !c.is_control()).collect(),
        });
    }

    fn axis(&mut self, end: f64, top: f32, bottom: f32) {
        let step = tick(end);
        let digits = usize::from(step < 1.0) + usize::from(step < 0.1);
        let mut at = 0.0;
        while at <= end * 1.0001 {
            let x = place(at, end);
            self.shapes.push(Shape::Line {
                from: (x, top),
                to: (x, bottom),
                width: 1.0,
                colour: GRID,
            });
            let label = format!("{at:.digits$}");
            self.text((x, bottom + 16.0), AXIS, &label);
            at += step;
        }
    }

    fn row(&mut self, row: &Row, colour: Colour, y: f32, end: f64) {
        let Some(summary) = Summary::of(&row.samples) else {
            return;
        };
        let label = (LEFT - 14.0, y + 5.0);
        self.text(label, LABEL, &row.label);
        let each = row.samples.len().div_ceil(DOTS).max(1);
        for (n, sample) in row.samples.iter().step_by(each).enumerate() {
            // The golden ratio spreads dots evenly, the same way every time.
            let spread = (n as f64 * 0.618_033_988_75).fract() as f32 - 0.5;
            self.shapes.push(Shape::Dot {
                at: (place(*sample, end), y + spread * ROW * 0.56),
                radius: if *sample > end { 1.2 } else { 2.2 },
                colour,
            });
        }
        let (low, high) = (
            place(summary.lower_quartile, end),
            place(summary.upper_quartile, end),
        );
        let half = ROW * 0.34;
        self.shapes.push(Shape::Rectangle {
            at: (low, y - half),
            size: ((high - low).max(1.0), half * 2.0),
            colour,
        });
        let middle = place(summary.median, end);
        self.shapes.push(Shape::Line {
            from: (middle, y - half - 3.0),
            to: (middle, y + half + 3.0),
            width: 3.0,
            colour,
        });
        let median = format!("{:.2} ms", summary.median);
        let x = RIGHT + 14.0;
        self.text((x, y - 1.0), MEDIAN, &median);
        self.text((x, y + 16.0), REMARK, &row.remark);
    }
}

/// Where a time is on the axis that ends at `end`.
fn place(ms: f64, end: f64) -> f32 {
    LEFT + (RIGHT - LEFT) * (ms / end).clamp(0.0, 1.0) as f32
}

/// Leaves out the slowest runs, which have nothing to do with the program.
fn axis_end(panels: &[Panel]) -> f64 {
    let of = |row: &Row| {
        let mut sorted = row.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() * 97 / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or(0.0)
    };
    let rows = panels.iter().flat_map(|panel| &panel.rows);
    rows.map(of).fold(0.001, f64::max) * 1.08
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
