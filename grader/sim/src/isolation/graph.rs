//! Moments, and which of them must come before which.

use super::lists::{Fate, List, Lists, Txn};

/// Why one moment comes before another. The numbers are transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// A transaction starts before it commits.
    Own,
    /// B read an element of A's.
    Saw { key: Vec<u8>, element: Vec<u8> },
    /// A did not read an element of B's.
    Missed { key: Vec<u8>, element: Vec<u8> },
    /// B's element stands behind A's.
    Behind { key: Vec<u8>, first: Vec<u8>, second: Vec<u8> },
    /// A was answered before B was asked for.
    Time,
}

/// A must, so that B may: one fact of a circle.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub a: usize,
    pub b: usize,
    pub why: Why,
}

/// Two appends to one list whose order nobody has seen.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub key: Vec<u8>,
    pub first: (Vec<u8>, usize),
    pub second: (Vec<u8>, usize),
}

/// The moments: `2 n` is the start of transaction n, `2 n + 1` its commit.
pub(super) struct Graph {
    edges: Vec<Vec<(usize, Fact)>>,
}

const fn start(txn: usize) -> usize {
    2 * txn
}

const fn commit(txn: usize) -> usize {
    2 * txn + 1
}

impl Graph {
    /// All facts, and the pairs of appends that stand in no order yet.
    pub fn of(txns: &[Txn], lists: &Lists) -> (Graph, Vec<Pair>) {
        let mut graph = Graph { edges: vec![Vec::new(); 2 * txns.len()] };
        let mut undecided = Vec::new();
        for n in 0..txns.len() {
            graph.add(start(n), commit(n), n, n, Why::Own);
        }
        for (key, list) in &lists.0 {
            graph.add_list(key, list);
            for (n, (element, writer)) in list.unseen.iter().enumerate() {
                for (other, by) in &list.unseen[..n] {
                    let (first, second) = ((other.to_vec(), *by), (element.to_vec(), *writer));
                    undecided.push(Pair { key: key.to_vec(), first, second });
                }
            }
        }
        for (reader, txn) in txns.iter().enumerate() {
            for (key, seen) in &txn.reads {
                graph.add_read(key, &lists.0[key], reader, seen.len());
            }
        }
        for (a, txn) in txns.iter().enumerate() {
            let Fate::Committed(at) = txn.fate else { continue };
            for (b, other) in txns.iter().enumerate() {
                if at < other.op.invoked && other.fate != Fate::Refused {
                    graph.add(commit(a), start(b), a, b, Why::Time);
                }
            }
        }
        (graph, undecided)
    }

    fn add(&mut self, from: usize, to: usize, a: usize, b: usize, why: Why) {
        self.edges[from].push((to, Fact { a, b, why }));
    }

    fn add_list(&mut self, key: &[u8], list: &List) {
        let mut behind = |(one, a): &(&[u8], usize), (other, b): &(&[u8], usize)| {
            if a != b {
                let (first, second) = (one.to_vec(), other.to_vec());
                self.add(
                    commit(*a),
                    start(*b),
                    *a,
                    *b,
                    Why::Behind { key: key.to_vec(), first, second },
                );
            }
        };
        for pair in list.order.windows(2) {
            behind(&pair[0], &pair[1]);
        }
        // What somebody has seen, without the others, was committed before them; and two writers of a key never overlap.
        if let Some(last) = list.order.last() {
            list.unseen.iter().for_each(|unseen| behind(last, unseen));
        }
    }

    fn add_read(&mut self, key: &[u8], list: &List, reader: usize, length: usize) {
        if let Some((element, writer)) = length.checked_sub(1).map(|last| list.order[last])
            && writer != reader
        {
            let why = Why::Saw { key: key.to_vec(), element: element.to_vec() };
            self.add(commit(writer), start(reader), writer, reader, why);
        }
        let missed = match list.order.get(length) {
            Some(next) => std::slice::from_ref(next),
            None => &list.unseen[..],
        };
        for (element, writer) in missed.iter().filter(|(_, writer)| *writer != reader) {
            let why = Why::Missed { key: key.to_vec(), element: element.to_vec() };
            self.add(start(reader), commit(*writer), reader, *writer, why);
        }
    }

    /// The shortest circle, if there is one: its facts, in their order.
    pub fn circle(&self) -> Option<Vec<Fact>> {
        if self.is_open() {
            return None;
        }
        (0..self.edges.len()).filter_map(|from| self.shortest(from)).min_by_key(Vec::len)
    }

    // Whether all moments can be put into an order: takes away, again and again, what nothing comes before.
    fn is_open(&self) -> bool {
        let mut before = vec![0_usize; self.edges.len()];
        for (to, _) in self.edges.iter().flatten() {
            before[*to] += 1;
        }
        let mut free: Vec<usize> = (0..before.len()).filter(|n| before[*n] == 0).collect();
        let mut taken = 0;
        while let Some(moment) = free.pop() {
            taken += 1;
            for (to, _) in &self.edges[moment] {
                before[*to] -= 1;
                if before[*to] == 0 {
                    free.push(*to);
                }
            }
        }
        taken == self.edges.len()
    }

    // The shortest way from a moment back to itself.
    fn shortest(&self, from: usize) -> Option<Vec<Fact>> {
        let mut came: Vec<Option<(usize, &Fact)>> = vec![None; self.edges.len()];
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            for (to, fact) in &self.edges[at] {
                if came[*to].is_none() {
                    came[*to] = Some((at, fact));
                    queue.push_back(*to);
                }
                if *to == from {
                    let mut facts = Vec::new();
                    let mut here = from;
                    while let Some((back, fact)) = came[here] {
                        facts.push(fact.clone());
                        here = back;
                        if here == from {
                            break;
                        }
                    }
                    facts.reverse();
                    return Some(facts);
                }
            }
        }
        None
    }

    /// Whether the pairs can be put into an order that closes no circle; `None` when the budget is used up.
    pub fn orient(&mut self, pairs: &[Pair], budget: &mut u64) -> Option<bool> {
        let Some((pair, rest)) = pairs.split_first() else { return Some(true) };
        for (one, other) in [(&pair.first, &pair.second), (&pair.second, &pair.first)] {
            *budget = budget.checked_sub(1)?;
            let (first, second) = (one.0.clone(), other.0.clone());
            let why = Why::Behind { key: pair.key.clone(), first, second };
            self.add(commit(one.1), start(other.1), one.1, other.1, why);
            let found = if self.is_open() { self.orient(rest, budget) } else { Some(false) };
            self.edges[commit(one.1)].pop();
            if found != Some(false) {
                return found;
            }
        }
        Some(false)
    }
}
