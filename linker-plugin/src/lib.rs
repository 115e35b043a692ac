//! A plugin for GNU ld and gold that gives an executable the `indir` note.
//!
//! `ld -plugin libindir-ld-plugin.so [-plugin-opt table=REF]
//! [-plugin-opt interpreter=PATH] …`. Once all inputs are known it adds one more,
//! an object with the note (`object.rs`); the shim is still named with
//! `-dynamic-linker`, and `interpreter=` says who starts the program while there is
//! no table, and by its name for which machine is linked. lld never loads
//! plugins, mold only for LTO, so the wrapper `indir-ld` does not depend on it.
//!
//! Built without dependencies. Nothing may panic here: the linker is C++ or C.
//! Unsafe code is needed because the interface is a C one.

pub mod api;
pub mod arch;
pub mod object;

use std::ffi::{CStr, CString, c_char, c_int};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::{
    AddInputFile, Element, LDPL_FATAL, LDPO_EXEC, LDPO_PIE, LDPS_ERR, LDPS_OK, LDPT_ADD_INPUT_FILE,
    LDPT_LINKER_OUTPUT, LDPT_MESSAGE, LDPT_NULL, LDPT_OPTION, LDPT_REGISTER_ALL_SYMBOLS_READ_HOOK,
    LDPT_REGISTER_CLEANUP_HOOK, Message, Register,
};
use arch::{Machine, OWN};

/// Most elements of a transfer vector that are looked at; GNU ld 2.40 has 25.
const MAX_ELEMENTS: usize = 256;
/// Longest table reference, in bytes (`indir_shim::format::note::MAX_REFERENCE`).
const MAX_REFERENCE: usize = 3072;
/// The reference unless `-plugin-opt table=` says otherwise.
const DEFAULT_REFERENCE: &[u8] = b"$ORIGIN/.indir/$ID";

/// What the linker offered and the user asked for.
struct State {
    executable: bool,
    reference: Vec<u8>,
    interpreter: Vec<u8>,
    add_input_file: Option<AddInputFile>,
    message: Option<Message>,
    temporary: Option<PathBuf>,
}

static STATE: Mutex<State> = Mutex::new(State {
    executable: false,
    reference: Vec::new(),
    interpreter: Vec::new(),
    add_input_file: None,
    message: None,
    temporary: None,
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entry point that linkers look for.
///
/// # Safety
/// `vector` must be the transfer vector of plugin-api.h: elements up to one
/// with the tag LDPT_NULL, each with the union member that its tag names.
#[expect(unsafe_code, reason = "the plugin interface is a C one")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn onload(vector: *const Element) -> c_int {
    let mut register_read = None;
    let mut register_cleanup = None;
    let mut unknown = None;
    let mut state = state();
    state.reference = DEFAULT_REFERENCE.to_vec();
    state.interpreter = OWN.interpreter.to_vec();
    for at in 0..MAX_ELEMENTS {
        // SAFETY: the loop ends at LDPT_NULL, and the caller promises that each
        // element up to there can be read and holds what its tag says.
        let Some(element) = (unsafe { vector.add(at).as_ref() }) else {
            return LDPS_ERR;
        };
        // SAFETY: as above; each member is read for its own tags only.
        unsafe {
            match element.tag {
                LDPT_NULL => break,
                LDPT_LINKER_OUTPUT => {
                    state.executable = matches!(element.value.number, LDPO_EXEC | LDPO_PIE);
                }
                LDPT_OPTION if !element.value.string.is_null() => {
                    let option = CStr::from_ptr(element.value.string).to_bytes();
                    if let Some(reference) = option.strip_prefix(b"table=") {
                        state.reference = reference.to_vec();
                    } else if let Some(path) = option.strip_prefix(b"interpreter=") {
                        state.interpreter = path.to_vec();
                    } else {
                        unknown = Some(option.to_vec());
                    }
                }
                LDPT_REGISTER_ALL_SYMBOLS_READ_HOOK => register_read = element.value.register,
                LDPT_REGISTER_CLEANUP_HOOK => register_cleanup = element.value.register,
                LDPT_ADD_INPUT_FILE => state.add_input_file = element.value.add_input_file,
                LDPT_MESSAGE => state.message = element.value.message,
                _ => {}
            }
        }
    }
    let wrong = if let Some(option) = unknown {
        Some(format!(
            "unknown option `{}`; there are `table=REF` and `interpreter=PATH`",
            String::from_utf8_lossy(&option)
        ))
    } else if !is_reference(&state.reference) {
        Some(format!(
            "table=`{}` neither is an absolute path nor begins with $ORIGIN/",
            String::from_utf8_lossy(&state.reference)
        ))
    } else if !is_absolute(&state.interpreter) {
        Some(format!(
            "interpreter=`{}` is not an absolute path",
            String::from_utf8_lossy(&state.interpreter)
        ))
    } else {
        None
    };
    let message = state.message;
    // A hook may be called while it is registered: the lock must be free.
    drop(state);
    if let Some(wrong) = wrong {
        return fail(message, &wrong);
    }
    match (register_read, register_cleanup) {
        (Some(read), Some(cleanup)) => {
            register(read, all_symbols_read).max(register(cleanup, clean_up))
        }
        _ => fail(message, "the linker's plugin interface is too old"),
    }
}

fn is_reference(reference: &[u8]) -> bool {
    let known = reference.starts_with(b"/") || reference.starts_with(b"$ORIGIN/");
    known && reference.len() <= MAX_REFERENCE
}

fn is_absolute(path: &[u8]) -> bool {
    path.starts_with(b"/") && path.len() < MAX_REFERENCE
}

#[expect(unsafe_code, reason = "calls the linker")]
fn register(register: Register, hook: api::Hook) -> c_int {
    // SAFETY: a function that the linker gave us for this very purpose.
    unsafe { register(hook) }
}

/// Adds the note's object to the link.
extern "C" fn all_symbols_read() -> c_int {
    let (executable, reference, interpreter, add, message) = {
        let state = state();
        (
            state.executable,
            state.reference.clone(),
            state.interpreter.clone(),
            state.add_input_file,
            state.message,
        )
    };
    if !executable {
        return LDPS_OK;
    }
    let Some(add) = add else {
        return fail(message, "the linker takes no further input from plugins");
    };
    // The interface does not tell for which machine is linked.
    let machine = Machine::of_interpreter(&interpreter).unwrap_or(OWN);
    let content = object::Content {
        machine: machine.number,
        properties: machine.properties,
        reference: &reference,
        interpreter: &interpreter,
        stack: true,
    };
    match temporary(&object::note_object(content)) {
        Ok((path, name)) => {
            state().temporary = Some(path);
            add_input(add, &name)
        }
        Err(error) => fail(message, &format!("failed to write the note: {error}")),
    }
}

#[expect(unsafe_code, reason = "calls the linker")]
fn add_input(add: AddInputFile, name: &CStr) -> c_int {
    // SAFETY: the linker's own function; GNU ld and gold copy the name.
    unsafe { add(name.as_ptr()) }
}

/// Writes `object` to a new file and returns its path, twice.
fn temporary(object: &[u8]) -> std::io::Result<(PathBuf, CString)> {
    let folder = std::env::temp_dir();
    let mut last = None;
    for number in 0..1000 {
        let path = folder.join(format!("indir-{}-{number}.o", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(object)?;
                let name = CString::new(path.clone().into_os_string().into_vec())?;
                return Ok((path, name));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AlreadyExists.into()))
}

/// Removes what [`all_symbols_read`] wrote.
extern "C" fn clean_up() -> c_int {
    if let Some(path) = state().temporary.take() {
        // A file that is left behind is no reason to fail the link.
        let _ = std::fs::remove_file(path);
    }
    LDPS_OK
}

/// Has the linker say what went wrong, and end.
#[expect(unsafe_code, reason = "calls the linker")]
fn fail(message: Option<Message>, text: &str) -> c_int {
    const FORMAT: *const c_char = c"indir plugin: %s".as_ptr();
    let text = CString::new(text).unwrap_or_default();
    if let Some(message) = message {
        // SAFETY: the linker's own printf-like function, with the one string
        // that the format asks for.
        unsafe { message(LDPL_FATAL, FORMAT, text.as_ptr()) };
    }
    LDPS_ERR
}
