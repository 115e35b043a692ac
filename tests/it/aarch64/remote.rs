//! A program under qemu-user, stopped and read through qemu's gdb stub (the remote serial
//! protocol of gdb's manual, as far as it is needed here).

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Scratch, as_users_do, need};

/// Where the program counter is among the registers, in bytes: behind x0 to x30 and sp.
const PC: usize = 32 * 8;
/// Most bytes that one request asks for; qemu's packets have 4,096 characters.
const PIECE: u64 = 1024;

/// A stopped program that dies with its handle.
pub(super) struct Remote {
    child: Child,
    stream: UnixStream,
    _folder: Scratch,
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Remote {
    /// Starts the program at `path` in `root` and stops it at ld.so's first instruction;
    /// `None` if qemu refuses it.
    pub(super) fn start(root: &Path, path: &Path, variables: &[&str]) -> Option<Self> {
        need("qemu-aarch64", "qemu-user");
        let folder = Scratch::new();
        let socket = folder.join("gdb");
        let mut command = Command::new("qemu-aarch64");
        command.arg("-L").arg(root).arg("-g").arg(&socket);
        for variable in variables {
            command.args([OsStr::new("-E"), OsStr::new(variable)]);
        }
        let mut child = as_users_do(&mut command)
            .arg(path)
            .env_remove("LD_PRELOAD")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It makes the socket when the program is loaded, and then waits.
        let stream = loop {
            if let Ok(stream) = UnixStream::connect(&socket) {
                break stream;
            }
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut remote = Self {
            child,
            stream,
            _folder: folder,
        };
        remote.ask("?")?;
        Some(remote)
    }

    /// What the stub answers; `None` if the program is gone.
    fn ask(&mut self, request: &str) -> Option<String> {
        let sum = request.bytes().fold(0_u8, u8::wrapping_add);
        let packet = format!("${request}#{sum:02x}");
        self.stream.write_all(packet.as_bytes()).ok()?;
        let mut answer = Vec::new();
        let mut byte = [0];
        // An acknowledgement comes first.
        while byte != *b"$" {
            self.stream.read_exact(&mut byte).ok()?;
        }
        loop {
            self.stream.read_exact(&mut byte).ok()?;
            if byte == *b"#" {
                break;
            }
            answer.push(byte[0]);
        }
        self.stream.read_exact(&mut [0; 2]).ok()?;
        self.stream.write_all(b"+").ok()?;
        String::from_utf8(answer).ok()
    }

    /// The program counter.
    pub(super) fn pc(&mut self) -> u64 {
        let text = self.ask("g").unwrap();
        let bytes = bytes_of(&text).unwrap();
        u64::from_le_bytes(*bytes[PC..].first_chunk().unwrap())
    }

    /// The bytes at `address`.
    pub(super) fn bytes(&mut self, address: u64, len: u64) -> Vec<u8> {
        let mut all = Vec::new();
        while (all.len() as u64) < len {
            let at = address + all.len() as u64;
            let piece = PIECE.min(len - all.len() as u64);
            let text = self.ask(&format!("m{at:x},{piece:x}")).unwrap();
            all.extend(bytes_of(&text).unwrap_or_else(|| panic!("{at:#x}: {text}")));
        }
        all
    }

    /// The word at `address`.
    pub(super) fn word(&mut self, address: u64) -> u64 {
        u64::from_le_bytes(self.bytes(address, 8).try_into().unwrap())
    }

    /// The string at `address`.
    pub(super) fn string(&mut self, address: u64) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            // A string does not end behind the page that it may be the last of.
            let left = 64 - (address + all.len() as u64) % 64;
            let piece = self.bytes(address + all.len() as u64, left);
            if let Some(end) = piece.iter().position(|&byte| byte == 0) {
                all.extend(&piece[..end]);
                return all;
            }
            all.extend(piece);
        }
    }

    /// Runs until `address` is reached; false if the program ends before.
    pub(super) fn run_to(&mut self, address: u64) -> bool {
        let at = |kind: char| format!("{kind}0,{address:x},4");
        if self.pc() == address {
            self.ask("s");
        }
        self.ask(&at('Z'));
        let stopped = self.ask("c").is_some_and(|answer| answer.starts_with('T'));
        let reached = stopped && self.pc() == address;
        if reached {
            self.ask(&at('z'));
        }
        reached
    }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.is_empty() {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}
