//! What the fuzz target and the tests do with arbitrary bytes.

use indir_shim::format::note::Notes;
use indir_shim::format::table::Table;

/// Reads `data` as a table and as notes, and uses whatever was accepted as the
/// tools and the shim would.
///
/// # Panics
/// When the readers break a promise: a string outside of `data`, an object
/// count that does not hold, an expansion longer than its buffer.
pub fn exercise(data: &[u8]) {
    if let Ok(table) = Table::parse(data) {
        let range = data.as_ptr_range();
        let inside = |text: &std::ffi::CStr| {
            let bytes = text.to_bytes_with_nul().as_ptr_range();
            text.is_empty() || (bytes.start >= range.start && bytes.end <= range.end)
        };
        let placed = |path: &std::ffi::CStr| {
            let path = path.to_bytes();
            path.starts_with(b"/") || path.starts_with(b"$ORIGIN/")
        };
        assert!(placed(table.ldso()) && inside(table.ldso()));
        assert!(inside(table.search()) && inside(table.inputs()));
        assert!(table.binder().is_none_or(inside));
        assert!(!table.exe_id().is_empty());
        assert_eq!(table.objects().count(), table.len());
        for object in table.objects() {
            assert!(inside(object.soname) && inside(object.path));
            assert!(placed(object.path));
            let _ = crate::elf::Identity::from_raw(&object.raw.identity);
        }
        let inputs = super::Inputs::of(&table);
        assert!(inputs.lib_dirs.len() <= data.len());
    }
    for align in [4, 8] {
        let mut notes = Notes::default();
        notes.scan(data, align);
        if let (Some(reference), Some(id)) = (notes.reference, notes.id()) {
            let mut out = [0; 256];
            if let Some(len) = indir_shim::format::note::expand(reference, b"/folder", id, &mut out)
            {
                assert_eq!(out.get(len), Some(&0));
            }
        }
    }
}
