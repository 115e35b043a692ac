//! Cuts slots into the runs of a bindings stream.
//!
//! A run has one target, one width for the distances between its slots and one
//! for its offsets. Where the next slot is too far away, either a new run or a
//! wider distance is cheaper; which one is found for a whole group at a time,
//! by the usual dynamic programme over the two widths.

use indir_shim::bindings_layout::Run;
use indir_shim::layout::{Le16, Le32};
use zerocopy::IntoBytes as _;

/// A slot, where its value lies, and how far into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Index of the object, or `TARGET_ABSOLUTE`.
    pub(super) target: u16,
    /// Address relative to its object's load address.
    pub(super) slot: u32,
    /// Value relative to the target's load address.
    pub(super) value: u32,
}

const RUN_LEN: u32 = size_of::<Run>() as u32;
/// Bytes of a distance that are tried.
const WIDTHS: [u32; 2] = [1, 2];

/// Appends the runs for `slots` to `out`; no run crosses a segment.
pub(super) fn encode(mut slots: Vec<Slot>, segments: &[(u64, u64)], out: &mut Vec<u8>) {
    let segment = |slot: &Slot| {
        let at = u64::from(slot.slot);
        segments.iter().position(|s| at >= s.0 && at < s.1)
    };
    let group = |slot: &Slot| (slot.target, !slot.slot.is_multiple_of(8), segment(slot));
    slots.sort_unstable_by_key(|slot| (group(slot), slot.slot));
    for group in slots.chunk_by(|a, b| group(a) == group(b)) {
        let scale = if group.first().is_some_and(|s| s.slot.is_multiple_of(8)) {
            3
        } else {
            0
        };
        for (width, run) in cut(group, scale) {
            for part in run.chunks(usize::from(u16::MAX)) {
                write(part, width, scale, out);
            }
        }
    }
}

/// The cheapest runs, with the width of their distances.
fn cut(group: &[Slot], scale: u32) -> Vec<(u32, &[Slot])> {
    // For each slot and width: the cost so far, and whether a run begins here
    // and, if so, the width of the run before.
    #[derive(Clone, Copy)]
    struct Choice {
        cost: u32,
        after: Option<usize>,
    }
    let mut choices: Vec<[Choice; 2]> = Vec::with_capacity(group.len());
    for (at, slot) in group.iter().enumerate() {
        let before = at
            .checked_sub(1)
            .and_then(|i| Some((choices.get(i)?, group.get(i)?)));
        let mut here = [Choice {
            cost: u32::MAX,
            after: None,
        }; 2];
        for (choice, width) in here.iter_mut().zip(WIDTHS) {
            let Some((costs, last)) = before else {
                *choice = Choice {
                    cost: RUN_LEN + width,
                    after: None,
                };
                continue;
            };
            let cheapest = usize::from(costs[1].cost < costs[0].cost);
            *choice = Choice {
                cost: costs[cheapest].cost.saturating_add(RUN_LEN + width),
                after: Some(cheapest),
            };
            let same = costs[(width - 1) as usize].cost.saturating_add(width);
            let distance = (slot.slot - last.slot) >> scale;
            if distance >> (8 * width) == 0 && same <= choice.cost {
                *choice = Choice {
                    cost: same,
                    after: None,
                };
            }
        }
        choices.push(here);
    }
    let mut runs = Vec::new();
    let mut end = group.len();
    let mut width = usize::from(choices.last().is_some_and(|c| c[1].cost < c[0].cost));
    for (at, choice) in choices.iter().enumerate().rev() {
        if at == 0 || choice[width].after.is_some() {
            runs.push((WIDTHS[width], group.get(at..end).unwrap_or(&[])));
            end = at;
            width = choice[width].after.unwrap_or(width);
        }
    }
    runs.reverse();
    runs
}

fn write(run: &[Slot], distance_len: u32, scale: u32, out: &mut Vec<u8>) {
    let Some(first) = run.first() else {
        return;
    };
    let low = run.iter().map(|s| s.value).min().unwrap_or(0);
    let high = run.iter().map(|s| s.value).max().unwrap_or(0);
    let offset_len = (32 - (high - low).leading_zeros()).div_ceil(8).max(1);
    let header = Run {
        target: Le16::new(first.target),
        count: Le16::new(run.len() as u16),
        first: Le32::new(first.slot),
        offset: Le32::new(low),
        shape: (distance_len - 1) as u8 | ((offset_len - 1) as u8) << 2 | (scale as u8) << 4,
    };
    out.extend_from_slice(header.as_bytes());
    let mut last = first.slot;
    for slot in run {
        let distance = (slot.slot - last) >> scale;
        out.extend(distance.to_le_bytes().iter().take(distance_len as usize));
        let offset = (slot.value - low).to_le_bytes();
        out.extend(offset.iter().take(offset_len as usize));
        last = slot.slot;
    }
}
