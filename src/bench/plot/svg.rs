//! The picture as an SVG document.

use std::fmt::Write as _;

use super::{Anchor, BOX_OPACITY, DOT_OPACITY, Picture, Shape, Style, WIDTH};

impl Picture {
    /// A complete document.
    pub fn svg(&self) -> String {
        let height = self.height;
        let mut out = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="'DejaVu Sans', system-ui, sans-serif">
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
"##
        );
        for shape in &self.shapes {
            // Writing to a string cannot fail.
            let _ = write(&mut out, shape);
        }
        out.push_str("</svg>\n");
        out
    }
}

fn write(out: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Line {
            from,
            to,
            width,
            colour,
        } => writeln!(
            out,
            r##"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" stroke-width="{width}" stroke="#{colour:06x}"/>"##,
            from.0, from.1, to.0, to.1
        ),
        Shape::Rectangle { at, size, colour } => writeln!(
            out,
            r##"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="#{colour:06x}" fill-opacity="{BOX_OPACITY}" stroke="#{colour:06x}"/>"##,
            at.0, at.1, size.0, size.1
        ),
        Shape::Dot { at, radius, colour } => writeln!(
            out,
            r##"<circle cx="{:.1}" cy="{:.1}" r="{radius}" fill="#{colour:06x}" fill-opacity="{DOT_OPACITY}"/>"##,
            at.0, at.1
        ),
        Shape::Text { at, style, text } => {
            let Style { size, colour, .. } = style;
            let anchor = match style.anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let weight = if style.bold { "bold" } else { "normal" };
            writeln!(
                out,
                r##"<text x="{:.1}" y="{:.1}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="#{colour:06x}">{}</text>"##,
                at.0,
                at.1,
                escape(text)
            )
        }
    }
}

fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
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
