//! From "there is no order" to two sentences.
//!
//! First the shortest history that is already impossible: cut off what returned later, by bisection over the
//! returns. Its last return is the operation that cannot be. Then the operation that forbids it is looked for, in
//! the order in which people find it obvious: nobody wrote that value; a newer value was acknowledged, or read,
//! before. What none of these explains is listed whole.

use super::{KeyHistory, Verdict, Violation, model};
use crate::cluster::protocol::Micros;
use crate::failure::Failure;
use crate::history::{Bytes, End, History, Op, OpResult, Operation, UNSENT, at, pair, plain};

/// Explains why one key's operations have no order.
pub(super) fn key(history: &History, key: &[u8], ops: &[Operation], budget: u64) -> Violation {
    let ops = shortest(ops, |ops| KeyHistory::new(ops).verdict(&mut { budget }));
    let Some(culprit) = last_returned(&ops) else {
        return broke(key, Vec::new(), String::new(), String::new());
    };
    let (fact, culprit_end) = (told(culprit), returned_at(culprit).unwrap_or_default());
    let Some(seen) = observed(culprit) else { return whole(key, &ops, culprit) };
    let wrote: Vec<&Operation> = ops.iter().filter(|op| writes(op, seen.0.as_ref())).collect();
    if wrote.is_empty() {
        // Of several refused attempts, the one that was refused after the longest wait: it got furthest.
        let refused = |op: &&Operation| match &op.end {
            End::NeverHappened(at, why) => (why != UNSENT).then(|| at - op.invoked),
            _ => None,
        };
        let suspect = |op: &&Operation| {
            op.invoked < culprit_end && op.op.key() == Some(key) && writes(op, seen.0.as_ref())
        };
        let lie = history
            .ops()
            .iter()
            .filter(suspect)
            .filter(|op| refused(op).is_some())
            .max_by_key(refused);
        if let Some(lie) = lie {
            let why = format!("{lie}: a refusal is a promise that it never happens");
            return broke(key, vec![culprit.id, lie.id], fact, why);
        }
        if let Some(value) = &seen.0 {
            if ops.iter().any(|op| matches!(op.op, Op::Append(..))) {
                return whole(key, &ops, culprit);
            }
            return broke(
                key,
                vec![culprit.id],
                fact,
                format!("nobody ever wrote {}", pair(key, Some(value))),
            );
        }
    }
    let fact = match &wrote[..] {
        [source] if source.id != culprit.id => format!("{fact}; {}", wrote_it(source)),
        _ => fact,
    };
    // A write or a read that was over before the culprit began, and whose value is another, newer one: every
    // write of what the culprit saw had returned before it began.
    let newest_source = wrote.iter().map(|op| returned_at(op)).max().unwrap_or(Some(0));
    let before = |op: &&Operation| {
        op.id != culprit.id && returned_at(op).is_some_and(|at| at < culprit.invoked)
    };
    let newer = ops
        .iter()
        .filter(before)
        .filter(|op| leaves(op).is_some_and(|value| value != seen))
        .filter(|op| newest_source.is_some_and(|source| op.invoked >= source))
        .max_by_key(|op| (!op.op.is_read(), op.invoked));
    if let Some(newer) = newer {
        return broke(key, vec![culprit.id, newer.id], fact, told(newer));
    }
    // The newer write may have been open; then a read tells that it was seen.
    let reader = ops
        .iter()
        .filter(before)
        .filter(|op| observed(op).is_some_and(|value| value != seen))
        .max_by_key(|op| op.invoked);
    match reader {
        Some(reader) => {
            broke(key, vec![culprit.id, reader.id], fact, format!("{} before", told(reader)))
        }
        None => whole(key, &ops, culprit),
    }
}

/// Explains a history that is in order key by key, but not as a whole: some scan is torn.
pub(super) fn scan(ops: &[Operation], budget: u64) -> Violation {
    let ops = shortest(ops, |ops| model::whole_verdict(ops, &mut { budget }));
    let scans: Vec<&Operation> = ops
        .iter()
        .filter(|op| matches!(op.op, Op::Scan { .. }) && returned_at(op).is_some())
        .collect();
    let facts: Vec<String> = scans.iter().rev().take(2).map(|op| told(op)).collect();
    let [first, second] = <[String; 2]>::try_from(facts).unwrap_or_else(|facts| {
        let only = facts.into_iter().next().unwrap_or_default();
        [only, "no moment exists at which the range held just these pairs".into()]
    });
    let failure = Failure::broke(
        "a scan returned a mixture of two moments: each pair was there at some time, but never all together",
        first,
        second,
    );
    Violation { failure, ops: scans.iter().map(|op| op.id).collect() }
}

// The shortest impossible history, cut at a return. More history never makes an impossible one possible, so
// bisection is right.
fn shortest(ops: &[Operation], verdict: impl Fn(&[Operation]) -> Verdict) -> Vec<Operation> {
    let mut returns: Vec<Micros> = ops.iter().filter_map(returned_at).collect();
    returns.sort_unstable();
    let (mut low, mut high) = (0, returns.len().saturating_sub(1));
    while low < high {
        let middle = usize::midpoint(low, high);
        if verdict(&until(ops, returns[middle])) == Verdict::Impossible {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    returns.get(high).map(|end| until(ops, *end)).unwrap_or_default()
}

fn until(ops: &[Operation], end: Micros) -> Vec<Operation> {
    let mut cut: Vec<Operation> = ops.iter().filter(|op| op.invoked <= end).cloned().collect();
    for op in &mut cut {
        if returned_at(op).is_some_and(|at| at > end) {
            op.end = End::Open;
        }
    }
    cut
}

fn last_returned(ops: &[Operation]) -> Option<&Operation> {
    ops.iter().max_by_key(|op| (returned_at(op), op.id))
}

fn returned_at(op: &Operation) -> Option<Micros> {
    match op.end {
        End::Returned(at, _) => Some(at),
        _ => None,
    }
}

// What a key holds, if anything.
#[derive(PartialEq, Eq)]
struct Content(Option<Bytes>);

// The value that an operation's answer tells it found.
fn observed(op: &Operation) -> Option<Content> {
    match &op.end {
        End::Returned(_, OpResult::Value(value)) => Some(Content(value.clone())),
        End::Returned(_, OpResult::Swapped { previous, .. }) => Some(Content(previous.clone())),
        _ => None,
    }
}

// The value that is there, for all its client knows, when it returns.
fn leaves(op: &Operation) -> Option<Content> {
    match (&op.op, &op.end) {
        (Op::Cas { new, .. }, End::Returned(_, OpResult::Swapped { swapped: true, .. })) => {
            Some(Content(Some(new.clone())))
        }
        (Op::Put(_, value), End::Returned(..)) => Some(Content(Some(value.clone()))),
        (Op::Delete(_), End::Returned(..)) => Some(Content(None)),
        _ => observed(op),
    }
}

fn writes(op: &Operation, value: Option<&Bytes>) -> bool {
    match &op.op {
        Op::Put(_, new) => value == Some(new),
        Op::Cas { new, .. } => {
            let failed =
                matches!(&op.end, End::Returned(_, OpResult::Swapped { swapped: false, .. }));
            !failed && value == Some(new)
        }
        Op::Delete(_) => value.is_none(),
        Op::Append(_, suffix) => value.is_some_and(|value| value.ends_with(suffix)),
        _ => false,
    }
}

fn wrote_it(op: &Operation) -> String {
    let value = match &op.op {
        Op::Put(_, value) | Op::Cas { new: value, .. } => plain(value),
        _ => "that".into(),
    };
    match returned_at(op) {
        Some(end) => format!("client {} wrote {value}, acked at {}", op.client, at(end)),
        None => {
            format!("client {} wrote {value}, asked at {}, never acked", op.client, at(op.invoked))
        }
    }
}

// "client 3 read x=1 at t=812ms".
fn told(op: &Operation) -> String {
    let (client, when) = (op.client, at(returned_at(op).unwrap_or(op.invoked)));
    let since = at(op.invoked);
    match (&op.op, &op.end) {
        (Op::Get(key), End::Returned(_, OpResult::Value(value))) => {
            format!(
                "client {client} read {} from n{} at {when} (asked at {since})",
                pair(key, value.as_deref()),
                op.node
            )
        }
        (Op::Cas { key, new, .. }, End::Returned(_, OpResult::Swapped { swapped, previous })) => {
            let did = if *swapped { "replaced it by" } else { "did not replace it by" };
            format!(
                "client {client} saw {} on n{} at {when} (asked at {since}) and {did} {}",
                pair(key, previous.as_deref()),
                op.node,
                plain(new)
            )
        }
        (Op::Put(key, value), End::Returned(..)) => {
            format!(
                "{} was acked to client {client} by n{} at {when}",
                pair(key, Some(value)),
                op.node
            )
        }
        (Op::Delete(key), End::Returned(..)) => {
            format!(
                "the delete of {} was acked to client {client} by n{} at {when}",
                plain(key),
                op.node
            )
        }
        _ => op.to_string(),
    }
}

fn whole(key: &[u8], ops: &[Operation], culprit: &Operation) -> Violation {
    const SHOWN: usize = 12;
    let lines: Vec<String> = ops
        .iter()
        .rev()
        .filter(|op| op.id != culprit.id)
        .take(SHOWN)
        .map(|op| format!("\n      {op}"))
        .collect();
    let ids = ops.iter().rev().take(SHOWN + 1).map(|op| op.id).collect();
    let why = format!(
        "no order of it and the operations before it explains that; the latest are:{}",
        lines.concat()
    );
    broke(key, ids, told(culprit), why)
}

fn broke(key: &[u8], ops: Vec<usize>, fact: String, contradiction: String) -> Violation {
    let what = format!(
        "the cluster did not behave like one copy of the data: what clients were told about {} contradicts itself",
        plain(key)
    );
    Violation { failure: Failure::broke(what, fact, contradiction), ops }
}
