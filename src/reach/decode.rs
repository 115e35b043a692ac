//! Instructions of one piece of code: its bytes without addresses, and what it refers to.
//!
//! In x86-64 an operand that is relative to the instruction has no index register, so
//! that it names exactly the bytes that it reads; all else that depends on where things
//! lie is a displacement, which is zeroed and becomes a reference.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

/// How something is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Manner {
    /// A jump or a call.
    Branch = 1,
    /// Its address is taken.
    Address = 2,
    /// So many bytes are read or written.
    Memory = 3,
    /// What runs next.
    Fall = 4,
    /// A word that ld.so writes.
    Pointer = 5,
    /// For unwinding.
    Unwind = 6,
    /// An entry of a table of jumps.
    Jump = 7,
}

/// A reference out of a piece of code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) to: u64,
    pub(super) manner: Manner,
    /// Bytes that are read or written; 0 of what is not memory.
    pub(super) size: u32,
}

/// A call, or a jump out of the piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Index of its reference.
    pub(super) reference: usize,
    /// Offset of a constant first, second, third and fourth 32-bit argument that is
    /// set just before. The first is the second argument register, as counted below.
    pub(super) constants: [Option<usize>; 4],
    /// Address in the register of the second argument, if that is certain.
    pub(super) second: Option<u64>,
}

/// Decoded code.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// Its bytes, displacements zeroed.
    pub(super) bytes: Vec<u8>,
    pub(super) references: Vec<Reference>,
    pub(super) calls: Vec<Call>,
    /// It runs on into what follows.
    pub(super) falls: bool,
    /// Its last instruction is a call, behind which it may run on.
    pub(super) ends_in_call: bool,
    /// Something in it is no instruction.
    pub(super) invalid: bool,
    /// It calls nothing and writes nothing but to its stack frame.
    pub(super) pure: bool,
}

/// Registers of the 32-bit constants of [`Call::constants`].
const CONSTANTS: [Register; 4] = [Register::ESI, Register::EDX, Register::ECX, Register::R8D];
/// How many instructions before a call a constant counts as its argument.
const NEAR: usize = 24;

/// Decodes `code`, which lies at `start`; `instruction` hears the address of each.
pub(super) fn decode(code: &[u8], start: u64, mut instruction: impl FnMut(u64)) -> Decoded {
    let end = start.wrapping_add(code.len() as u64);
    let inside = |address: u64| start <= address && address < end;
    let mut state = State::new(code);
    let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let mut next = Instruction::default();
    let mut last = FlowControl::Next;
    while decoder.can_decode() {
        decoder.decode_out(&mut next);
        instruction(next.ip());
        state.number += 1;
        if next.is_invalid() {
            state.done.invalid = true;
            last = FlowControl::Exception;
            continue;
        }
        last = match next.mnemonic() {
            Mnemonic::Hlt => FlowControl::Exception,
            _ => next.flow_control(),
        };
        let at = usize::try_from(next.ip().wrapping_sub(start)).unwrap_or(usize::MAX);
        let offsets = decoder.get_constant_offsets(&next);
        if is_near_branch(&next) {
            let to = next.near_branch_target();
            if inside(to) {
                state.targets.push(to);
            } else {
                state.clear(at, offsets.immediate_offset(), offsets.immediate_size());
                state.refer(to, Manner::Branch, 0);
                state.call(next.ip());
            }
        } else if next.is_ip_rel_memory_operand() {
            let to = next.ip_rel_memory_address();
            if !inside(to) {
                let len = offsets.displacement_size();
                state.clear(at, offsets.displacement_offset(), len);
                let size = memory_size(&next);
                if next.mnemonic() == Mnemonic::Lea || size == 0 || is_bit_string(&next) {
                    state.refer(to, Manner::Address, 0);
                } else {
                    state.refer(to, Manner::Memory, size);
                }
                if matches!(
                    last,
                    FlowControl::IndirectCall | FlowControl::IndirectBranch
                ) {
                    state.call(next.ip());
                }
            }
        }
        state.note(&next, at + offsets.immediate_offset());
    }
    state.done.ends_in_call = matches!(
        last,
        FlowControl::Call | FlowControl::IndirectCall | FlowControl::Interrupt
    );
    state.done.falls = !matches!(
        last,
        FlowControl::Return
            | FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Exception
            | FlowControl::Interrupt
            | FlowControl::Call
            | FlowControl::IndirectCall
    );
    state.finish()
}

/// A jump or call to an address that the instruction names.
pub(super) fn is_near_branch(instruction: &Instruction) -> bool {
    instruction.op_count() > 0
        && matches!(
            instruction.op0_kind(),
            OpKind::NearBranch64 | OpKind::NearBranch32 | OpKind::NearBranch16
        )
}

/// Bits that a register counts, from an address on: any byte may be meant.
fn is_bit_string(instruction: &Instruction) -> bool {
    let bits = matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Btc | Mnemonic::Btr | Mnemonic::Bts
    );
    bits && instruction.op1_kind() == OpKind::Register
}

/// Bytes that the memory operand has; one element where it is repeated.
fn memory_size(instruction: &Instruction) -> u32 {
    let size = instruction.memory_size();
    let bytes = if instruction.is_broadcast() {
        size.element_size()
    } else {
        size.size()
    };
    u32::try_from(bytes).unwrap_or(0)
}

struct State {
    done: Decoded,
    number: usize,
    /// Offset of a constant and the number of its instruction, by register.
    constants: [Option<(usize, usize)>; 4],
    /// What the register of the second argument points to, and since when.
    second: Option<(u64, u64)>,
    /// Where second arguments were used: between the two, nothing may jump to.
    spans: Vec<(usize, u64, u64)>,
    targets: Vec<u64>,
}

impl State {
    fn new(code: &[u8]) -> Self {
        Self {
            done: Decoded {
                bytes: code.to_vec(),
                pure: true,
                ..Decoded::default()
            },
            number: 0,
            constants: [None; 4],
            second: None,
            spans: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// Zeroes `len` bytes of the instruction at offset `at`.
    fn clear(&mut self, at: usize, offset: usize, len: usize) {
        let first = at.saturating_add(offset);
        let bytes = self.done.bytes.get_mut(first..first.saturating_add(len));
        bytes.unwrap_or_default().fill(0);
    }

    fn refer(&mut self, to: u64, manner: Manner, size: u32) {
        self.done.references.push(Reference { to, manner, size });
    }

    /// The last reference is what is called.
    fn call(&mut self, ip: u64) {
        let near = |c: Option<(usize, usize)>| {
            c.and_then(|(at, number)| (self.number - number <= NEAR).then_some(at))
        };
        if let Some((_, since)) = self.second {
            self.spans.push((self.done.calls.len(), since, ip));
        }
        self.done.calls.push(Call {
            reference: self.done.references.len().saturating_sub(1),
            constants: self.constants.map(near),
            second: self.second.map(|(to, _)| to),
        });
    }

    /// What the instruction does to registers and memory.
    fn note(&mut self, instruction: &Instruction, immediate: usize) {
        let flow = instruction.flow_control();
        let calls = matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
        if calls {
            self.constants = [None; 4];
            self.second = None;
            self.done.pure = false;
            return;
        }
        if flow == FlowControl::IndirectBranch || writes(instruction) {
            self.done.pure = false;
        }
        if instruction.code() == Code::Mov_r32_imm32
            && let Some(index) = CONSTANTS
                .iter()
                .position(|r| *r == instruction.op0_register())
            && let Some(slot) = self.constants.get_mut(index)
        {
            *slot = Some((immediate, self.number));
        }
        if flow != FlowControl::Next {
            self.second = None;
        }
        self.note_second(instruction);
    }

    fn note_second(&mut self, instruction: &Instruction) {
        let second = |r: Register| r.full_register() == Register::RSI;
        let writes_first = instruction.op_count() > 0
            && instruction.op0_kind() == OpKind::Register
            && second(instruction.op0_register());
        let is_string = instruction.is_string_instruction()
            || matches!(
                instruction.mnemonic(),
                Mnemonic::Xchg | Mnemonic::Xadd | Mnemonic::Mulx
            );
        if instruction.mnemonic() == Mnemonic::Lea
            && writes_first
            && instruction.is_ip_rel_memory_operand()
        {
            self.second = Some((instruction.ip_rel_memory_address(), instruction.ip()));
        } else if instruction.code() == Code::Mov_r32_imm32 && writes_first {
            let to = u64::from(instruction.immediate32());
            self.second = Some((to, instruction.ip()));
        } else if writes_first || is_string || instruction.mnemonic() == Mnemonic::Popf {
            self.second = None;
        }
    }

    fn finish(mut self) -> Decoded {
        for &(call, since, until) in &self.spans {
            let jumped = self.targets.iter().any(|&t| since < t && t <= until);
            if jumped && let Some(call) = self.done.calls.get_mut(call) {
                call.second = None;
            }
        }
        let out = |r: &Reference| r.manner == Manner::Branch;
        self.done.pure &= !self.done.references.iter().any(out);
        self.done.pure &= !self.done.invalid && !self.done.falls;
        self.done
    }
}

/// Whether the instruction may write to memory that is not its stack frame.
fn writes(instruction: &Instruction) -> bool {
    if instruction.op_count() == 0 || instruction.is_string_instruction() {
        return instruction.is_string_instruction();
    }
    let reads_only = matches!(
        instruction.mnemonic(),
        Mnemonic::Cmp
            | Mnemonic::Test
            | Mnemonic::Bt
            | Mnemonic::Push
            | Mnemonic::Nop
            | Mnemonic::Jmp
    );
    instruction.op0_kind() == OpKind::Memory
        && !reads_only
        && instruction.memory_base() != Register::RSP
}
