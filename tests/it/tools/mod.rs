//! Debuggers, tracers, sanitizers, sandboxes and readers of ELF over indirect programs.

mod debuggers;
mod files;
mod gdb;
mod lldb;
mod m32;
mod sandbox;
mod sanitizers;
mod trace;
