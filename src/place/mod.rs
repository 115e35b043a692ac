//! What belongs to indir on disk: where it lies, how it is called, how it is
//! replaced, and what of it nobody needs any more.
//!
//! What the files hold is not known here: that is `table`'s and `adopt`'s work.

mod beside;
mod collect;
mod folder;
mod names;
mod note;
mod orphans;
mod owner;
mod table;
mod temporary;
mod trust;
mod write;

pub use beside::{Beside, Subject, WriteError};
pub use collect::{Collected, collect};
pub use folder::{FileId, Folder, Owner};
pub use names::{ADOPTED_SUFFIX, CHANGED, UNDO_SUFFIX, hex, is_table_folder};
pub use note::{NoteError, add_places, blank_interpreter, check_reference, retire};
pub use orphans::{Unused, forget, orphans, remove, unused, unused_in};
pub use owner::user_name;
pub use table::{Place, PlaceError};
pub use temporary::{Temporary, clean_for, is_temporary, replace_hard_link, replace_link};
pub use trust::{check, mend, owner_of, read};
pub use write::{Tables, check_place};
