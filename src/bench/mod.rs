//! Measuring how long programs take to start: running them and what the numbers
//! say. Used by `benches/` and by `indir bench`; prints nothing.

mod count;
pub mod plot;
mod spawn;
mod stats;
mod ways;

pub use count::Counts;
pub use spawn::{Program, Run};
pub use stats::{Ratio, Summary};
pub use ways::{Way, WayKind, Ways};
