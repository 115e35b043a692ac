//! Everything together: the programs of the system, the demo, the tools of the tests.

mod corpus;
mod demo;
mod programs;
mod swap;
mod toolchain;
mod whole;
