//! The picture as PNG, with a font that is part of this executable, so that it
//! looks the same on a machine without fonts.

use anyhow::Context as _;
use tiny_skia::{FillRule, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};
use ttf_parser::{Face, OutlineBuilder};

use super::{Anchor, BOX_OPACITY, Colour, DOT_OPACITY, Picture, Shape, Style, WIDTH};

/// Pixels for each unit: readable on displays of high density.
const SCALE: f32 = 2.0;

impl Picture {
    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// When the picture is too large to be drawn.
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        let (width, height) = ((WIDTH * SCALE).ceil(), (self.height * SCALE).ceil());
        let mut canvas = Canvas {
            pixels: Pixmap::new(width as u32, height as u32).context("the picture is too large")?,
            regular: Face::parse(dejavu::sans::regular(), 0)?,
            bold: Face::parse(dejavu::sans::bold(), 0)?,
        };
        canvas.pixels.fill(tiny_skia::Color::WHITE);
        for shape in &self.shapes {
            canvas.draw(shape);
        }
        Ok(canvas.pixels.encode_png()?)
    }
}

struct Canvas {
    pixels: Pixmap,
    regular: Face<'static>,
    bold: Face<'static>,
}

impl Canvas {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Line {
                from,
                to,
                width,
                colour,
            } => {
                let mut path = PathBuilder::new();
                path.move_to(from.0, from.1);
                path.line_to(to.0, to.1);
                self.stroke(path.finish(), *width, *colour);
            }
            Shape::Rectangle { at, size, colour } => {
                let path = Rect::from_xywh(at.0, at.1, size.0, size.1).map(PathBuilder::from_rect);
                self.fill(path.clone(), *colour, BOX_OPACITY, Transform::identity());
                self.stroke(path, 1.0, *colour);
            }
            Shape::Dot { at, radius, colour } => {
                let path = PathBuilder::from_circle(at.0, at.1, *radius);
                self.fill(path, *colour, DOT_OPACITY, Transform::identity());
            }
            Shape::Text { at, style, text } => self.text(*at, *style, text),
        }
    }

    fn fill(&mut self, path: Option<Path>, colour: Colour, opacity: f32, transform: Transform) {
        // Nothing is drawn for a shape without extent.
        if let Some(path) = path {
            let transform = transform.post_scale(SCALE, SCALE);
            let paint = paint(colour, opacity);
            let rule = FillRule::Winding;
            self.pixels.fill_path(&path, &paint, rule, transform, None);
        }
    }

    fn stroke(&mut self, path: Option<Path>, width: f32, colour: Colour) {
        if let Some(path) = path {
            let stroke = Stroke {
                width,
                ..Stroke::default()
            };
            let transform = Transform::from_scale(SCALE, SCALE);
            let paint = paint(colour, 1.0);
            self.pixels
                .stroke_path(&path, &paint, &stroke, transform, None);
        }
    }

    /// Left to right, a glyph a character; enough for names and numbers.
    fn text(&mut self, at: (f32, f32), style: Style, text: &str) {
        let face = if style.bold {
            &self.bold
        } else {
            &self.regular
        };
        let mut path = Glyphs {
            path: PathBuilder::new(),
            x: 0.0,
        };
        for c in text.chars() {
            let glyph = face.glyph_index(c).unwrap_or_default();
            face.outline_glyph(glyph, &mut path);
            path.x += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
        }
        let scale = style.size / f32::from(face.units_per_em());
        let width = path.x * scale;
        let x = match style.anchor {
            Anchor::Start => at.0,
            Anchor::Middle => at.0 - width / 2.0,
            Anchor::End => at.0 - width,
        };
        // A font's vertical axis points upwards.
        let transform = Transform::from_row(scale, 0.0, 0.0, -scale, x, at.1);
        self.fill(path.path.finish(), style.colour, 1.0, transform);
    }
}

fn paint(colour: Colour, opacity: f32) -> Paint<'static> {
    let [_, red, green, blue] = colour.to_be_bytes();
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (opacity * 255.0).round() as u8);
    paint
}

/// Collects the outlines of a line of text, in units of the font.
struct Glyphs {
    path: PathBuilder,
    x: f32,
}

impl OutlineBuilder for Glyphs {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.x + x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.x + x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.path.quad_to(self.x + x1, y1, self.x + x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let from = self.x;
        self.path
            .cubic_to(from + x1, y1, from + x2, y2, from + x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
