//! The text form of an ABI (`.abi`): sorted, line-based, stable.
//!
//! docs/abi-format.md is the reference. Here it is printed, which cannot fail;
//! `parse` reads it. This module must not know ELF beyond machine names.

use std::fmt::Write as _;

use super::model::{Abi, Binding, Key, Kind, Place, Symbol};

/// First line of every ABI text.
pub const HEADER: &str = "indir-abi 1";

/// Machines with a name of their own; others are written `em-N`.
pub(super) const MACHINES: [(u16, &str); 6] = [
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (21, "ppc64"),
    (22, "s390x"),
    (258, "loongarch64"),
];

/// Whether `data` claims to be ABI text.
pub fn is_text(data: &[u8]) -> bool {
    data.starts_with(b"indir-abi ")
}

/// `name` with everything but plain ASCII graphics, `\` and `@` as `\xNN`.
pub fn escape(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii_graphic() && byte != b'\\' && byte != b'@' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

impl Key {
    /// `name`, `name@VERSION`, `name@@VERSION`; `name@` is a hidden base
    /// definition.
    pub fn display(&self) -> String {
        let mut out = escape(&self.name);
        match &self.version {
            Some(version) => {
                out.push_str(if self.default { "@@" } else { "@" });
                out.push_str(&escape(version));
            }
            None if !self.default => out.push('@'),
            None => {}
        }
        out
    }
}

/// The name of `machine`.
pub fn machine_name(machine: u16) -> String {
    match MACHINES.iter().find(|m| m.0 == machine) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("em-{machine}"),
    }
}

impl Abi {
    /// The text form.
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(64 * (self.symbols.len() + 8));
        let mut line = |text: &str| {
            out.push_str(text);
            out.push('\n');
        };
        line(HEADER);
        line(&format!("machine {}", machine_name(self.machine)));
        if self.flags != 0 {
            line(&format!("flags {:#x}", self.flags));
        }
        if let Some(soname) = &self.soname {
            line(&format!("soname {}", escape(soname)));
        }
        for name in &self.needed {
            line(&format!("needed {}", escape(name)));
        }
        if self.properties.no_copy_on_protected {
            line("property no-copy-on-protected");
        }
        if self.properties.needed_1 != 0 {
            line(&format!(
                "property 1-needed={:#x}",
                self.properties.needed_1
            ));
        }
        for (name, node) in &self.versions {
            let mut text = format!("version {}", escape(name));
            if node.weak {
                text.push_str(" weak");
            }
            for parent in &node.parents {
                text.push_str(" parent=");
                text.push_str(&escape(parent));
            }
            line(&text);
        }
        for (name, undefined) in &self.undefined {
            let weak = if undefined.weak { " weak" } else { "" };
            let tls = if undefined.tls { " tls" } else { "" };
            line(&format!("undefined {}{weak}{tls}", escape(name)));
        }
        for (key, symbol) in &self.symbols {
            line(&symbol_line(key, symbol));
        }
        for (name, text) in &self.warnings {
            let words: Vec<String> = text.split(|&b| b == b' ').map(escape).collect();
            line(&format!("warning {} {}", escape(name), words.join(" ")));
        }
        out
    }
}

fn symbol_line(key: &Key, symbol: &Symbol) -> String {
    let mut text = format!("symbol {} {}", key.display(), kind_name(symbol.kind));
    match symbol.binding {
        Binding::Global => {}
        Binding::Weak => text.push_str(" weak"),
        Binding::Unique => text.push_str(" unique"),
    }
    if symbol.protected {
        text.push_str(" protected");
    }
    let natural = match symbol.kind {
        Kind::Function => Some(Place::Text),
        Kind::Tls => Some(Place::Tls),
        Kind::Object | Kind::NoType => None,
    };
    let _ = match symbol.place {
        place if natural == Some(place) => Ok(()),
        Place::Text => write!(text, " in=text"),
        Place::Rodata => write!(text, " in=rodata"),
        Place::Relro => write!(text, " in=relro"),
        Place::Data => write!(text, " in=data"),
        Place::Tls => write!(text, " in=tls"),
        Place::Absolute(value) => write!(text, " in=absolute value={value:#x}"),
    };
    if symbol.place != Place::Text {
        let _ = write!(text, " size={}", symbol.size);
        if symbol.align != 0 {
            let _ = write!(text, " align={}", symbol.align);
        }
    }
    if symbol.other != 0 {
        let _ = write!(text, " other={:#x}", symbol.other);
    }
    if let Some(leader) = &symbol.alias {
        let _ = write!(text, " alias={}", leader.display());
    }
    text
}

/// The word for `kind` in the text form.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Function => "function",
        Kind::Object => "object",
        Kind::Tls => "tls",
        Kind::NoType => "notype",
    }
}
