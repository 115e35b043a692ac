//! Measuring how long programs take to start: running them and what the numbers
//! say. Used by `benches/` and by `indir bench`; prints nothing.

mod cold;
mod count;
mod entry;
mod measure;
pub mod plot;
mod spawn;
mod stats;
mod ways;

pub use cold::Caches;
pub use count::Counts;
pub use entry::Start;
pub use measure::{Comparison, Measured, Until, WARM_UP, compare};
pub use spawn::{Program, Run};
pub use stats::{Ratio, Summary};
pub use ways::{Way, WayKind, Ways};
