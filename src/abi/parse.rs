//! Reads the text form of an ABI (`.abi`), as `text` prints it.
//!
//! `parse(print(x)) == x` for every value that the reader of libraries makes.
//! The text is untrusted, written by hand or merged: errors name the line.

use super::model::{
    Abi, Binding, Key, Kind, MAX_ALIGN, Name, Place, Symbol, Undefined, VersionNode,
};
use super::text::{HEADER, MACHINES};

/// Why a text is no ABI text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {what}")]
pub struct TextError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl Abi {
    /// Reads the text form. Blank lines and lines that begin with `#` are
    /// passed over; the order of lines is free.
    ///
    /// # Errors
    /// At the first line that is not understood, repeated, or refers to
    /// something that is not there.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let mut abi = Self::default();
        let mut lines = text.lines().enumerate();
        match lines.next() {
            Some((_, HEADER)) => {}
            Some((_, other)) if other.starts_with("indir-abi ") => {
                return Err(error(
                    0,
                    format!("`{other}` is a newer format than `{HEADER}`"),
                ));
            }
            _ => return Err(error(0, format!("does not begin with `{HEADER}`"))),
        }
        let mut machine = false;
        for (at, line) in lines {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            machine |= line.starts_with("machine ");
            abi.add_line(line).map_err(|what| error(at, what))?;
        }
        if !machine {
            return Err(error(0, "no `machine` line".into()));
        }
        for (key, symbol) in &abi.symbols {
            if key
                .version
                .as_ref()
                .is_some_and(|v| !abi.versions.contains_key(v))
            {
                let what = format!("`{}` has a version without a `version` line", key.display());
                return Err(error(0, what));
            }
            let Some(leader) = &symbol.alias else {
                continue;
            };
            let target = abi.symbols.get(leader).filter(|t| t.alias.is_none());
            if target.is_none_or(|t| t.place != symbol.place) {
                let what = format!(
                    "`{}` is an alias of `{}`, which is not there, elsewhere, or an alias itself",
                    key.display(),
                    leader.display()
                );
                return Err(error(0, what));
            }
        }
        abi.normalise();
        Ok(abi)
    }

    fn add_line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line
            .split_once(' ')
            .ok_or("a keyword and a value are needed")?;
        let mut fields = rest.split(' ');
        let first = fields.next().unwrap_or_default();
        let fresh = match word {
            "machine" => {
                let old = std::mem::replace(&mut self.machine, parse_machine(first)?);
                old == 0
            }
            "flags" => {
                let flags = number(first)?;
                let flags = u32::try_from(flags).map_err(|_| "flags are 32 bits")?;
                std::mem::replace(&mut self.flags, flags) == 0
            }
            "soname" => self.soname.replace(unescape(first)?).is_none(),
            "needed" => {
                self.needed.push(unescape(first)?);
                true
            }
            "property" => self.add_property(first)?,
            "version" => {
                let node = parse_version(&mut fields)?;
                self.versions.insert(unescape(first)?, node).is_none()
            }
            "undefined" => {
                let mut undefined = Undefined {
                    weak: false,
                    tls: false,
                };
                for field in &mut fields {
                    match field {
                        "weak" => undefined.weak = true,
                        "tls" => undefined.tls = true,
                        other => return Err(format!("unknown word `{other}`")),
                    }
                }
                self.undefined.insert(unescape(first)?, undefined).is_none()
            }
            "symbol" => {
                let symbol = parse_symbol(&mut fields)?;
                self.symbols.insert(parse_key(first)?, symbol).is_none()
            }
            "warning" => {
                let words: Result<Vec<Name>, String> = fields.by_ref().map(unescape_word).collect();
                let text = words?.join(&b' ');
                self.warnings.insert(unescape(first)?, text).is_none()
            }
            other => return Err(format!("unknown keyword `{other}`")),
        };
        if let Some(extra) = fields.next() {
            return Err(format!("unknown word `{extra}`"));
        }
        if fresh {
            Ok(())
        } else {
            Err(format!("`{word} {first}` is there twice"))
        }
    }

    fn add_property(&mut self, text: &str) -> Result<bool, String> {
        let properties = &mut self.properties;
        if text == "no-copy-on-protected" {
            return Ok(!std::mem::replace(
                &mut properties.no_copy_on_protected,
                true,
            ));
        }
        let bits = text.strip_prefix("1-needed=").ok_or("unknown property")?;
        let bits = u32::try_from(number(bits)?).map_err(|_| "a property is 32 bits")?;
        Ok(std::mem::replace(&mut properties.needed_1, bits) == 0)
    }
}

fn error(at: usize, what: String) -> TextError {
    TextError { line: at + 1, what }
}

fn parse_machine(text: &str) -> Result<u16, String> {
    let known = MACHINES.iter().find(|m| m.1 == text).map(|m| m.0);
    let numbered = || text.strip_prefix("em-")?.parse().ok();
    known
        .or_else(numbered)
        .ok_or_else(|| format!("unknown machine `{text}`"))
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is not a number"))
}

fn unescape(text: &str) -> Result<Name, String> {
    match unescape_word(text)? {
        name if name.is_empty() => Err("a name is empty".into()),
        name => Ok(name),
    }
}

fn unescape_word(text: &str) -> Result<Name, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            if !byte.is_ascii_graphic() {
                return Err(format!("`{text}` has a byte that must be written \\xNN"));
            }
            out.push(byte);
            continue;
        }
        let byte = escaped(&mut bytes);
        out.push(byte.ok_or_else(|| format!("bad escape in `{text}`"))?);
    }
    if out.contains(&0) {
        return Err(format!("`{text}` has a NUL"));
    }
    Ok(out)
}

/// The byte of an escape, after its backslash: `x` and two hexadecimal digits.
fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    if bytes.next()? != b'x' {
        return None;
    }
    let mut digit = || char::from(bytes.next()?).to_digit(16);
    u8::try_from(digit()? * 16 + digit()?).ok()
}

fn parse_key(text: &str) -> Result<Key, String> {
    let (name, version, default) = match text.split_once("@@") {
        Some((name, version)) => (name, Some(unescape(version)?), true),
        None => match text.split_once('@') {
            Some((name, "")) => (name, None, false),
            Some((name, version)) => (name, Some(unescape(version)?), false),
            None => (text, None, true),
        },
    };
    Ok(Key {
        name: unescape(name)?,
        version,
        default,
    })
}

fn parse_version<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Result<VersionNode, String> {
    let mut node = VersionNode::default();
    for field in fields {
        match field.strip_prefix("parent=") {
            Some(parent) => node.parents.push(unescape(parent)?),
            None if field == "weak" => node.weak = true,
            None => return Err(format!("unknown word `{field}`")),
        }
    }
    node.parents.sort();
    node.parents.dedup();
    Ok(node)
}

fn parse_symbol<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Result<Symbol, String> {
    let mut symbol = Symbol::function();
    let mut place = None;
    let mut value = 0;
    match fields.next() {
        Some("function") => place = Some(Place::Text),
        Some("tls") => {
            symbol.kind = Kind::Tls;
            place = Some(Place::Tls);
        }
        Some("object") => symbol.kind = Kind::Object,
        Some("notype") => symbol.kind = Kind::NoType,
        other => return Err(format!("`{}` is no symbol type", other.unwrap_or_default())),
    }
    for field in fields {
        match field.split_once('=') {
            None if field == "weak" => symbol.binding = Binding::Weak,
            None if field == "unique" => symbol.binding = Binding::Unique,
            None if field == "protected" => symbol.protected = true,
            Some(("in", name)) => place = Some(parse_place(name)?),
            Some(("value", text)) => value = number(text)?,
            Some(("size", text)) => symbol.size = number(text)?,
            Some(("align", text)) => symbol.align = parse_align(text)?,
            Some(("alias", text)) => symbol.alias = Some(parse_key(text)?),
            Some(("other", text)) => {
                let other = u8::try_from(number(text)?).map_err(|_| "`other` is 8 bits")?;
                symbol.other = other & !3;
            }
            _ => return Err(format!("unknown word `{field}`")),
        }
    }
    symbol.place = match place.ok_or("`in=` is missing")? {
        Place::Absolute(_) => Place::Absolute(value),
        place => place,
    };
    match symbol.place {
        Place::Text if symbol.size != 0 || symbol.align != 0 || symbol.alias.is_some() => {
            return Err("code has neither size, alignment nor aliases".into());
        }
        Place::Absolute(_) if symbol.align != 0 || symbol.alias.is_some() => {
            return Err("a number has neither alignment nor aliases".into());
        }
        Place::Rodata | Place::Relro | Place::Data | Place::Tls if symbol.align == 0 => {
            return Err("`align=` is missing".into());
        }
        _ => {}
    }
    if (symbol.kind == Kind::Tls) != (symbol.place == Place::Tls) {
        return Err("thread-local symbols, and only they, are in=tls".into());
    }
    Ok(symbol)
}

fn parse_place(text: &str) -> Result<Place, String> {
    Ok(match text {
        "text" => Place::Text,
        "rodata" => Place::Rodata,
        "relro" => Place::Relro,
        "data" => Place::Data,
        "tls" => Place::Tls,
        "absolute" => Place::Absolute(0),
        other => return Err(format!("unknown place `{other}`")),
    })
}

fn parse_align(text: &str) -> Result<u64, String> {
    let align = number(text)?;
    if align.is_power_of_two() && align <= MAX_ALIGN {
        Ok(align)
    } else {
        Err(format!(
            "alignment {align} is not a power of two up to {MAX_ALIGN}"
        ))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
pub(crate) mod tests;
