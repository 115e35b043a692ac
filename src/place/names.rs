//! How files and folders of ours are called.

/// Name of the folder in the default reference.
pub(super) const FOLDER: &str = ".indir";
/// End of the name of what undoes an adoption.
pub const UNDO_SUFFIX: &str = ".undo";
/// End of the name of every temporary.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

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
