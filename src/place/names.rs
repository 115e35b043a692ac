//! How files and folders of ours are called, and words that several messages share.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use indir_shim::format::bindings_layout::SUFFIX as BINDINGS;
use indir_shim::format::layout::ID_LEN;

/// Name of the folder in the default reference.
pub(super) const FOLDER: &str = ".indir";
/// End of the name of the table that the last update replaced.
pub(super) const KEPT_SUFFIX: &str = ".last";
/// End of the name of what undoes an adoption.
pub const UNDO_SUFFIX: &str = ".undo";
/// End of the name of an adopted executable that has not taken its place yet.
pub const ADOPTED_SUFFIX: &str = ".adopted";
/// Between the name of what a temporary will replace and its random number.
pub(super) const TEMPORARY_MARK: &str = ".indir-";
/// End of the name of every temporary.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";
/// How everything begins that lies in a folder of tables: tables, bindings and
/// patches.
pub(super) const MAGIC: &[u8] = b"INDIR";

/// Why nothing that was computed from a file counts.
pub const CHANGED: &str = "it was changed while it was read: run this again when it is complete";

/// Hexadecimal form of an id or a digest.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// The id that a name in a folder of tables begins with, if that is the name of
/// a table or of what belongs to one.
pub(super) fn id_in(name: &str) -> Option<&str> {
    let (id, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_id = !id.is_empty() && id.len() <= 2 * ID_LEN && id.bytes().all(is_hex);
    let is_ours = rest.is_empty()
        || rest == BINDINGS
        || rest
            .strip_prefix(KEPT_SUFFIX)
            .is_some_and(|rest| rest.is_empty() || rest == BINDINGS)
        || rest == ADOPTED_SUFFIX
        || rest.ends_with(UNDO_SUFFIX);
    (is_id && is_ours).then_some(id)
}

/// Whether `name` is that of a folder of tables: `.indir`, or, of one owner's
/// programs where everybody may make files, `.indir.UID`.
pub fn is_table_folder(name: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(FOLDER.as_bytes());
    rest.is_some_and(|rest| match rest {
        [] => true,
        [b'.', uid @ ..] => !uid.is_empty() && uid.iter().all(u8::is_ascii_digit),
        _ => false,
    })
}
