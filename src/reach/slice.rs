//! The canonical sum of what a world starts with and reaches.
//!
//! Everything is numbered in the order in which a breadth-first walk finds it, so that
//! the sum does not depend on where things lie, and two worlds have one sum exactly if
//! they are the same from their roots on. It is worked out without the other world, and
//! so checks `pair`.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use super::graph::ANALYSIS;
use super::world::{Node, Target, World};

/// The sum of what is reached from `roots`, in hexadecimal.
pub(super) fn slice(world: &World<'_>, roots: &[Target]) -> String {
    let mut state = Slice {
        world,
        sum: Sha256::new(),
        numbers: HashMap::new(),
        queue: VecDeque::new(),
    };
    state.sum.update(ANALYSIS.to_le_bytes());
    for root in roots {
        state.see(root);
        while let Some(node) = state.queue.pop_front() {
            state.expand(node);
        }
    }
    crate::place::hex(&state.sum.finalize())
}

struct Slice<'a> {
    world: &'a World<'a>,
    sum: Sha256,
    numbers: HashMap<Node, u32>,
    queue: VecDeque<Node>,
}

impl Slice<'_> {
    fn see(&mut self, target: &Target) {
        let node = target.node;
        self.sum.update(target.offset.to_le_bytes());
        self.sum.update(node.object.to_le_bytes());
        let graph = self.world.graph_of(node);
        let Some((graph, atom)) = graph.and_then(|g| Some((g, g.atom(node.atom)?))) else {
            self.sum.update([2]);
            self.sum.update(node.atom.to_le_bytes());
            return;
        };
        if !atom.has_identity(graph.edges(node.atom).len()) {
            self.sum.update([1]);
            self.sum.update(atom.hash);
            return;
        }
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let queue = &mut self.queue;
        let number = *self.numbers.entry(node).or_insert_with(|| {
            queue.push_back(node);
            next
        });
        self.sum.update([0]);
        self.sum.update(number.to_le_bytes());
    }

    fn expand(&mut self, node: Node) {
        let world = self.world;
        let Some(graph) = world.graph_of(node) else {
            return;
        };
        if let Some(atom) = graph.atom(node.atom) {
            self.sum.update(atom.hash);
        }
        for &edge in graph.edges(node.atom) {
            self.see(&world.follow(node.object, edge));
        }
    }
}
