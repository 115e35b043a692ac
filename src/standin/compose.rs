//! Whether a name may be put together from words: by a pattern, or of two or three words
//! in a row.
//!
//! Every name of every header is asked for, and every part of it is looked up. So texts are
//! kept as numbers: a polynomial modulo a prime, of which that of each part of a name is
//! told from those of its beginnings. Two texts of one number make a name count as put
//! together that is not, which is the safe side.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasherDefault;

use super::names::Quick;
use super::word::MAX_WORD;
use super::words::{Files, Words};

/// Shortest text beside a hole that says enough by itself.
const MIN_LITERAL: usize = 4;
/// Shortest word of a file's name that is put together, and text beside a hole of one.
const MIN_PIECE: usize = 2;
/// A Mersenne prime.
const PRIME: u64 = (1 << 61) - 1;
/// Where the polynomial is taken.
const BASE: u64 = 0x0123_4567_89ab_cdef;

/// Numbers of texts. Most that are asked for are not in it, which a bit tells.
#[derive(Default)]
struct Set {
    numbers: HashSet<u64, BuildHasherDefault<Quick>>,
    bits: Vec<u64>,
}

/// Least bits of a set for each number.
const BITS_EACH: usize = 8;

impl Set {
    fn insert(&mut self, number: u64) {
        if !self.numbers.insert(number) {
            return;
        }
        if self.numbers.len() * BITS_EACH > self.bits.len() * 64 {
            let words = (self.numbers.len() * BITS_EACH * 4).div_ceil(64);
            self.bits = vec![0; words.next_power_of_two()];
            for number in &self.numbers {
                mark(&mut self.bits, *number);
            }
        } else {
            mark(&mut self.bits, number);
        }
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(&self.bits, number);
        let marked = self.bits.get(word).is_some_and(|bits| bits & bit != 0);
        marked && self.numbers.contains(&number)
    }
}

fn mark(bits: &mut [u64], number: u64) {
    let (word, bit) = place(bits, number);
    if let Some(word) = bits.get_mut(word) {
        *word |= bit;
    }
}

/// In which word, of which there are a power of two, and the bit in it.
fn place(bits: &[u64], number: u64) -> (usize, u64) {
    let word = usize::try_from(number >> 6).unwrap_or(0) & bits.len().wrapping_sub(1);
    (word, 1 << (number & 63))
}

/// How a name is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    First,
    /// It could not be put together without recent words.
    Again,
    /// As that of a file.
    File,
}

/// What names are put together from.
pub(super) struct Composer {
    words: Set,
    /// Where words stand that are joined with those of the same file only.
    files: HashMap<u64, Vec<u32>, BuildHasherDefault<Quick>>,
    /// Words that were added since names were last asked for.
    recent: Set,
    /// Texts beside holes, however short.
    pieces: Set,
    /// Those that say enough by themselves.
    prefixes: Set,
    suffixes: Set,
    /// Texts on both sides of a hole, and their lengths.
    middles: Set,
    middle_lengths: BTreeSet<usize>,
    /// Shortest word that counts.
    min_word: usize,
    /// Powers of the base.
    powers: Vec<u64>,
}

impl Composer {
    /// By the patterns of a source; words are added.
    pub(super) fn new(words: &Words) -> Self {
        let mut powers = vec![1; MAX_WORD + 1];
        for at in 1..powers.len() {
            let before = powers.get(at - 1).copied().unwrap_or(1);
            if let Some(power) = powers.get_mut(at) {
                *power = times(before, BASE);
            }
        }
        let mut composer = Self {
            words: Set::default(),
            files: HashMap::default(),
            recent: Set::default(),
            pieces: Set::default(),
            prefixes: Set::default(),
            suffixes: Set::default(),
            middles: Set::default(),
            middle_lengths: BTreeSet::new(),
            min_word: if words.pastes { 1 } else { 2 },
            powers,
        };
        for pattern in &words.patterns {
            let (prefix, suffix) = (pattern.prefix.as_slice(), pattern.suffix.as_slice());
            let set = match (prefix.is_empty(), suffix.is_empty()) {
                (false, true) => &mut composer.prefixes,
                (true, false) => &mut composer.suffixes,
                _ if prefix == suffix => {
                    if prefix.len() >= MIN_LITERAL {
                        composer.middle_lengths.insert(prefix.len());
                    }
                    &mut composer.middles
                }
                _ => continue,
            };
            let text = if prefix.is_empty() { suffix } else { prefix };
            if text.len() >= MIN_PIECE {
                composer.pieces.insert(number(text));
            }
            if text.len() >= MIN_LITERAL {
                set.insert(number(text));
            }
        }
        composer
    }

    /// Adds a word that is spelled in these files, or reached.
    pub(super) fn add(&mut self, word: &[u8], files: &Files) {
        if word.len() < self.min_word {
            return;
        }
        let number = number(word);
        match files {
            Files::Some(files) if !self.words.has(number) => {
                self.files.insert(number, files.clone());
            }
            // Two words of one number count as one.
            Files::Some(files) => {
                if let Some(known) = self.files.get_mut(&number) {
                    known.extend(files);
                    known.sort_unstable();
                }
            }
            Files::All => {
                self.files.remove(&number);
            }
        }
        self.words.insert(number);
        self.recent.insert(number);
    }

    /// From here on, words that are added are recent.
    pub(super) fn settle(&mut self) {
        self.recent = Set::default();
    }

    /// Whether a name may be put together.
    pub(super) fn composes(&self, text: &[u8]) -> bool {
        self.composes_by(text, Asked::First)
    }

    /// Whether a word of a file's or package's name may be: by a pattern, or of words of
    /// which one stands beside a hole. Macros paste no such names.
    pub(super) fn composes_file(&self, text: &[u8]) -> bool {
        self.composes_by(text, Asked::File)
    }

    /// Whether a name that could not be put together before can be with a recent word.
    pub(super) fn composes_now(&self, text: &[u8]) -> bool {
        self.composes_by(text, Asked::Again)
    }

    fn composes_by(&self, text: &[u8], asked: Asked) -> bool {
        let length = text.len();
        // What is so long is not looked into.
        if length > MAX_WORD {
            return true;
        }
        let mut starts = Vec::with_capacity(length + 1);
        let mut so_far = 0;
        starts.push(so_far);
        for byte in text {
            so_far = plus(times(so_far, BASE), u64::from(*byte) + 1);
            starts.push(so_far);
        }
        let part = |from: usize, to: usize| {
            let (Some(&start), Some(&end), Some(&power)) =
                (starts.get(from), starts.get(to), self.powers.get(to - from))
            else {
                return 0;
            };
            plus(end, PRIME - times(start, power))
        };
        if asked != Asked::Again && self.is_around(length, &part) {
            return true;
        }
        let min_word = match asked {
            Asked::File => MIN_PIECE,
            _ => self.min_word,
        };
        let is_word = |from: usize, to: usize| {
            let inner = text.get(from..to).unwrap_or_default();
            (inner.len() >= min_word && self.words.has(part(from, to)))
                || inner.iter().all(u8::is_ascii_digit)
        };
        // One of the words has to be of these.
        let is_one = |from: usize, to: usize| match asked {
            Asked::First => true,
            Asked::Again => self.recent.has(part(from, to)),
            Asked::File => self.pieces.has(part(from, to)),
        };
        let firsts: Vec<usize> = (1..length).filter(|&at| is_word(0, at)).collect();
        if firsts.is_empty() {
            return false;
        }
        let lasts: Vec<usize> = (1..length).filter(|&at| is_word(at, length)).collect();
        let meet = |ends: &[usize]| {
            let parts = ends.windows(2).filter_map(|ends| match ends {
                [from, to] => Some((to - from, part(*from, *to))),
                _ => None,
            });
            self.meet(parts)
        };
        for &first in &firsts {
            for &last in &lasts {
                let has_one = is_one(0, first) || is_one(last, length);
                let fits = match first.cmp(&last) {
                    Ordering::Less => {
                        is_word(first, last)
                            && (has_one || is_one(first, last))
                            && meet(&[0, first, last, length])
                    }
                    Ordering::Equal => has_one && meet(&[0, first, length]),
                    Ordering::Greater => false,
                };
                if fits {
                    return true;
                }
            }
        }
        false
    }

    /// Whether words, by their lengths and numbers, stand in one file, as far as they have
    /// to: what stands beside a hole is joined with what may be read from elsewhere.
    fn meet(&self, parts: impl Iterator<Item = (usize, u64)>) -> bool {
        let mut common: Option<Vec<u32>> = None;
        for (length, number) in parts {
            let Some(files) = self.files.get(&number) else {
                continue;
            };
            if length >= MIN_PIECE && self.pieces.has(number) {
                continue;
            }
            match &mut common {
                None => common = Some(files.clone()),
                Some(common) => common.retain(|file| files.binary_search(file).is_ok()),
            }
        }
        common.is_none_or(|files| !files.is_empty())
    }

    /// Whether a pattern fits a name of this length; `part` is the number of each part.
    fn is_around(&self, length: usize, part: &dyn Fn(usize, usize) -> u64) -> bool {
        for at in 1..length {
            if self.prefixes.has(part(0, at)) || self.suffixes.has(part(at, length)) {
                return true;
            }
        }
        for &middle in &self.middle_lengths {
            for at in 0..=length.saturating_sub(middle) {
                if at + middle <= length && self.middles.has(part(at, at + middle)) {
                    return true;
                }
            }
        }
        false
    }
}

fn number(text: &[u8]) -> u64 {
    let step = |so_far, byte: &u8| plus(times(so_far, BASE), u64::from(*byte) + 1);
    text.iter().fold(0, step)
}

fn plus(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let (low, high) = (product & u128::from(PRIME), product >> 61);
    // Both are below the prime, or it.
    let sum = u64::try_from(low + high).unwrap_or(0);
    if sum >= PRIME { sum - PRIME } else { sum }
}
