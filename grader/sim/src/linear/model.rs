//! What one key, or a whole map, does under an operation. Values are numbers here: equal bytes, equal number.

use std::collections::{BTreeMap, BTreeSet};

use super::search::{Interval, Verdict, search};
use crate::history::{Bytes, End, Op, OpResult, Operation};

/// A value as a number; [`ABSENT`] is none.
pub(super) type Value = u32;
/// The key is not there.
pub(super) const ABSENT: Value = 0;

/// Numbers for values.
#[derive(Debug, Default)]
pub(super) struct Interner {
    numbers: BTreeMap<Bytes, Value>,
    bytes: Vec<Bytes>,
}

impl Interner {
    fn number(&mut self, value: &[u8]) -> Value {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        self.bytes.push(value.to_vec());
        let number = Value::try_from(self.bytes.len()).unwrap_or(Value::MAX);
        self.numbers.insert(value.to_vec(), number);
        number
    }

    fn maybe(&mut self, value: Option<&Bytes>) -> Value {
        value.map_or(ABSENT, |value| self.number(value))
    }

    fn append(&mut self, value: Value, suffix: &[u8]) -> Value {
        let mut bytes = match value {
            ABSENT => Vec::new(),
            value => self.bytes[value as usize - 1].clone(),
        };
        bytes.extend_from_slice(suffix);
        self.number(&bytes)
    }
}

/// One operation on one key, with what its client saw.
#[derive(Debug)]
pub(super) enum Step {
    Read(Value),
    Write(Value),
    // `seen`: swapped, and what was there; `None` when no answer came.
    Cas { expected: Value, new: Value, seen: Option<(bool, Value)> },
    Append(Bytes),
    // An answer that does not fit its question: no state explains it.
    Never,
}

impl Step {
    pub(super) fn of(op: &Operation, values: &mut Interner) -> Step {
        let result = match &op.end {
            End::Returned(_, result) => Some(result),
            _ => None,
        };
        match (&op.op, result) {
            (Op::Get(_), Some(OpResult::Value(value))) => Step::Read(values.maybe(value.as_ref())),
            (Op::Put(_, value), Some(OpResult::Written) | None) => {
                Step::Write(values.number(value))
            }
            (Op::Delete(_), Some(OpResult::Written) | None) => Step::Write(ABSENT),
            (Op::Cas { expected, new, .. }, result) => {
                let seen = match result {
                    Some(OpResult::Swapped { swapped, previous }) => {
                        Some((*swapped, values.maybe(previous.as_ref())))
                    }
                    None => None,
                    Some(_) => return Step::Never,
                };
                let (expected, new) = (values.maybe(expected.as_ref()), values.number(new));
                Step::Cas { expected, new, seen }
            }
            (Op::Append(_, suffix), Some(OpResult::Written) | None) => Step::Append(suffix.clone()),
            _ => Step::Never,
        }
    }

    /// The state afterwards; `None` when the client could not have seen what it saw.
    pub(super) fn apply(&self, state: Value, values: &mut Interner) -> Option<Value> {
        match self {
            Step::Read(value) => (state == *value).then_some(state),
            Step::Write(value) => Some(*value),
            Step::Cas { expected, new, seen } => {
                let swaps = state == *expected;
                if seen.is_some_and(|seen| seen != (swaps, state)) {
                    return None;
                }
                Some(if swaps { *new } else { state })
            }
            Step::Append(suffix) => Some(values.append(state, suffix)),
            Step::Never => None,
        }
    }
}

/// Which values of a key somebody saw, or asked for.
pub(super) struct Seen<'a> {
    values: BTreeSet<Option<&'a Bytes>>,
    appends: bool,
}

/// Collects what was seen in one key's history.
pub(super) fn seen_values(ops: &[Operation]) -> Seen<'_> {
    let mut seen = Seen { values: BTreeSet::new(), appends: false };
    for op in ops {
        match &op.end {
            End::Returned(_, OpResult::Value(value)) => {
                seen.values.insert(value.as_ref());
            }
            End::Returned(_, OpResult::Swapped { previous, .. }) => {
                seen.values.insert(previous.as_ref());
            }
            _ => {}
        }
        match &op.op {
            Op::Cas { expected, .. } => {
                seen.values.insert(expected.as_ref());
            }
            Op::Append(..) => seen.appends = true,
            _ => {}
        }
    }
    seen
}

impl Seen<'_> {
    /// An open put or delete whose value nobody saw may be taken as never having happened: take it out of any
    /// order that explains the history, and the order still explains it.
    pub(super) fn matters(&self, op: &Operation) -> bool {
        match (&op.end, &op.op) {
            (End::Open, Op::Put(_, value)) => self.appends || self.values.contains(&Some(value)),
            (End::Open, Op::Delete(_)) => self.appends || self.values.contains(&None),
            (End::Open, Op::Get(_) | Op::Scan { .. }) => false,
            _ => true,
        }
    }
}

/// The verdict over the whole map: every operation, scans included, at one moment.
pub(super) fn whole_verdict(ops: &[Operation], budget: &mut u64) -> Verdict {
    let mut keys: BTreeMap<&[u8], usize> = BTreeMap::new();
    for op in ops {
        if let End::Returned(_, OpResult::Pairs(pairs)) = &op.end {
            keys.extend(pairs.iter().map(|(key, _)| (&key[..], 0)));
        }
        keys.extend(op.op.key().map(|key| (key, 0)));
    }
    keys.values_mut().zip(0..).for_each(|(place, number)| *place = number);
    let mut values = Interner::default();
    let steps: Vec<Whole> = ops.iter().map(|op| Whole::of(op, &keys, &mut values)).collect();
    let intervals: Vec<Interval> = ops.iter().map(super::interval).collect();
    let step = |state: &Vec<Value>, op: usize| steps[op].apply(state, &mut values);
    search(&intervals, vec![ABSENT; keys.len()], step, budget)
}

enum Whole {
    One(usize, Step),
    // Keys from the first number to before the second; what was seen, and the most that was asked for.
    Scan(usize, usize, Vec<(usize, Value)>, usize),
}

impl Whole {
    fn of(op: &Operation, keys: &BTreeMap<&[u8], usize>, values: &mut Interner) -> Whole {
        match (&op.op, &op.end) {
            (Op::Scan { start, end, limit }, End::Returned(_, OpResult::Pairs(pairs))) => {
                let from = keys.range(&start[..]..).next().map_or(keys.len(), |(_, n)| *n);
                let to = if end.is_empty() { None } else { keys.range(&end[..]..).next() };
                let pairs = pairs.iter().map(|(k, v)| (keys[&k[..]], values.number(v))).collect();
                Whole::Scan(from, to.map_or(keys.len(), |(_, n)| *n), pairs, *limit as usize)
            }
            (one, _) => match one.key() {
                Some(key) => Whole::One(keys[key], Step::of(op, values)),
                None => Whole::One(0, Step::Never),
            },
        }
    }

    fn apply(&self, state: &[Value], values: &mut Interner) -> Option<Vec<Value>> {
        let mut next = state.to_vec();
        match self {
            Whole::One(key, step) => next[*key] = step.apply(state[*key], values)?,
            Whole::Scan(from, to, pairs, limit) => {
                let there = (*from..*to).map(|key| (key, state[key])).filter(|(_, v)| *v != ABSENT);
                if !there.take(*limit).eq(pairs.iter().copied()) {
                    return None;
                }
            }
        }
        Some(next)
    }
}
