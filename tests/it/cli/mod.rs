//! What `indir` itself says and measures: help, pages, completions, `indir bench`.

mod bench;
mod generate;
mod irregular;
mod output;
mod status;
