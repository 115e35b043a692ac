//! What the fuzz target and the tests do with arbitrary bytes as bindings.

use indir_shim::format::bindings::{Bindings, Writable};
use indir_shim::format::bindings_layout::Header;
use zerocopy::FromBytes as _;

/// Applies `data` as the binder would, to objects that are not there, in address
/// spaces of all kinds.
///
/// # Panics
/// When the reader breaks a promise: a write outside of a writable segment, a
/// write after a check that failed, more entries for ld.so than announced.
pub fn exercise_bindings(data: &[u8]) {
    // The digest is no obstacle: whoever forges the rest can copy it.
    let Ok((header, _)) = Header::read_from_prefix(data) else {
        assert!(Bindings::parse(data, &[0; 16]).is_err());
        return;
    };
    let Ok(file) = Bindings::parse(data, &header.digest) else {
        return;
    };
    let segments = |ranges: &[(u64, u64)]| -> Vec<Writable> {
        let segment = |&(start, end)| Writable { start, end };
        ranges.iter().map(segment).collect()
    };
    let spaces = [
        segments(&[]),
        segments(&[(0x1000, 0x1004)]),
        segments(&[(0x3000, 0x4001), (0x5000, 0x5010)]),
        segments(&[(0, 1 << 32)]),
        segments(&[(0, u64::MAX)]),
    ];
    let bases: Vec<u64> = (0..file.len() as u64).map(|n| n << 40).collect();
    let mut left_of_all = 0;
    for index in 0..file.len() {
        let Some(object) = file.object(index) else {
            panic!("an object that was checked is gone");
        };
        left_of_all += object.left_count();
        for writable in &spaces {
            let inside = |slot: u64| {
                let fits = |w: &Writable| slot >= w.start && slot < w.end && w.end - slot >= 8;
                assert!(writable.iter().any(fits), "a slot outside of the segments");
            };
            let sound = object.check(writable, bases.len()).is_ok();
            let applied = object.apply(writable, &bases, |slot, _| inside(slot));
            let mut entries = 0;
            let left = object.left(writable, 0x1234_5000, &bases, |_| entries += 1);
            assert!(entries <= object.left_count());
            assert!(!sound || applied.is_ok() && left.is_ok() && entries == object.left_count());
        }
    }
    assert_eq!(left_of_all, u64::from(file.header().left_count.get()));
    assert!(file.object(file.len()).is_none());
}
