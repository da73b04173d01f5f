//! The search for an order: Wing and Gong's algorithm, with Lowe's memory of what was tried.
//!
//! All calls and returns stand in one list by time. The search takes calls from its front, as long as it meets no
//! return of an operation that it has not taken yet: such a return says "this one must come before all that is
//! called later". Each taken call moves the state on; one that its result contradicts is skipped; when nothing
//! is left to take, it goes back. (set of taken operations, state) is remembered: reached again by another path,
//! it fails again. An operation without a return may stay untaken.
//!
//! Wing, Gong: "Testing and Verifying Concurrent Objects" (1993); Lowe: "Testing for Linearizability" (2017).

use std::collections::HashSet;
use std::hash::Hash;

use crate::cluster::protocol::Micros;

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains all results.
    Linearizable,
    /// There is none.
    Impossible,
    /// The budget ran out. Never to be read as "linearizable".
    Unknown,
}

/// When an operation was called, and when it returned (`None`: it is open).
pub(super) type Interval = (Micros, Option<Micros>);

const NONE: usize = usize::MAX;

struct Node {
    op: usize,
    call: bool,
    prev: usize,
    next: usize,
}

// Node 0 is the head. Operation i's call and return are found by `calls[i]` and `returns[i]`.
struct List {
    nodes: Vec<Node>,
    calls: Vec<usize>,
    returns: Vec<usize>,
}

impl List {
    fn new(intervals: &[Interval]) -> Self {
        let mut points = Vec::new();
        for (op, (called, returned)) in intervals.iter().enumerate() {
            points.push((*called, 0, op));
            points.extend(returned.map(|at| (at, 1, op)));
        }
        // At one time calls come first: what touches counts as concurrent, so that only what is certainly
        // wrong is reported.
        points.sort_unstable();
        let mut list = List {
            nodes: vec![Node { op: NONE, call: false, prev: NONE, next: NONE }],
            calls: vec![NONE; intervals.len()],
            returns: vec![NONE; intervals.len()],
        };
        for (i, (_, kind, op)) in points.into_iter().enumerate() {
            list.nodes[i].next = i + 1;
            list.nodes.push(Node { op, call: kind == 0, prev: i, next: NONE });
            let place = if kind == 0 { &mut list.calls } else { &mut list.returns };
            place[op] = i + 1;
        }
        list
    }

    fn unlink(&mut self, at: usize) {
        let (prev, next) = (self.nodes[at].prev, self.nodes[at].next);
        self.nodes[prev].next = next;
        if next != NONE {
            self.nodes[next].prev = prev;
        }
    }

    fn relink(&mut self, at: usize) {
        let (prev, next) = (self.nodes[at].prev, self.nodes[at].next);
        self.nodes[prev].next = at;
        if next != NONE {
            self.nodes[next].prev = at;
        }
    }

    fn lift(&mut self, op: usize) {
        self.unlink(self.calls[op]);
        if self.returns[op] != NONE {
            self.unlink(self.returns[op]);
        }
    }

    // In the opposite order of `lift`, or the links of neighbours come out wrong.
    fn unlift(&mut self, op: usize) {
        if self.returns[op] != NONE {
            self.relink(self.returns[op]);
        }
        self.relink(self.calls[op]);
    }
}

/// Looks for an order of `intervals` in which `step` accepts each operation. `budget` counts steps of the search
/// and goes down.
pub(super) fn search<S: Clone + Eq + Hash>(
    intervals: &[Interval],
    initial: S,
    mut step: impl FnMut(&S, usize) -> Option<S>,
    budget: &mut u64,
) -> Verdict {
    let mut list = List::new(intervals);
    let mut waiting = intervals.iter().filter(|(_, returned)| returned.is_some()).count();
    let mut taken = vec![0_u64; intervals.len().div_ceil(64)];
    let mut tried: HashSet<(Vec<u64>, S)> = HashSet::new();
    let mut path: Vec<(usize, S)> = Vec::new();
    let mut state = initial;
    let mut at = list.nodes[0].next;
    while waiting > 0 {
        if *budget == 0 {
            return Verdict::Unknown;
        }
        *budget -= 1;
        if at != NONE && list.nodes[at].call {
            let op = list.nodes[at].op;
            if let Some(next) = step(&state, op) {
                taken[op / 64] |= 1 << (op % 64);
                if tried.insert((taken.clone(), next.clone())) {
                    path.push((op, std::mem::replace(&mut state, next)));
                    waiting -= usize::from(list.returns[op] != NONE);
                    list.lift(op);
                    at = list.nodes[0].next;
                    continue;
                }
                taken[op / 64] &= !(1 << (op % 64));
            }
            at = list.nodes[at].next;
        } else {
            let Some((op, before)) = path.pop() else { return Verdict::Impossible };
            state = before;
            taken[op / 64] &= !(1 << (op % 64));
            waiting += usize::from(list.returns[op] != NONE);
            list.unlift(op);
            at = list.nodes[list.calls[op]].next;
        }
    }
    Verdict::Linearizable
}
