//! Integration tests: one binary, one module a behaviour.

mod closure;
mod demo;
mod generate;
mod link_args;
mod link_linkers;
mod link_output;
mod link_plugin;
mod link_save;
mod link_setup;
mod oracle;
mod oracle_cases;
mod run_basic;
mod run_dlopen;
mod run_env;
mod run_process;
mod stub_basics;
mod stub_floor;
mod stub_tree;
mod support;
mod swap;
mod table;
mod toolchain;
mod update_files;
mod update_refuse;
mod update_verify;
