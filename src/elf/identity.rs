//! What tells that a file is the one that was seen before.

use std::os::unix::fs::MetadataExt as _;

use indir_shim::format::layout::{
    self, ID_LEN, IDENTITY_BUILD_ID, IDENTITY_NONE, IDENTITY_SIZE_MTIME,
};

/// What identifies a file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Nothing is known.
    #[default]
    None,
    /// The GNU build-id, cut to [`ID_LEN`] bytes.
    BuildId(Vec<u8>),
    /// Size in bytes and time of last change in nanoseconds since 1970.
    SizeMtime(u64, i64),
}

impl Identity {
    /// Identity of a file with this build-id and `stat`.
    pub fn of(build_id: Option<&[u8]>, metadata: &std::fs::Metadata) -> Self {
        match build_id {
            Some(id) if !id.is_empty() => Self::BuildId(id.get(..ID_LEN).unwrap_or(id).to_vec()),
            _ => {
                let nanos = metadata.mtime().saturating_mul(1_000_000_000);
                Self::SizeMtime(metadata.len(), nanos.saturating_add(metadata.mtime_nsec()))
            }
        }
    }

    /// Reads the stored form; what a newer writer may have meant is `None`.
    pub fn from_raw(raw: &layout::Identity) -> Self {
        let used = raw.bytes.get(..usize::from(raw.len)).unwrap_or(&[]);
        match (raw.kind, used) {
            (IDENTITY_BUILD_ID, id) if !id.is_empty() => Self::BuildId(id.to_vec()),
            (IDENTITY_SIZE_MTIME, [size @ .., _, _, _, _, _, _, _, _]) if size.len() == 8 => {
                let word = |bytes: Option<&[u8; 8]>| bytes.copied().unwrap_or_default();
                Self::SizeMtime(
                    u64::from_le_bytes(word(used.first_chunk())),
                    i64::from_le_bytes(word(used.last_chunk())),
                )
            }
            _ => Self::None,
        }
    }

    /// The stored form.
    pub fn to_raw(&self) -> layout::Identity {
        let mut raw = layout::Identity::default();
        let mut put = |kind: u8, bytes: &[u8]| {
            let len = bytes.len().min(ID_LEN);
            raw.kind = kind;
            raw.len = len as u8;
            raw.bytes
                .iter_mut()
                .zip(bytes)
                .for_each(|(to, from)| *to = *from);
        };
        match self {
            Self::None => put(IDENTITY_NONE, &[]),
            Self::BuildId(id) => put(IDENTITY_BUILD_ID, id),
            Self::SizeMtime(size, mtime) => {
                let words = [size.to_le_bytes(), mtime.to_le_bytes()];
                put(IDENTITY_SIZE_MTIME, words.as_flattened());
            }
        }
        raw
    }
}
