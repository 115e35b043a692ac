//! How records lie in files: plain little-endian structures of alignment 1,
//! the way to see one in bytes, and what every file's header must say.
//!
//! The host writes them through `zerocopy`; readers cast, which [`Plain`] is
//! there to make sound.

use crate::arch::Served;

/// Structures that any bytes of their size are a value of: no padding, no niche.
///
/// # Safety
/// Implement only for `repr(C)` types of alignment 1 for which every bit
/// pattern is valid.
#[expect(unsafe_code, reason = "marks the types that `view` may cast to")]
pub unsafe trait Plain: Copy {}

#[expect(unsafe_code, reason = "a byte")]
// SAFETY: alignment 1, every bit pattern is valid.
unsafe impl Plain for u8 {}
#[expect(unsafe_code, reason = "bytes")]
// SAFETY: alignment 1, every bit pattern is valid.
unsafe impl<const N: usize> Plain for [u8; N] {}

macro_rules! little_endian {
    ($name:ident, $int:ty, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Default, PartialEq, Eq)]
        #[cfg_attr(
            feature = "host",
            derive(
                zerocopy::FromBytes,
                zerocopy::IntoBytes,
                zerocopy::KnownLayout,
                zerocopy::Immutable,
                zerocopy::Unaligned
            )
        )]
        #[repr(transparent)]
        pub struct $name([u8; size_of::<$int>()]);

        impl $name {
            /// Stores `value` in little-endian order.
            pub const fn new(value: $int) -> Self {
                Self(value.to_le_bytes())
            }
            /// The value in the reader's own order.
            pub const fn get(self) -> $int {
                <$int>::from_le_bytes(self.0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.get().fmt(f)
            }
        }

        #[expect(unsafe_code, reason = "an array of bytes")]
        // SAFETY: transparent over an array of bytes.
        unsafe impl Plain for $name {}
    };
}
little_endian!(Le16, u16, "A 16-bit little-endian integer of alignment 1.");
little_endian!(Le32, u32, "A 32-bit little-endian integer of alignment 1.");
little_endian!(Le64, u64, "A 64-bit little-endian integer of alignment 1.");

/// Declares a structure of a file with its size in bytes. Fields that are not
/// [`Plain`], padding and another size do not compile.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident, $size:literal bytes {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(
            feature = "host",
            derive(
                zerocopy::FromBytes,
                zerocopy::IntoBytes,
                zerocopy::KnownLayout,
                zerocopy::Immutable,
                zerocopy::Unaligned
            )
        )]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        #[expect(unsafe_code, reason = "every field is plain, see the assertion below")]
        // SAFETY: repr(C), and every field is `Plain`: alignment 1, any bits.
        unsafe impl $crate::format::record::Plain for $name {}

        const _: () = {
            const fn plain<T: $crate::format::record::Plain>() {}
            $(plain::<$type>();)*
            assert!(align_of::<$name>() == 1 && size_of::<$name>() == $size);
        };
    };
}
pub(crate) use record;

/// The `T` at `offset` of `bytes`, if it lies inside.
pub fn view<T: Plain>(bytes: &[u8], offset: usize) -> Option<&T> {
    let source = bytes.get(offset..)?.get(..size_of::<T>())?;
    #[expect(unsafe_code, reason = "the cast that `Plain` was made for")]
    // SAFETY: `source` has the size of T; `Plain` promises alignment 1 and that
    // any bytes are a value.
    Some(unsafe { &*source.as_ptr().cast::<T>() })
}

/// The `T` at `index` of those that follow a header of `header_len` bytes, each
/// of `stride` bytes in the writer.
pub fn entry<T: Plain>(bytes: &[u8], header_len: Le16, stride: Le16, index: usize) -> Option<&T> {
    let offset = index.checked_mul(stride.get() as usize)?;
    view(bytes, (header_len.get() as usize).checked_add(offset)?)
}

record! {
    /// What the header of every file begins with.
    pub struct Start, 22 bytes {
        /// [`FileHeader::MAGIC`].
        pub magic: [u8; 8],
        /// [`FileHeader::VERSION`]; a reader refuses any other.
        pub version: Le16,
        /// Size of the header in the writer; at least the reader's.
        pub header_len: Le16,
        /// Size of an object's record in the writer; at least the reader's.
        pub object_len: Le16,
        /// ELF machine (`e_machine`) of the executable.
        pub machine: Le16,
        /// Length of the whole file in bytes.
        pub total_len: Le32,
        /// Number of objects; their records follow the header immediately.
        pub object_count: Le16,
    }
}

/// The header of a kind of file; it begins with the fields of [`Start`].
pub trait FileHeader: Plain {
    /// First eight bytes of every such file.
    const MAGIC: [u8; 8];
    /// The only format version that is read.
    const VERSION: u16;
    /// Longest file that is read, in bytes.
    const MAX_LEN: usize;
    /// Why bytes are not such a file.
    type Error: From<HeaderError>;
}

/// What can be wrong with any file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Shorter than the header says, or than a header.
    Truncated,
    /// Longer than [`FileHeader::MAX_LEN`].
    TooLarge,
    /// The first bytes are not [`FileHeader::MAGIC`].
    Magic,
    /// Another format version.
    Version,
    /// For another machine.
    Machine,
    /// Longer than the header says: the file was appended to.
    TooLong,
}

/// Makes a record a [`FileHeader`]: `Header: MAGIC, VERSION, at most LEN bytes,
/// else Error::NotSuchAFile`. One that does not begin as [`Start`] does not
/// compile.
macro_rules! file_header {
    (
        $header:ident: $magic:ident, $version:ident, at most $max:ident bytes,
        else $error:ident::$not_one:ident
    ) => {
        impl $crate::format::record::FileHeader for $header {
            const MAGIC: [u8; 8] = $magic;
            const VERSION: u16 = $version;
            const MAX_LEN: usize = $max;
            type Error = $error;
        }

        impl From<$crate::format::record::HeaderError> for $error {
            #[inline]
            fn from(error: $crate::format::record::HeaderError) -> Self {
                use $crate::format::record::HeaderError;
                match error {
                    HeaderError::Truncated => Self::Truncated,
                    HeaderError::TooLarge => Self::TooLarge,
                    HeaderError::Magic => Self::$not_one,
                    HeaderError::Version => Self::Version,
                    HeaderError::Machine => Self::Machine,
                    HeaderError::TooLong => Self::Corrupt,
                }
            }
        }

        const _: () = {
            use $crate::format::record::Start;
            macro_rules! alike {
                ($field:ident) => {
                    assert!(
                        core::mem::offset_of!($header, $field)
                            == core::mem::offset_of!(Start, $field)
                    )
                };
            }
            alike!(magic);
            alike!(version);
            alike!(header_len);
            alike!(object_len);
            alike!(machine);
            alike!(total_len);
            alike!(object_count);
        };
    };
}
pub(crate) use file_header;

/// The header of `bytes`, and whether they are as long as it says.
///
/// # Errors
/// Says what is wrong first.
#[inline]
pub fn header<H: FileHeader>(bytes: &[u8]) -> Result<&H, H::Error> {
    if bytes.len() > H::MAX_LEN {
        return Err(HeaderError::TooLarge.into());
    }
    let Some(magic) = bytes.get(..H::MAGIC.len()) else {
        return Err(HeaderError::Truncated.into());
    };
    if magic != H::MAGIC {
        return Err(HeaderError::Magic.into());
    }
    let (Some(header), Some(start)) = (view::<H>(bytes, 0), view::<Start>(bytes, 0)) else {
        return Err(HeaderError::Truncated.into());
    };
    if start.version.get() != H::VERSION {
        return Err(HeaderError::Version.into());
    }
    if !Served::includes(start.machine.get()) {
        return Err(HeaderError::Machine.into());
    }
    match (start.total_len.get() as usize).cmp(&bytes.len()) {
        core::cmp::Ordering::Greater => Err(HeaderError::Truncated.into()),
        core::cmp::Ordering::Less => Err(HeaderError::TooLong.into()),
        core::cmp::Ordering::Equal => Ok(header),
    }
}
