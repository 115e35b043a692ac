//! Cuts slots into the runs of a bindings stream.
//!
//! A run has one target, one width for the distances between its slots and one
//! for its offsets. Where the next slot is too far away, either a new run or a
//! wider distance is cheaper; which one is found for a whole group at a time,
//! by the usual dynamic programme over the two widths.

use std::cmp::Reverse;

use indir_shim::format::bindings_layout::Run;
use indir_shim::format::record::{Le16, Le32};
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

/// Appends the runs for `slots` to `out`; no run crosses a segment. What lies in
/// the last object of the closure comes first: the resolvers of IFUNCs run in this
/// order, and those of libc's never need others.
pub(super) fn encode(mut slots: Vec<Slot>, segments: &[(u64, u64)], out: &mut Vec<u8>) {
    let segment = |slot: &Slot| {
        let at = u64::from(slot.slot);
        segments.iter().position(|s| at >= s.0 && at < s.1)
    };
    let group = |slot: &Slot| {
        (
            Reverse(slot.target),
            !slot.slot.is_multiple_of(8),
            segment(slot),
        )
    };
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

#[cfg(test)]
mod tests {
    use indir_shim::arch::MACHINE;
    use indir_shim::format::bindings::{Bindings, Writable};
    use indir_shim::format::bindings_layout::{
        Header, MAGIC, ObjectBindings, Part, TAIL, TARGET_ABSOLUTE, VERSION,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::table::bindings_file::seal;

    const SEGMENTS: [(u64, u64); 2] = [(0x1000, 0x2_0000), (0x4_0000, 0x40_0000)];
    const BASES: [u64; 4] = [0x5555_0000_0000, 0, 0x7f00_0000_0000, u64::MAX - 0xfff];

    fn stream(slots: &[Slot]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(slots.to_vec(), &SEGMENTS, &mut out);
        out
    }

    /// A file with one object that has `stream`.
    fn file(stream: &[u8]) -> Vec<u8> {
        let at = size_of::<Header>() + size_of::<ObjectBindings>();
        let object = ObjectBindings {
            bound: Part {
                offset: Le32::new(at as u32),
                len: Le32::new(stream.len() as u32),
            },
            ..ObjectBindings::default()
        };
        let header = Header {
            magic: MAGIC,
            version: Le16::new(VERSION),
            header_len: Le16::new(size_of::<Header>() as u16),
            object_len: Le16::new(size_of::<ObjectBindings>() as u16),
            machine: Le16::new(MACHINE),
            total_len: Le32::new((at + stream.len() + TAIL) as u32),
            object_count: Le16::new(1),
            ..Header::default()
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(object.as_bytes());
        bytes.extend_from_slice(stream);
        bytes.extend_from_slice(&[0; TAIL]);
        seal(&mut bytes);
        bytes
    }

    fn decoded(stream: &[u8]) -> Vec<(u64, u64)> {
        let bytes = file(stream);
        let file = Bindings::parse(&bytes, &[0; 16]).unwrap();
        let object = file.object(0).unwrap();
        let writable = SEGMENTS.map(|(start, end)| Writable { start, end });
        object.check(&writable, BASES.len()).unwrap();
        let mut slots = Vec::new();
        let put = |slot, value| slots.push((slot, value));
        assert_eq!(object.apply(&writable, &BASES, put), Ok(slots.len() as u64));
        slots.sort_unstable();
        slots
    }

    fn expected(slots: &[Slot]) -> Vec<(u64, u64)> {
        let value = |slot: &Slot| {
            let base = BASES.get(usize::from(slot.target)).copied().unwrap_or(0);
            base.wrapping_add(u64::from(slot.value))
        };
        let pairs = slots.iter().map(|slot| (u64::from(slot.slot), value(slot)));
        let mut all: Vec<_> = pairs.collect();
        all.sort_unstable();
        all
    }

    fn slot(target: u16, slot: u32, value: u32) -> Slot {
        Slot {
            target,
            slot,
            value,
        }
    }

    /// The bytes of format version 2. A change here is a new version.
    #[test]
    fn golden_stream() {
        let slots = [
            slot(1, 0x1008, 0x1_2345),
            slot(1, 0x1000, 0x1_0000),
            slot(1, 0x1010, 0x2_ffff),
            slot(0, 0x1_0000, 0x40),
            slot(0, 0x4_0000, 0x40),
            slot(TARGET_ABSOLUTE, 0x1019, 0),
        ];
        #[rustfmt::skip]
        let golden = [
            // absolute, unaligned
            0xff, 0xff, 1, 0, 0x19, 0x10, 0, 0, 0, 0, 0, 0, 0,
            0, 0,
            // target 1: three slots, offsets of three bytes
            1, 0, 3, 0, 0, 0x10, 0, 0, 0, 0, 1, 0, 0x38,
            0, 0, 0, 0,
            1, 0x45, 0x23, 0,
            1, 0xff, 0xff, 1,
            // target 0, before and after the gap between the segments
            0, 0, 1, 0, 0, 0, 1, 0, 0x40, 0, 0, 0, 0x30,
            0, 0,
            0, 0, 1, 0, 0, 0, 4, 0, 0x40, 0, 0, 0, 0x30,
            0, 0,
        ];
        assert_eq!(stream(&slots), golden);
        assert_eq!(decoded(&golden), expected(&slots));
    }

    #[test]
    fn long_runs_are_split_and_far_slots_begin_new_ones() {
        let near: Vec<Slot> = (0..70_000).map(|n| slot(2, 0x4_0000 + n * 8, n)).collect();
        assert!(stream(&near).len() <= 70_000 * 4 + 2 * size_of::<Run>());
        let within: Vec<Slot> = (0..50_000).map(|n| slot(2, 0x4_0000 + n * 8, n)).collect();
        assert_eq!(decoded(&stream(&within)), expected(&within));
        let far = [slot(0, 0x4_0000, 1), slot(0, 0x20_0000, 2)];
        assert_eq!(stream(&far).len(), 2 * (size_of::<Run>() + 2));
        assert_eq!(decoded(&stream(&far)), expected(&far));
    }

    #[test]
    fn a_slot_outside_of_the_segments_is_refused_before_anything_is_written() {
        // The last slot of the run would be the first one of the gap.
        let good = slot(0, 0x1_fff0, 0);
        let bytes = file(&stream(&[good, slot(0, 0x1_fff8, 0)]));
        let file = Bindings::parse(&bytes, &[0; 16]).unwrap();
        let object = file.object(0).unwrap();
        let writable = |end| [Writable { start: 0x1000, end }];
        assert!(object.check(&writable(0x2_0000), 1).is_ok());
        assert!(object.check(&writable(0x1_ffff), 1).is_err());
        assert!(object.check(&writable(0x2_0000), 0).is_err());
        assert!(object.check(&[], 1).is_err());
    }

    fn any_slots() -> impl Strategy<Value = Vec<Slot>> {
        let place = prop_oneof![
            (0x200_u32..0x3fff).prop_map(|n| n * 8),
            (0x4_0000_u32..0x4_2000),
            (0x8000_u32..0x7_ffff).prop_map(|n| n * 8),
        ];
        let value = prop_oneof![0_u32..0x100, 0_u32..0x4_0000, any::<u32>()];
        let target = prop_oneof![0_u16..4, Just(TARGET_ABSOLUTE)];
        proptest::collection::btree_map(place, (target, value), 0..400).prop_map(|all| {
            let slots = all.into_iter();
            slots
                .map(|(at, (target, value))| slot(target, at, value))
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn decoding_is_the_inverse_of_encoding(slots in any_slots()) {
            prop_assert_eq!(decoded(&stream(&slots)), expected(&slots));
        }

        #[test]
        fn arbitrary_streams_are_harmless(stream in proptest::collection::vec(any::<u8>(), 0..200)) {
            crate::table::exercise_bindings(&file(&stream));
        }

        #[test]
        fn damaged_streams_are_harmless(
            slots in any_slots(),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = file(&stream(&slots));
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            seal(&mut bytes);
            crate::table::exercise_bindings(&bytes);
            crate::table::exercise_bindings(&bytes[..cut.index(bytes.len())]);
        }
    }
}
