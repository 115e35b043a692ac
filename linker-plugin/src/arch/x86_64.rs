//! x86-64 (psABI, "Program Property").

use super::Machine;

const X86_FEATURE_1_AND: u32 = 0xc000_0002;
const X86_FEATURE_2_USED: u32 = 0xc001_0001;
const X86_ISA_1_USED: u32 = 0xc001_0002;
/// IBT, SHSTK, LAM_U48, LAM_U57.
const ALL_FEATURES: u32 = 0xf;

pub(super) static MACHINE: Machine = Machine {
    number: 62,
    ldso: b"ld-linux-x86-64.so.2",
    interpreter: b"/lib64/ld-linux-x86-64.so.2",
    // The two "used" ones with the value 0, because a linker drops them too when one
    // input lacks them.
    properties: &[
        (X86_FEATURE_1_AND, ALL_FEATURES),
        (X86_FEATURE_2_USED, 0),
        (X86_ISA_1_USED, 0),
    ],
};
