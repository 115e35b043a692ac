//! Measuring how long programs take to start: running them and what the numbers
//! say. Used by `benches/` and by `indir bench`; prints nothing.

mod spawn;
mod stats;

pub use spawn::{Program, Run};
pub use stats::{Ratio, Summary};
