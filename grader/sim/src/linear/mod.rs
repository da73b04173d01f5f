//! Is there an order of all operations, one at a time, that explains what every client was told?
//!
//! A history is *linearizable* if each operation can be given one moment between its call and its return such
//! that a single copy of the data, changed at these moments, would have given every answer. A replicated store
//! promises just that: it behaves as if there were one copy.
//!
//! Three things make the question answerable. **Locality** (Herlihy and Wing): a history is linearizable if that
//! of each key is, so [`check`] asks key by key. **Memory** (`search`): the same set of operations done, in the
//! same state, is tried once. And **pruning** of open writes that nobody ever saw: they may be taken as never
//! having happened. The search is bounded; beyond its budget the verdict is *unknown*, which is no pass.
//!
//! A scan reads many keys. [`check`] takes it as one read of every key that it covered, each at a moment of its
//! own: what it calls broken is broken, but it misses a scan that is torn between two writes. [`check_whole`]
//! does not: it searches over the whole map at once, for short histories.
//!
//! A violation names operations (`explain`): the one that cannot be, and the one that forbids it.
//!
//! Left out: weaker models (sequential, stale reads), and transactions, which have a checker of their own:
//! [`isolation`](crate::isolation).

mod explain;
mod model;
mod search;

use std::collections::{BTreeMap, BTreeSet};

pub use search::Verdict;

use crate::failure::{Failure, Outcome};
use crate::history::{Bytes, End, History, Op, OpResult, Operation, plain};
use model::{Interner, Step};
use search::{Interval, search};

/// Steps that one check may take: a few seconds at worst, a few milliseconds as a rule.
pub const BUDGET: u64 = 4_000_000;

/// A violation, with the attempts that contradict each other (ids in the history).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What broke, and the two facts.
    pub failure: Failure,
    /// The operations that the facts name.
    pub ops: Vec<usize>,
}

/// Checks a history key by key.
///
/// # Errors
/// A [`Violation`] that names the operations; its failure is [`Failure::Undecided`] when the budget ran out.
pub fn check(history: &History, budget: u64) -> Result<(), Violation> {
    let mut left = budget;
    for (key, ops) in by_key(history) {
        let verdict = KeyHistory::new(&ops).verdict(&mut left);
        match verdict {
            Verdict::Linearizable => {}
            Verdict::Impossible => return Err(explain::key(history, &key, &ops, budget)),
            Verdict::Unknown => return Err(gave_up(&format!("key {}", plain(&key)), budget)),
        }
    }
    Ok(())
}

/// The same as an [`Outcome`], for suites.
///
/// # Errors
/// As [`check`].
pub fn expect_linearizable(history: &History) -> Outcome {
    check(history, BUDGET).map_err(|violation| violation.failure)
}

/// Checks the whole map at once: scans, too, are read at one moment. For some hundred operations at most.
///
/// # Errors
/// As [`check`].
pub fn check_whole(history: &History, budget: u64) -> Result<(), Violation> {
    // What is wrong by key is explained better by key.
    check(history, budget)?;
    let ops: Vec<Operation> = history.ops().iter().filter(|op| counts(op)).cloned().collect();
    let mut left = budget;
    match model::whole_verdict(&ops, &mut left) {
        Verdict::Linearizable => Ok(()),
        Verdict::Impossible => Err(explain::scan(&ops, budget)),
        Verdict::Unknown => Err(gave_up("the scans", budget)),
    }
}

fn gave_up(what: &str, budget: u64) -> Violation {
    let why = format!("the linearizability checker gave up on {what} after {budget} steps");
    Violation { failure: Failure::Undecided { why }, ops: Vec::new() }
}

// What can matter: it returned, or it may yet have had an effect.
fn counts(op: &Operation) -> bool {
    match op.end {
        // Has a checker of its own.
        _ if matches!(op.op, Op::Txn(_)) => false,
        End::Returned(..) => true,
        End::Open => !op.op.is_read(),
        End::NeverHappened(..) => false,
    }
}

// Each key's operations, scans as one read of each key that they covered.
fn by_key(history: &History) -> BTreeMap<Bytes, Vec<Operation>> {
    let mut keys: BTreeSet<&[u8]> = BTreeSet::new();
    for op in history.ops() {
        keys.extend(op.op.key());
        if let End::Returned(_, OpResult::Pairs(pairs)) = &op.end {
            keys.extend(pairs.iter().map(|(key, _)| &key[..]));
        }
    }
    let mut parts: BTreeMap<Bytes, Vec<Operation>> = BTreeMap::new();
    for op in history.ops().iter().filter(|op| counts(op)) {
        if let Some(key) = op.op.key() {
            parts.entry(key.to_vec()).or_default().push(op.clone());
            continue;
        }
        let (Op::Scan { start, end, limit }, End::Returned(at, OpResult::Pairs(pairs))) =
            (&op.op, &op.end)
        else {
            continue;
        };
        let cut = (pairs.len() >= *limit as usize).then(|| pairs.last()).flatten();
        let covered = |key: &[u8]| {
            key >= &start[..]
                && (end.is_empty() || key < &end[..])
                && cut.is_none_or(|(last, _)| key <= &last[..])
                && *limit > 0
        };
        for key in keys.iter().filter(|key| covered(key)) {
            let value = pairs.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone());
            let read = Operation {
                op: Op::Get(key.to_vec()),
                end: End::Returned(*at, OpResult::Value(value)),
                ..op.clone()
            };
            parts.entry(key.to_vec()).or_default().push(read);
        }
    }
    parts
}

// One key's operations, ready for the search.
struct KeyHistory {
    steps: Vec<Step>,
    intervals: Vec<Interval>,
    values: Interner,
}

impl KeyHistory {
    fn new(ops: &[Operation]) -> Self {
        let mut values = Interner::default();
        let seen = model::seen_values(ops);
        let ops: Vec<&Operation> = ops.iter().filter(|op| seen.matters(op)).collect();
        let steps = ops.iter().map(|op| Step::of(op, &mut values)).collect();
        let intervals = ops.iter().map(|op| interval(op)).collect();
        KeyHistory { steps, intervals, values }
    }

    fn verdict(&mut self, budget: &mut u64) -> Verdict {
        let (steps, values) = (&self.steps, &mut self.values);
        search(&self.intervals, model::ABSENT, |state, op| steps[op].apply(*state, values), budget)
    }
}

fn interval(op: &Operation) -> Interval {
    match op.end {
        End::Returned(at, _) => (op.invoked, Some(at)),
        _ => (op.invoked, None),
    }
}
