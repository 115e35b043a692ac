//! What belongs to indir on disk: where it lies, how it is called, how it is
//! replaced, and what of it nobody needs any more.
//!
//! What the files hold is not known here: that is `table`'s and `adopt`'s work.

mod collect;
mod folder;
mod names;
mod orphans;
mod owner;
mod table;
mod temporary;
mod trust;
mod write;

pub use collect::{Collected, collect};
pub use folder::{FileId, Folder, Owner};
pub use names::{ADOPTED_SUFFIX, CHANGED, UNDO_SUFFIX, hex};
pub use orphans::{Unused, forget, orphans, remove, unused};
pub use owner::user_name;
pub use table::{Place, PlaceError};
pub use temporary::{Temporary, clean_for, replace_link};
pub use trust::{check, mend, owner_of, read};
pub use write::{Beside, Subject, Tables, WriteError, check_place};
