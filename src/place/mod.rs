//! What belongs to indir on disk: where it lies, how it is called, how it is
//! replaced, and what of it nobody needs any more.
//!
//! What the files hold is not known here: that is `table`'s and `adopt`'s work.

mod collect;
mod names;
mod orphans;
mod table;
mod temporary;

pub use collect::{Collected, collect};
pub use names::{TEMPORARY_SUFFIX, UNDO_SUFFIX, hex};
pub use orphans::{forget, orphans, remove, unused};
pub use table::{Place, PlaceError};
pub use temporary::{Temporary, is_abandoned, sync_folder};
