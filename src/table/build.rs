//! From a description of a closure to the bytes of its table.
//!
//! The same description gives the same bytes on every machine: no time, no
//! host name, no map order goes in.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use indir_shim::format::layout::{
    self, Header, ID_LEN, MAX_OBJECTS, MAX_TABLE, Object, PLAN_BOUND, PLAN_DIRECT, Str,
};
use indir_shim::format::record::{Le16, Le32};
use sha2::{Digest as _, Sha256};
use zerocopy::IntoBytes as _;

use super::error::BuildError;
use super::strings::Strings;
use crate::arch::Arch;
use crate::elf::Identity;

/// One library of a closure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSpec {
    /// Name under which the closure asks for it.
    pub soname: Vec<u8>,
    /// Path of its file: absolute, or below `$ORIGIN`, the executable's folder.
    pub path: PathBuf,
    /// Content of that file.
    pub identity: Identity,
    /// `OBJECT_` bits of [`indir_shim::format::layout`].
    pub flags: u8,
}

/// Everything that a table says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSpec {
    /// The machine of the executable.
    pub arch: &'static Arch,
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
    /// How many of its bytes LD_LIBRARY_PATH comes behind: whole folders.
    pub search_fixed: u16,
    /// `SEARCH_` bits of [`indir_shim::format::layout`].
    pub flags: u8,
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
            machine: Le16::new(self.arch.machine.0),
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
            flags: self.flags,
            search_fixed: Le16::new(self.search_fixed),
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
    if !path.is_absolute() && !path.starts_with("$ORIGIN") {
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
