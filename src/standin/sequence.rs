//! The longest sequence of chunks that two headers have in common.

use std::collections::{HashMap, HashSet};

use super::chunk::{Chunk, Header, Key};

/// A chunk that is in one tree only, and how many that are in both come before it.
pub(super) type Lone<'h> = (&'h Chunk, usize);

/// Takes the parts at these places out.
pub(super) fn keep(list: &mut Vec<Lone<'_>>, without: &HashSet<usize>) {
    let mut at = 0;
    list.retain(|_| {
        at += 1;
        !without.contains(&(at - 1))
    });
}

/// Of two headers, the chunks that are in one only: outside of the longest sequence that
/// is in both, where the nth of equal chunks goes with the nth.
pub(super) fn lone<'h>(old: &'h Header, new: &'h Header) -> (Vec<Lone<'h>>, Vec<Lone<'h>>) {
    let numbered = |header: &Header| -> Vec<(Key, usize)> {
        let mut seen: HashMap<Key, usize> = HashMap::new();
        let chunks = header.chunks.iter();
        let number = |chunk: &Chunk| {
            let count = seen.entry(chunk.key).or_default();
            *count += 1;
            (chunk.key, *count)
        };
        chunks.map(number).collect()
    };
    let (a, b) = (numbered(old), numbered(new));
    let at: HashMap<&(Key, usize), usize> = b.iter().enumerate().map(|(at, k)| (k, at)).collect();
    let common: Vec<(usize, usize)> = a
        .iter()
        .enumerate()
        .filter_map(|(i, key)| Some((i, *at.get(key)?)))
        .collect();
    let kept = increasing(&common);
    let (mine, theirs): (HashSet<usize>, HashSet<usize>) = kept.into_iter().unzip();
    let pick = |header: &'h Header, kept: &HashSet<usize>| {
        let mut before = 0;
        let mut list = Vec::new();
        for (at, chunk) in header.chunks.iter().enumerate() {
            match kept.contains(&at) {
                true => before += 1,
                false => list.push((chunk, before)),
            }
        }
        list
    };
    (pick(old, &mine), pick(new, &theirs))
}

/// The longest part of `pairs` whose second numbers rise, as the first ones do.
fn increasing(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // The index of the smallest end of a sequence of each length, and what came before.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let second = |at: usize| pairs.get(at).map_or(0, |pair| pair.1);
    for (at, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| second(end) < pair.1);
        before.push(length.checked_sub(1).and_then(|l| ends.get(l)).copied());
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut list = Vec::new();
    let mut at = ends.last().copied();
    while let Some(index) = at {
        list.extend(pairs.get(index));
        at = before.get(index).copied().flatten();
    }
    list.reverse();
    list
}
