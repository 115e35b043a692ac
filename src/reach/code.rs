//! Atoms of code, filled.

use sha2::{Digest as _, Sha256};

use super::atoms::{Access, Builder, Link};
use super::decode::{Call, Manner};
use super::graph::{FINDERS, Kind, Lookup, UNSURE};
use super::lines::line_argument;
use super::pieces::Piece;

/// Most bytes between a function and the one that it runs on into.
const MAX_PADDING: u64 = 64;
/// Longest function that could be crtstuff's `register_tm_clones`, in bytes.
const MAX_TM: usize = 96;
/// Longest name of a symbol.
const MAX_NAME: u64 = 4096;

impl Builder<'_> {
    /// Fills the atoms of all pieces.
    pub(super) fn fill_code(&mut self) {
        let pieces = std::mem::take(&mut self.pieces);
        for (index, piece) in pieces.iter().enumerate() {
            if piece.is_data {
                self.fill_data_in_code(piece);
            } else {
                self.fill_piece(piece, pieces.get(index + 1));
            }
        }
    }

    fn fill_piece(&mut self, piece: &Piece, next: Option<&Piece>) {
        let Some(id) = self.code_at(piece.start) else {
            return;
        };
        let code = &piece.code;
        let mut links: Vec<Link> = Vec::with_capacity(code.references.len());
        // Index of the link of each reference.
        let mut of_reference = Vec::with_capacity(code.references.len());
        let mut constants: Vec<u8> = Vec::new();
        let tm = self.is_tm(piece);
        for reference in &code.references {
            let target = match reference.manner {
                // It compares the end of .data with itself; no object is meant.
                Manner::Address if tm => Access::To(self.made("the end of .data"), 0),
                Manner::Memory => self.access(reference.to, reference.size),
                _ => {
                    let (to, offset) = self.address(reference.to);
                    Access::To(to, offset)
                }
            };
            match target {
                Access::To(to, offset) => {
                    of_reference.push(Some(links.len()));
                    let manner = reference.manner;
                    links.push(Link { to, offset, manner });
                }
                Access::Bytes(bytes) => {
                    of_reference.push(None);
                    constants.extend((bytes.len() as u64).to_le_bytes());
                    constants.extend(bytes);
                }
            }
        }
        // Without a frame, nobody says where a function ends.
        let unframed = piece.frames.is_empty() && code.ends_in_call;
        if code.falls || unframed && next.is_some_and(|next| !next.is_data) {
            self.fall(piece, next, &mut links, &mut constants);
        }
        let callee = |this: &Self, call: &Call| {
            let link: Option<&Link> = of_reference
                .get(call.reference)
                .copied()
                .flatten()
                .and_then(|at: usize| links.get(at));
            let link = link?;
            let name = this.atoms.get(link.to as usize)?.name;
            Some((link.to, this.names.get(name as usize)?.clone()))
        };
        let mut loose: Option<Vec<u8>> = None;
        let mut looks_up: Lookup = Some(Vec::new());
        let mut counted = 0;
        for call in &code.calls {
            let Some((to, name)) = callee(self, call) else {
                continue;
            };
            let line = line_argument(&name);
            if let Some(at) = line.and_then(|at| call.constants.get(at).copied().flatten()) {
                let bytes = loose.get_or_insert_with(|| code.bytes.clone());
                bytes.get_mut(at..at + 4).unwrap_or_default().fill(0);
            }
            if self.is_lookup(to) {
                counted += 1;
                let name = call.second.and_then(|at| self.text_at(at));
                looks_up = looks_up.zip(name).map(|(mut all, name)| {
                    all.push(name);
                    all
                });
            }
        }
        let named = links.iter().filter(|link| self.is_lookup(link.to)).count();
        if named > 0 {
            let all = if counted == named { looks_up } else { None };
            self.lookups.insert(id, all);
        }
        let unwinding = self.unwind(piece, &mut links);
        if code.invalid
            && let Some(draft) = self.draft(id)
        {
            draft.flags |= UNSURE;
        }
        let content = [&code.bytes[..], &constants, &unwinding];
        if self.choosers.contains(&piece.start) && code.pure {
            self.keep_chooser(piece.start, &content, &links);
        }
        let loose = loose.map(|bytes| [bytes, constants.clone(), unwinding.clone()]);
        let loose = loose.as_ref().map(|parts| parts.each_ref().map(|p| &p[..]));
        self.seal(id, &content, loose.as_ref().map(|l| &l[..]), &links);
    }

    /// A function that only chooses refers to functions that do not run when it does.
    fn keep_chooser(&mut self, start: u64, content: &[&[u8]], links: &[Link]) {
        let runs = |link: &&Link| {
            let kind = self.atoms.get(link.to as usize).map(|draft| draft.kind);
            !(link.manner == Manner::Address && kind == Some(Kind::Code))
        };
        let links = links.iter().filter(runs).copied().collect();
        let mut sum = Sha256::new();
        content.iter().for_each(|part| sum.update(part));
        self.chosen.insert(start, (links, sum.finalize().into()));
    }

    /// crtstuff's `deregister_tm_clones` and `register_tm_clones`.
    fn is_tm(&self, piece: &Piece) -> bool {
        let code = &piece.code;
        code.bytes.len() <= MAX_TM
            && code.references.iter().any(|reference| {
                let entry = self.image.relocations.get(&reference.to);
                let name = entry.and_then(|e| self.image.object.symbol_name(e.symbol));
                reference.manner == Manner::Memory
                    && name.is_some_and(|name| name.starts_with(b"_ITM_"))
            })
    }

    /// Code that runs on into the next piece, over the padding between them.
    fn fall(
        &mut self,
        piece: &Piece,
        next: Option<&Piece>,
        links: &mut Vec<Link>,
        content: &mut Vec<u8>,
    ) {
        let next = next.filter(|next| next.start.saturating_sub(piece.end) < MAX_PADDING);
        let to = next.and_then(|next| Some((next.start, self.code_at(next.start)?)));
        let to = match to {
            Some((start, to)) => {
                let between = self.image.bytes(piece.end, start - piece.end);
                content.extend(between.unwrap_or_default());
                to
            }
            None => self.unsure("code that does not end"),
        };
        links.push(Link {
            to,
            offset: 0,
            manner: Manner::Fall,
        });
    }

    /// Whether an atom is the import of a function that looks symbols up.
    pub(super) fn is_lookup(&self, atom: u32) -> bool {
        let import = self.imports.get(&atom);
        let name = import.and_then(|import| self.image.object.symbol_name(import.symbol));
        name.is_some_and(|name| FINDERS.contains(&name))
    }

    /// A constant string at `address`.
    fn text_at(&self, address: u64) -> Option<Box<[u8]>> {
        let section = self.image.at(address)?;
        if section.region != super::image::Region::Constant {
            return None;
        }
        let len = (section.end - address).min(MAX_NAME);
        let bytes = self.image.bytes(address, len)?;
        let len = bytes.iter().position(|&b| b == 0)?;
        Some(bytes.get(..len)?.into())
    }
}
