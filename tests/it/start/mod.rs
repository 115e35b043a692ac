//! The shim: how programs start and run, and what it says when they cannot.

mod badinput;
mod badtable;
mod basic;
mod contract;
mod dlopen;
mod env;
mod glibc_parts;
mod large;
mod library_path;
mod ordinary;
mod places;
mod privileged;
mod process;
mod secure;
