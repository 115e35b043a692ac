//! From a description of a closure to the bytes of its table.
//!
//! The same description gives the same bytes on every machine: no time, no
//! host name, no map order goes in.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use indir_shim::arch::MACHINE;
use indir_shim::format::layout::{
    self, Header, ID_LEN, IDENTITY_BUILD_ID, IDENTITY_NONE, IDENTITY_SIZE_MTIME, MAX_OBJECTS,
    MAX_TABLE, Object, PLAN_BOUND, PLAN_DIRECT, Str,
};
use indir_shim::format::record::{Le16, Le32};
use sha2::{Digest as _, Sha256};
use zerocopy::IntoBytes as _;

use super::strings::Strings;

/// Why a description cannot become a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A name or path holds a NUL byte.
    #[error("`{0}` holds a NUL byte")]
    Nul(String),
    /// A name, path or folder list is longer than 65,535 bytes.
    #[error("a string of {0} bytes is too long for a table")]
    TooLong(usize),
    /// More than [`MAX_OBJECTS`] libraries.
    #[error("{0} libraries are more than a table can name ({MAX_OBJECTS})")]
    TooManyObjects(usize),
    /// More than [`MAX_TABLE`] bytes.
    #[error("the table would be larger than {MAX_TABLE} bytes")]
    TooLarge,
    /// An id that is empty or longer than [`ID_LEN`].
    #[error("an id of {0} bytes cannot identify an executable")]
    Id(usize),
    /// A path that has to be absolute is not.
    #[error("`{0}` is not an absolute path")]
    Relative(PathBuf),
    /// An object without a name.
    #[error("`{0}` is asked for by an empty name")]
    EmptyName(PathBuf),
}

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

    pub(super) fn to_raw(&self) -> layout::Identity {
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

/// One library of a closure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSpec {
    /// Name under which the closure asks for it.
    pub soname: Vec<u8>,
    /// Absolute path of its file.
    pub path: PathBuf,
    /// Content of that file.
    pub identity: Identity,
    /// `OBJECT_` bits of [`indir_shim::format::layout`].
    pub flags: u8,
}

/// Everything that a table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSpec {
    /// Id of the executable, 1 to [`ID_LEN`] bytes.
    pub exe_id: Vec<u8>,
    /// Absolute path of ld.so.
    pub ldso: PathBuf,
    /// Content of ld.so.
    pub ldso_identity: Identity,
    /// Address space that ld.so's segments span, in bytes.
    pub ldso_span: u32,
    /// Offset of `_r_debug` from ld.so's load address; 0 if unknown.
    pub ldso_r_debug: u32,
    /// The closure in ld.so's breadth-first order, without the executable.
    pub objects: Vec<ObjectSpec>,
    /// Folders for what is asked for later, joined by `:`.
    pub search: Vec<u8>,
    /// The search inputs, in the form of [`super::Inputs`].
    pub inputs: Vec<u8>,
    /// SHA-256 of what the closure needs of its libraries.
    pub abi_digest: [u8; 32],
    /// Absolute path of the binder; makes the plan a bound one.
    pub binder: Option<PathBuf>,
}

impl TableSpec {
    /// The table's bytes.
    ///
    /// # Errors
    /// When something does not fit the format, or a path is not absolute.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BuildError> {
        let count = u16::try_from(self.objects.len())
            .ok()
            .filter(|&count| usize::from(count) <= MAX_OBJECTS)
            .ok_or(BuildError::TooManyObjects(self.objects.len()))?;
        let mut header = Header {
            magic: layout::MAGIC,
            version: Le16::new(layout::VERSION),
            header_len: Le16::new(size_of::<Header>() as u16),
            object_len: Le16::new(size_of::<Object>() as u16),
            machine: Le16::new(MACHINE),
            object_count: Le16::new(count),
            plan: if self.binder.is_some() {
                PLAN_BOUND
            } else {
                PLAN_DIRECT
            },
            exe_id_len: self.exe_id.len() as u8,
            abi_digest: self.abi_digest,
            ldso_identity: self.ldso_identity.to_raw(),
            ldso_span: Le32::new(self.ldso_span),
            ldso_r_debug: Le32::new(self.ldso_r_debug),
            ..Header::default()
        };
        if self.exe_id.is_empty() || self.exe_id.len() > ID_LEN {
            return Err(BuildError::Id(self.exe_id.len()));
        }
        header
            .exe_id
            .iter_mut()
            .zip(&self.exe_id)
            .for_each(|(to, from)| *to = *from);

        let mut strings =
            Strings::new(size_of::<Header>() + size_of::<Object>() * usize::from(count));
        // Paths first, so that sonames find their tails.
        header.ldso = path(&mut strings, &self.ldso)?;
        let paths = self
            .objects
            .iter()
            .map(|object| path(&mut strings, &object.path))
            .collect::<Result<Vec<_>, _>>()?;
        let mut objects = Vec::with_capacity(self.objects.len());
        for (object, path) in self.objects.iter().zip(paths) {
            if object.soname.is_empty() {
                return Err(BuildError::EmptyName(object.path.clone()));
            }
            objects.push(Object {
                soname: strings.add(&object.soname)?,
                path,
                identity: object.identity.to_raw(),
                flags: object.flags,
            });
        }
        header.search = optional(&mut strings, &self.search)?;
        header.inputs = optional(&mut strings, &self.inputs)?;
        if let Some(binder) = &self.binder {
            header.binder = path(&mut strings, binder)?;
        }

        let strings = strings.finish();
        let total = size_of::<Header>() + objects.as_bytes().len() + strings.len();
        if total > MAX_TABLE {
            return Err(BuildError::TooLarge);
        }
        header.total_len = Le32::new(total as u32);
        let mut hash = Sha256::new();
        for part in [header.as_bytes(), objects.as_bytes(), &strings] {
            hash.update(part);
        }
        let digest = hash.finalize();
        header
            .digest
            .iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);

        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(objects.as_bytes());
        bytes.extend_from_slice(&strings);
        Ok(bytes)
    }
}

fn path(strings: &mut Strings, path: &std::path::Path) -> Result<Str, BuildError> {
    if !path.is_absolute() {
        return Err(BuildError::Relative(path.to_owned()));
    }
    strings.add(path.as_os_str().as_bytes())
}

fn optional(strings: &mut Strings, text: &[u8]) -> Result<Str, BuildError> {
    if text.is_empty() {
        Ok(Str::default())
    } else {
        strings.add(text)
    }
}
