//! 64-bit Arm, little-endian (ELF for the Arm 64-bit Architecture, "Program Property").

use super::Machine;

const AARCH64_FEATURE_1_AND: u32 = 0xc000_0000;
/// BTI, PAC, GCS.
const ALL_FEATURES: u32 = 0x7;

pub(super) static MACHINE: Machine = Machine {
    number: 183,
    ldso: b"ld-linux-aarch64.so.1",
    interpreter: b"/lib/ld-linux-aarch64.so.1",
    properties: &[(AARCH64_FEATURE_1_AND, ALL_FEATURES)],
};
