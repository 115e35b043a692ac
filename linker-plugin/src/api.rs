//! The part of the linker plugin interface that is used here.
//!
//! Source: include/plugin-api.h of binutils (Debian: package binutils-dev). A
//! test of the root package compares these declarations with that header.

use std::ffi::{c_char, c_int};

/// `enum ld_plugin_status`: all went well.
pub const LDPS_OK: c_int = 0;
/// `enum ld_plugin_status`: failed.
pub const LDPS_ERR: c_int = 3;

/// `enum ld_plugin_output_file_type`: an executable at a fixed address.
pub const LDPO_EXEC: c_int = 1;
/// `enum ld_plugin_output_file_type`: a position-independent executable.
pub const LDPO_PIE: c_int = 3;

/// `enum ld_plugin_level`: the link fails.
pub const LDPL_FATAL: c_int = 3;

/// `enum ld_plugin_tag`: the end of the transfer vector.
pub const LDPT_NULL: c_int = 0;
/// `enum ld_plugin_tag`: `tv_val` is the type of the output.
pub const LDPT_LINKER_OUTPUT: c_int = 3;
/// `enum ld_plugin_tag`: `tv_string` is the value of one `-plugin-opt`.
pub const LDPT_OPTION: c_int = 4;
/// `enum ld_plugin_tag`: `tv_register_all_symbols_read`.
pub const LDPT_REGISTER_ALL_SYMBOLS_READ_HOOK: c_int = 6;
/// `enum ld_plugin_tag`: `tv_register_cleanup`.
pub const LDPT_REGISTER_CLEANUP_HOOK: c_int = 7;
/// `enum ld_plugin_tag`: `tv_add_input_file`.
pub const LDPT_ADD_INPUT_FILE: c_int = 10;
/// `enum ld_plugin_tag`: `tv_message`.
pub const LDPT_MESSAGE: c_int = 11;

/// A hook: `ld_plugin_all_symbols_read_handler`, `ld_plugin_cleanup_handler`.
pub type Hook = extern "C" fn() -> c_int;
/// `ld_plugin_register_all_symbols_read`, `ld_plugin_register_cleanup`.
pub type Register = unsafe extern "C" fn(Hook) -> c_int;
/// `ld_plugin_add_input_file`.
pub type AddInputFile = unsafe extern "C" fn(*const c_char) -> c_int;
/// `ld_plugin_message`.
pub type Message = unsafe extern "C" fn(c_int, *const c_char, ...) -> c_int;

/// `struct ld_plugin_tv`, an element of the transfer vector.
#[repr(C)]
pub struct Element {
    /// Which member of `value` is meant.
    pub tag: c_int,
    /// The value.
    pub value: Value,
}

/// The union in `struct ld_plugin_tv`.
#[repr(C)]
pub union Value {
    /// `tv_val`.
    pub number: c_int,
    /// `tv_string`.
    pub string: *const c_char,
    /// `tv_register_all_symbols_read`, `tv_register_cleanup`.
    pub register: Option<Register>,
    /// `tv_add_input_file`.
    pub add_input_file: Option<AddInputFile>,
    /// `tv_message`.
    pub message: Option<Message>,
}
