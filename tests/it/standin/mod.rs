//! `indir words` and `indir stand-in`: what a consumer can see is chosen as new.

mod bad_input;
mod basics;
mod headers;
mod libraries;
mod matrix;
mod metadata;
mod planted;
mod splitter;
mod support;
mod words;
