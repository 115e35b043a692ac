//! Everything together: the programs of the system, the demo, the tools of the tests,
//! and how the sources depend on each other.

mod corpus;
mod demo;
mod image;
mod imports;
mod machines;
mod ordinary;
mod programs;
mod scripts;
mod swap;
mod toolchain;
mod whole;
