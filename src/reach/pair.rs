//! Two worlds walked in step: what is reached by the same steps has to be the same.
//!
//! Breadth first, so that what is found first lies on a shortest path. Code and variables
//! have an identity: what is one thing in one world may not be two in the other. Constant
//! bytes have not. The walk does not go on behind a difference.

use std::collections::VecDeque;
use std::path::Path;

use super::graph::{FINDERS, OPENS, UNSURE};
use super::world::{Node, OPENERS, Target, World};

/// No partner, no parent.
const NONE: u32 = u32::MAX;

/// What differs between two things that are reached in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Its bytes, or the form of its references.
    Content,
    /// What it refers to is something else, not a changed version.
    Target,
    /// What was one thing is two, or the other way round.
    Identity,
    /// Another object provides it.
    Provider,
    /// It is there in one of the two only.
    Presence,
}

impl How {
    /// In words, behind the name of what differs.
    pub fn words(self) -> &'static str {
        match self {
            Self::Content => "changed",
            Self::Target => "takes the place of something else",
            Self::Identity => "is shared differently",
            Self::Provider => "comes from another library",
            Self::Presence => "is in one of the two only",
        }
    }
}

/// A step of a path: the library, and what was reached in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The soname of the library.
    pub library: String,
    /// A symbol, or words.
    pub name: String,
}

impl Step {
    /// A file as a whole.
    pub(super) fn of_file(path: &Path) -> Self {
        Self {
            library: path.display().to_string(),
            name: String::new(),
        }
    }
}

/// Something that differs, with a shortest path to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// From what the program starts with to what differs, both included.
    pub path: Vec<Step>,
    /// What differs.
    pub how: How,
}

/// Something that is reached and cannot be told, with a shortest path to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// As in [`Difference`].
    pub path: Vec<Step>,
    /// What cannot be told.
    pub reason: &'static str,
    /// What would help.
    pub remedy: &'static str,
}

/// Where something was reached from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parent {
    /// The program asks for it, or ld.so does.
    Root,
    /// Another node of the new world.
    Node(Node),
}

/// How a walk compares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// Without numbers of lines and texts.
    pub(super) loose: bool,
    /// Go on after the first difference.
    pub(super) all: bool,
    /// What opens other objects is known, and judged by itself.
    pub(super) plugins_declared: bool,
}

/// A walk through two worlds.
pub(super) struct Walk<'a> {
    old: &'a World<'a>,
    new: &'a World<'a>,
    rules: Rules,
    /// By object and atom of the old world: the atom of the new one.
    new_of: Vec<Vec<u32>>,
    /// The other way round.
    old_of: Vec<Vec<u32>>,
    /// By object and atom of the new world.
    parents: Vec<Vec<(u32, u32)>>,
    queue: VecDeque<(Node, Node)>,
    /// Names that were looked up while running, and are reached as well.
    pub(super) looked_up: Vec<(Node, Box<[u8]>)>,
    /// In the order in which they were found.
    pub(super) differences: Vec<Difference>,
    /// The same.
    pub(super) doubts: Vec<Doubt>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(old: &'a World<'a>, new: &'a World<'a>, rules: Rules) -> Self {
        let sizes = |world: &World<'_>| {
            let parts = (0..world.parts.len()).map(|i| world.graph(i as u32));
            parts
                .map(|graph| graph.map_or(0, |graph| graph.len()))
                .collect::<Vec<_>>()
        };
        let (old_sizes, new_sizes) = (sizes(old), sizes(new));
        Self {
            old,
            new,
            rules,
            new_of: old_sizes.iter().map(|&len| vec![NONE; len]).collect(),
            old_of: new_sizes.iter().map(|&len| vec![NONE; len]).collect(),
            parents: new_sizes
                .iter()
                .map(|&len| vec![(NONE, NONE); len])
                .collect(),
            queue: VecDeque::new(),
            looked_up: Vec::new(),
            differences: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// Whether nothing more need be looked at.
    fn is_over(&self) -> bool {
        !self.rules.all && !self.differences.is_empty()
    }

    /// Nodes of the new world that were reached.
    pub(super) fn reached(&self) -> Vec<Node> {
        let objects = self.old_of.iter().enumerate();
        let nodes = objects.flat_map(|(object, atoms)| {
            let found = atoms.iter().enumerate().filter(|(_, old)| **old != NONE);
            found.map(move |(atom, _)| Node {
                object: object as u32,
                atom: atom as u32,
            })
        });
        nodes.collect()
    }

    /// Something that both worlds start with, and all that follows.
    pub(super) fn start(&mut self, old: Target, new: Target) {
        self.visit(Parent::Root, old, new);
        self.run();
    }

    /// The same from a node that was reached.
    pub(super) fn start_from(&mut self, parent: Node, old: Target, new: Target) {
        self.visit(Parent::Node(parent), old, new);
        self.run();
    }

    fn run(&mut self) {
        while !self.is_over()
            && let Some((old, new)) = self.queue.pop_front()
        {
            self.expand(old, new);
        }
    }

    fn expand(&mut self, old: Node, new: Node) {
        let (Some(before), Some(after)) = (self.old.graph_of(old), self.new.graph_of(new)) else {
            return;
        };
        match after.lookups.get(&new.atom) {
            Some(Some(names)) => {
                let names = names.iter().cloned();
                self.looked_up.extend(names.map(|name| (new, name)));
            }
            Some(None) => self.doubt(
                Parent::Node(new),
                None,
                "looks symbols up by names that are not constant",
                "run its tests",
            ),
            None => {}
        }
        let edges = before.edges(old.atom).iter().zip(after.edges(new.atom));
        for (&from, &to) in edges {
            let from = self.old.follow(old.object, from);
            let to = self.new.follow(new.object, to);
            self.visit(Parent::Node(new), from, to);
            if self.is_over() {
                return;
            }
        }
    }

    /// Two things that are reached in the same way.
    fn visit(&mut self, parent: Parent, old: Target, new: Target) {
        self.check_definition(parent, &new);
        let (a, b) = (old.node, new.node);
        if a.object != b.object {
            return self.differ(parent, Some(b), How::Provider);
        }
        if self.old.is_leaf(a) || self.new.is_leaf(b) {
            if a != b || old.offset != new.offset {
                self.differ(parent, Some(b), How::Target);
            }
            return;
        }
        let graphs = (self.old.graph_of(a), self.new.graph_of(b));
        let (Some(before), Some(after)) = graphs else {
            return;
        };
        let (Some(x), Some(y)) = (before.atom(a.atom), after.atom(b.atom)) else {
            return self.differ(parent, Some(b), How::Presence);
        };
        if old.offset != new.offset {
            return self.differ(parent, Some(b), How::Target);
        }
        let edges = (before.edges(a.atom).len(), after.edges(b.atom).len());
        let same = if self.rules.loose {
            x.loose == y.loose
        } else {
            x.hash == y.hash
        };
        let same = same && edges.0 == edges.1;
        let flags = y.flags;
        let identity = x.has_identity(edges.0) || y.has_identity(edges.1);
        let known = (self.partner(a), self.owner(b));
        if known == (b.atom, a.atom) {
            return;
        }
        if identity && known != (NONE, NONE) {
            return self.differ(parent, Some(b), How::Identity);
        }
        if !same {
            let named = (before.name(a.atom), after.name(b.atom));
            let replaced = matches!(named, (Some(was), Some(is)) if was != is);
            let how = if replaced { How::Target } else { How::Content };
            return self.differ(parent, Some(b), how);
        }
        self.join(parent, a, b);
        if flags & UNSURE != 0 {
            self.doubt(
                Parent::Node(b),
                None,
                "is something in a library that cannot be told apart",
                "run its tests",
            );
        }
        if flags & OPENS != 0 && !self.rules.plugins_declared {
            self.opens(Parent::Node(b), None);
        }
        self.queue.push_back((a, b));
    }

    /// What a definition of glibc could do.
    fn check_definition(&mut self, parent: Parent, target: &Target) {
        let Some(definition) = target.definition else {
            return;
        };
        if definition.ambiguous {
            self.doubt(
                parent,
                Some(target.node),
                "is provided differently by releases of glibc",
                "link it anew, so that it names one version",
            );
        }
        if self.rules.plugins_declared {
            return;
        }
        let opens = |name: &[u8]| OPENERS.contains(&name);
        let may_open = |name: &[u8]| opens(name) || super::nss::opens(name);
        let opens: &dyn Fn(&[u8]) -> bool = match self.new.is_leaf(target.node) {
            true => &may_open,
            false => &opens,
        };
        if self.new.is_glibc(&definition, opens) {
            self.opens(parent, Some(target.node));
        }
    }

    fn opens(&mut self, parent: Parent, node: Option<Node>) {
        self.doubt(
            parent,
            node,
            "opens objects that only a run knows",
            "name the folders of what it opens with --plugin-dir",
        );
    }

    /// What of `FINDERS` the target is.
    pub(super) fn is_finder(&self, target: &Target) -> bool {
        let definition = target.definition;
        definition.is_some_and(|definition| {
            self.new
                .is_glibc(&definition, |name| FINDERS.contains(&name))
        })
    }

    fn partner(&self, old: Node) -> u32 {
        let atoms = self.new_of.get(old.object as usize);
        let atom = atoms.and_then(|atoms| atoms.get(old.atom as usize));
        atom.copied().unwrap_or(NONE)
    }

    fn owner(&self, new: Node) -> u32 {
        let atoms = self.old_of.get(new.object as usize);
        let atom = atoms.and_then(|atoms| atoms.get(new.atom as usize));
        atom.copied().unwrap_or(NONE)
    }

    fn join(&mut self, parent: Parent, old: Node, new: Node) {
        let (o, n) = (old.object as usize, new.object as usize);
        if let Some(slot) = cell(&mut self.new_of, o, old.atom) {
            *slot = new.atom;
        }
        if let Some(slot) = cell(&mut self.old_of, n, new.atom) {
            *slot = old.atom;
        }
        if let Parent::Node(parent) = parent
            && parent != new
            && let Some(slot) = cell(&mut self.parents, n, new.atom)
        {
            *slot = (parent.object, parent.atom);
        }
    }

    fn differ(&mut self, parent: Parent, node: Option<Node>, how: How) {
        let path = self.path(parent, node);
        self.differences.push(Difference { path, how });
    }

    pub(super) fn doubt(
        &mut self,
        parent: Parent,
        node: Option<Node>,
        reason: &'static str,
        remedy: &'static str,
    ) {
        if !self.doubts.is_empty() {
            return;
        }
        let path = self.path(parent, node);
        self.doubts.push(Doubt {
            path,
            reason,
            remedy,
        });
    }

    /// From a root to `node`, which was reached from `parent`.
    fn path(&self, parent: Parent, node: Option<Node>) -> Vec<Step> {
        let step = |node: Node| Step {
            library: self.new.library(node.object),
            name: self.new.label(node),
        };
        let mut path: Vec<Step> = node.map(step).into_iter().collect();
        let mut at = match parent {
            Parent::Root => None,
            Parent::Node(node) => Some(node),
        };
        while let Some(node) = at {
            path.push(step(node));
            let above = self.parents.get(node.object as usize);
            let above = above.and_then(|atoms| atoms.get(node.atom as usize));
            at = above
                .copied()
                .filter(|above| above.0 != NONE)
                .map(|(object, atom)| Node { object, atom });
        }
        path.reverse();
        path
    }
}

fn cell<T>(table: &mut [Vec<T>], object: usize, atom: u32) -> Option<&mut T> {
    table.get_mut(object)?.get_mut(atom as usize)
}
