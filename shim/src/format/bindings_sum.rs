//! The sum that tells damaged bindings from whole ones, and the tables of one
//! object from another's.
//!
//! Eight bytes at a time in four lanes: `lane = rotate(lane + word * A) * B`.
//! A and B are odd, so that every step is a bijection of the word and of the
//! lane: a change within one word always changes the sum; any other is missed
//! once in 2^64. No tables, and some bytes of code; a core sums several bytes
//! in a cycle. It is no defence against somebody who means to forge it: who may
//! write bindings at all is asked by [`crate::trust`].

use crate::arch::copy;
use crate::elf::dt;

const A: u64 = 0x9e37_79b9_7f4a_7c15;
const B: u64 = 0xd6e8_feb8_6659_fd93;

const fn mix(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(A))
        .rotate_left(31)
        .wrapping_mul(B)
}

/// The sum of `bytes`, continued from `seed`: 0 or another sum.
pub fn sum(seed: u64, bytes: &[u8]) -> u64 {
    let (mut a, mut b, mut c, mut d) = (seed, A, B, A ^ B);
    let mut rest = bytes;
    while let Some((block, tail)) = rest.split_first_chunk::<32>() {
        let [w, x, y, z] = words(block);
        a = mix(a, w);
        b = mix(b, x);
        c = mix(c, y);
        d = mix(d, z);
        rest = tail;
    }
    while !rest.is_empty() {
        let mut last = [0; 8];
        let len = if rest.len() < 8 { rest.len() } else { 8 };
        let Some((word, tail)) = rest.split_at_checked(len) else {
            break;
        };
        #[expect(unsafe_code, reason = "copies less than eight bytes")]
        // SAFETY: `last` has eight bytes, `word` at most as many.
        unsafe {
            copy(last.as_mut_ptr(), word.as_ptr(), word.len());
        }
        a = mix(a, u64::from_le_bytes(last));
        rest = tail;
    }
    // The length tells trailing zeros from the padding of the last word.
    mix(mix(mix(mix(a, b), c), d), bytes.len() as u64)
}

/// The sum continued with an entry of a dynamic section, as the file has it. `base` is where
/// the object lies: ld.so adds it to addresses in place (elf/get-dynamic-info.h,
/// `ADJUST_DYN_INFO`); 0 for the file.
///
/// Run paths do not count: nothing is bound by them, and tools take them away.
pub const fn sum_entry(seed: u64, tag: u64, value: u64, base: u64) -> u64 {
    if tag == dt::RPATH || tag == dt::RUNPATH {
        return seed;
    }
    let value = if value >= base { value - base } else { value };
    mix(mix(seed, tag), value)
}

fn words(block: &[u8; 32]) -> [u64; 4] {
    let (pairs, _) = block.as_chunks::<8>();
    match pairs {
        [a, b, c, d] => [
            u64::from_le_bytes(*a),
            u64::from_le_bytes(*b),
            u64::from_le_bytes(*c),
            u64::from_le_bytes(*d),
        ],
        _ => [0; 4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of this source: another sum is another format.
    #[test]
    fn golden() {
        assert_ne!(sum(0, b""), sum(1, b""));
        assert_eq!(sum(0, &[1, 2, 3]), GOLDEN[0]);
        let bytes: [u8; 100] = core::array::from_fn(|n| n as u8);
        assert_eq!(sum(7, &bytes), GOLDEN[1]);
    }

    const GOLDEN: [u64; 2] = [0x7d9f_1f01_0a82_a978, 0x7162_4b69_c0f2_2496];

    /// Every value of every byte, and zeros that are cut off or added.
    #[test]
    fn any_changed_byte_is_seen() {
        let mut bytes: [u8; 77] = core::array::from_fn(|n| (n * 37) as u8);
        let good = sum(0, &bytes);
        for at in 0..bytes.len() {
            let was = bytes[at];
            for value in 0..=255 {
                bytes[at] = value;
                assert_eq!(sum(0, &bytes) == good, value == was, "{at}");
            }
            bytes[at] = was;
        }
        let zeros = [0; 64];
        for len in 0..64 {
            assert_ne!(sum(0, &zeros[..len]), sum(0, &zeros[..=len]));
        }
    }

    /// Exchanged words, blocks, and pairs of flipped bits.
    #[test]
    fn structured_damage_is_seen() {
        let mut bytes: [u8; 256] = core::array::from_fn(|n| (n * n * 7 + n) as u8);
        let good = sum(0, &bytes);
        for (a, b) in [(0, 8), (0, 32), (8, 40), (96, 224)] {
            let mut other = bytes;
            for n in 0..8 {
                other.swap(a + n, b + n);
            }
            assert_ne!(sum(0, &other), good);
        }
        for first in 0..512 {
            for second in first + 1..512 {
                bytes[first / 8] ^= 1 << (first % 8);
                bytes[second / 8] ^= 1 << (second % 8);
                assert_ne!(sum(0, &bytes), good, "{first} {second}");
                bytes[first / 8] ^= 1 << (first % 8);
                bytes[second / 8] ^= 1 << (second % 8);
            }
        }
    }
}
