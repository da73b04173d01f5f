//! Where a failure comes from: the last event on which both of its facts depend.
//!
//! Two facts contradict each other. Each is about something that happened, at a node or to a client, and that depends on
//! all that happened there before and on the messages that arrived there, with all that *their* senders knew: Lamport's
//! "happened before". The latest event that is before both facts is where the two stories part. It is a good place to
//! begin to read, and no proof: the mistake may lie on either branch.
//!
//! Facts are sentences. An event is found in one by the names in it: `n3`, `t=812.4ms`, `tick 41.20`, and by the
//! attempts that a violation names. A fact without a time is true since the last of its nodes became what it says: since its
//! role, its term or its log changed, or its commit index, if the fact is about that.

use std::collections::BTreeMap;

use sim::trace::{Event, Line};

/// What is to be marked in a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Points {
    /// Of each fact the event that it is about.
    pub facts: Vec<Option<usize>>,
    /// The last event on which both depend.
    pub cause: Option<usize>,
}

/// Finds facts and cause of the trace's violation; nothing where there is none.
pub fn find(lines: &[Line]) -> Points {
    let Some(end) = lines.iter().rposition(|l| matches!(l.event, Event::Violation { .. })) else {
        return Points::default();
    };
    let Event::Violation { what, facts, ops } = &lines[end].event else {
        return Points::default();
    };
    let nodes = homes(&lines[..end]);
    let mut found: Vec<Option<usize>> =
        facts.iter().map(|fact| event_of(fact, what, &lines[..end], &nodes)).collect();
    // Attempts are named exactly.
    for (place, op) in found.iter_mut().zip(ops) {
        if let Some(at) = attempt(*op, &lines[..end]) {
            *place = Some(at);
        }
    }
    // What is so *now* is so until the end, if the other fact is about its beginning.
    if let [Some(a), Some(b)] = found[..]
        && a == b
    {
        found[1] = (a..end).rev().find(|i| nodes[*i] == nodes[a]);
    }
    let cause = match found[..] {
        [Some(a), Some(b)] if a != b => {
            // That everything depends on a start says nothing.
            let tells = |place: &usize| {
                *place < a.max(b) && !matches!(lines[*place].event, Event::Open { life: 1, .. })
            };
            common(&causes(&lines[..end], &nodes), a, b).filter(tells)
        }
        _ => None,
    };
    Points { facts: found, cause }
}

/// A process of the trace: a node, or a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    Node(u64),
    Client(u64),
}

/// Where each event happens.
fn homes(lines: &[Line]) -> Vec<Option<Home>> {
    let mut clients = BTreeMap::new();
    let home = |line: &Line| match &line.event {
        Event::Call { op, client, .. } => {
            clients.insert(*op, *client);
            Some(Home::Client(*client))
        }
        Event::Return { op, .. } => clients.get(op).map(|client| Home::Client(*client)),
        event => event.node().map(Home::Node),
    };
    lines.iter().map(home).collect()
}

/// The event that a sentence is about. Where it names no node, it is about the first that is named by what is broken.
fn event_of(fact: &str, what: &str, lines: &[Line], homes: &[Option<Home>]) -> Option<usize> {
    let mut nodes: Vec<u64> = named_nodes(fact).collect();
    if nodes.is_empty() {
        nodes.extend(named_nodes(what).next());
    }
    let node = nodes.first().copied();
    let at_home = |i: &usize| node.is_none_or(|n| homes[*i] == Some(Home::Node(n)));
    match named_time(fact) {
        Some(time) => {
            // The last that happened by then: a fact is told after the event.
            let until = lines.partition_point(|line| line.t <= time);
            let exact = (0..until).rev().take_while(|i| lines[*i].t == time).find(at_home);
            exact.or_else(|| (0..until).rev().find(at_home))
        }
        None => {
            node?;
            let since = nodes.iter().filter_map(|n| changed(*n, fact.contains("commit"), lines));
            since.max().or_else(|| (0..lines.len()).rev().find(at_home))
        }
    }
}

/// The last change of a node in what failures say of it.
fn changed(node: u64, commit_too: bool, lines: &[Line]) -> Option<usize> {
    let mut last = None;
    let mut before = None;
    for (i, line) in lines.iter().enumerate() {
        let Event::State { n, region, role, term, commit, last: end, kept, .. } = &line.event
        else {
            continue;
        };
        if *n != node {
            continue;
        }
        let now = (*region, *role, *term, *end, if commit_too { *commit } else { 0 });
        let rewritten = before.is_some_and(|(_, _, _, end, _)| *kept < end);
        if before != Some(now) || rewritten {
            last = Some(i);
        }
        before = Some(now);
    }
    last
}

/// The return of an attempt, or its call where there is none.
fn attempt(wanted: usize, lines: &[Line]) -> Option<usize> {
    lines.iter().rposition(|line| match &line.event {
        Event::Return { op, .. } | Event::Call { op, .. } => *op == wanted,
        _ => false,
    })
}

/// Each `n3` of a sentence.
fn named_nodes(fact: &str) -> impl Iterator<Item = u64> {
    let words = fact.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix('n')?.parse().ok())
}

/// The last `t=812.4ms` or `tick 41.20` of a sentence, in microseconds.
fn named_time(fact: &str) -> Option<u64> {
    let number = |text: &str| -> Option<f64> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text[..end].trim_end_matches('.').parse().ok()
    };
    let last = |mark: &str, unit: f64| {
        // `commit=2` and `last=3@4` are no times.
        let whole = |at: &usize| !fact[..*at].ends_with(|c: char| c.is_alphanumeric());
        let places = fact.rmatch_indices(mark).map(|(at, _)| at).filter(whole);
        let found = places.map(|at| &fact[at + mark.len()..]).find_map(number);
        // Times are far below 2^53.
        found.map(|value| (value * unit).round() as u64)
    };
    last("t=", 1_000.0).or_else(|| last("tick ", 100_000.0))
}

/// For each event those on which it depends directly: the one before at its home, and the one that caused it.
fn causes(lines: &[Line], homes: &[Option<Home>]) -> Vec<[Option<usize>; 3]> {
    let mut last: BTreeMap<Home, usize> = BTreeMap::new();
    let mut sends = BTreeMap::new();
    let mut calls = BTreeMap::new();
    let mut asked: BTreeMap<u64, usize> = BTreeMap::new();
    let mut all = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().enumerate() {
        let before = homes[i].and_then(|home| last.get(&home).copied());
        let (mut by, mut also) = (None, None);
        match &line.event {
            Event::Send { id, .. } => drop(sends.insert(*id, i)),
            Event::Deliver { id, .. } => by = sends.get(id).copied(),
            Event::Call { op, n, .. } => {
                calls.insert(*op, *n);
                asked.insert(*n, i);
            }
            Event::Return { op, .. } => {
                let node = calls.get(op).map(|n| Home::Node(*n));
                by = node.and_then(|node| last.get(&node).copied());
            }
            _ => {}
        }
        // When a request reaches its store is not told: it is in whatever the store does next.
        if let Some(Home::Node(n)) = homes[i] {
            also = asked.remove(&n);
        }
        if let Some(home) = homes[i] {
            last.insert(home, i);
        }
        all.push([before, by, also]);
    }
    all
}

fn common(causes: &[[Option<usize>; 3]], a: usize, b: usize) -> Option<usize> {
    let past = |end: usize| {
        let mut known = vec![false; causes.len()];
        let mut open = vec![end];
        while let Some(i) = open.pop() {
            if !std::mem::replace(&mut known[i], true) {
                open.extend(causes[i].iter().flatten());
            }
        }
        known
    };
    let (one, other) = (past(a), past(b));
    (0..a.min(b)).rev().find(|i| one[*i] && other[*i])
}
