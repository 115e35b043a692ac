//! Reading tables of unwinding: numbers of variable length and encoded pointers.
//!
//! Follows the LSB's description of `.eh_frame` and DWARF's LEB128. Everything is
//! untrusted: what ends too early is `None`.

/// A place in bytes that lie at an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    address: u64,
    at: usize,
}

/// DW_EH_PE_omit: there is no pointer.
pub(super) const OMIT: u8 = 0xff;
/// DW_EH_PE_indirect: the pointer says where the pointer is.
pub(super) const INDIRECT: u8 = 0x80;

impl<'a> Cursor<'a> {
    /// At the first of `bytes`, which lie at `address`.
    pub(super) fn new(bytes: &'a [u8], address: u64) -> Self {
        Self {
            bytes,
            address,
            at: 0,
        }
    }

    /// The same bytes from offset `at` on.
    pub(super) fn go(mut self, at: usize) -> Self {
        self.at = at;
        self
    }

    /// Offset of what comes next.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Option<u8> {
        Some(*self.take(1)?.first()?)
    }

    /// The next four bytes.
    pub(super) fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    /// Bytes up to NUL, which is passed.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let len = rest.iter().position(|&b| b == 0)?;
        self.at = self.at.checked_add(len)?.checked_add(1)?;
        rest.get(..len)
    }

    /// An unsigned LEB128 number of at most 64 bits.
    pub(super) fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed LEB128 number of at most 64 bits.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let mut value = 0_i64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let sign = byte & 0x40 != 0 && shift + 7 < 64;
                return Some(if sign {
                    value | -1 << (shift + 7)
                } else {
                    value
                });
            }
        }
        None
    }

    /// A number as `encoding` stores it, as it stands.
    fn number(&mut self, encoding: u8) -> Option<i64> {
        Some(match encoding & 15 {
            0 | 4 | 12 => i64::from_le_bytes(*self.take(8)?.first_chunk()?),
            1 => i64::try_from(self.unsigned()?).ok()?,
            2 => i64::from(u16::from_le_bytes(*self.take(2)?.first_chunk()?)),
            3 => i64::from(self.word()?),
            9 => self.signed()?,
            10 => i64::from(i16::from_le_bytes(*self.take(2)?.first_chunk()?)),
            11 => i64::from(self.word()? as i32),
            _ => return None,
        })
    }

    /// A length, whose encoding has the form of a pointer's.
    pub(super) fn length(&mut self, encoding: u8) -> Option<u64> {
        u64::try_from(self.number(encoding & 15)?).ok()
    }

    /// An encoded pointer: `Some(None)` if it is null or omitted, `None` if it cannot
    /// be read. An indirect one is the address of the pointer.
    pub(super) fn pointer(&mut self, encoding: u8) -> Option<Option<u64>> {
        if encoding == OMIT {
            return Some(None);
        }
        let place = self.address.wrapping_add(self.at as u64);
        let number = self.number(encoding)?;
        if number == 0 {
            return Some(None);
        }
        match encoding & 0x70 {
            0 => Some(Some(number as u64)),
            0x10 => Some(Some(place.wrapping_add(number as u64))),
            _ => None,
        }
    }
}

/// Bytes of a pointer with this encoding, where entries have one size.
pub(super) fn pointer_len(encoding: u8) -> Option<usize> {
    match encoding & 15 {
        0 | 4 | 12 => Some(8),
        2 | 10 => Some(2),
        3 | 11 => Some(4),
        _ => None,
    }
}
