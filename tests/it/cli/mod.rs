//! What `indir` itself says and measures: help, pages, completions, `indir bench`.

mod bench;
mod diff;
mod generate;
mod interrupt;
mod irregular;
mod output;
mod pipes;
mod schema;
mod status;
