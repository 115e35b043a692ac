//! `indir words` and `indir stand-in`: what a consumer can see is chosen as new.

mod bad_input;
mod basics;
mod libraries;
mod metadata;
mod planted;
mod splitter;
mod support;
mod words;
