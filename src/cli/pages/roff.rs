//! Parts of a manual page, and how they are written.

use Line::{Code, Item, Text};
use clap_mangen::roff::{Roff, bold, roman};

/// A heading and what stands under it.
pub(in crate::cli) type Section = (&'static str, Vec<Line>);

/// A line of a section.
#[derive(Clone, Debug)]
pub(in crate::cli) enum Line {
    /// A paragraph.
    Text(&'static str),
    /// A word, and what it means.
    Item(&'static str, &'static str),
    /// What is to be typed, as it is.
    Code(&'static str),
}
/// A page that is written here as a whole.
pub(in crate::cli) struct Page {
    /// Its file name.
    pub(in crate::cli) file: &'static str,
    pub(super) title: &'static str,
    pub(super) number: &'static str,
    pub(super) name: &'static str,
    pub(super) sections: Vec<Section>,
}

impl Page {
    /// In roff.
    pub(in crate::cli) fn render(&self) -> Vec<u8> {
        let mut page = Roff::new();
        let version = concat!("indir ", env!("CARGO_PKG_VERSION"));
        page.control("TH", [self.title, self.number, "", version, "indir"]);
        page.control("SH", ["NAME"]).text([roman(self.name)]);
        add(&mut page, &self.sections);
        page.render().into_bytes()
    }
}

/// Adds `sections` to a page.
pub(in crate::cli) fn add(page: &mut Roff, sections: &[Section]) {
    for (heading, lines) in sections {
        page.control("SH", [*heading]);
        for line in lines {
            match line {
                Text(text) => page.control("PP", []).text([roman(*text)]),
                Item(word, text) => page
                    .control("TP", [])
                    .text([bold(*word)])
                    .text([roman(*text)]),
                Code(text) => page
                    .control("nf", [])
                    .text([roman(*text)])
                    .control("fi", []),
            };
        }
    }
}
