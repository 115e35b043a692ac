//! `indir seal`: what names a library build is blanked, and nothing else.

mod basic;
mod strings;
