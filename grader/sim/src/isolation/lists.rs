//! What the transactions say about the lists: who appended what, in which order, and who saw how much of it.

use std::collections::{BTreeMap, BTreeSet};

use super::explain;
use crate::cluster::protocol::Micros;
use crate::failure::Failure;
use crate::history::{Bytes, End, History, Micro, Op, OpResult, Operation, elements};
use crate::linear::Violation;

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has committed; its client was told at this time.
    Committed(Micros),
    /// Nobody knows.
    Open,
    /// It never happened.
    Refused,
}

/// A transaction on lists.
#[derive(Debug)]
pub(super) struct Txn<'h> {
    pub op: &'h Operation,
    pub fate: Fate,
    /// What it appended, key by key, in its order.
    pub appends: BTreeMap<&'h [u8], Vec<&'h [u8]>>,
    /// What it saw of each list that others had appended.
    pub reads: BTreeMap<&'h [u8], Vec<&'h [u8]>>,
    /// A read that contradicts an earlier one of the same transaction, or its own append: key, expected, seen.
    pub inside: Option<(Bytes, Vec<Bytes>, Vec<Bytes>)>,
}

impl<'h> Txn<'h> {
    /// All of a history. Keys that somebody adds numbers to are no lists.
    pub fn all(history: &'h History) -> Vec<Txn<'h>> {
        let steps = history.ops().iter().filter_map(|op| match &op.op {
            Op::Txn(steps) => Some(steps),
            _ => None,
        });
        let numbers: BTreeSet<&[u8]> =
            steps.flatten().filter(|step| matches!(step, Micro::Add(..))).map(Micro::key).collect();
        history.ops().iter().filter_map(|op| Txn::of(op, &numbers)).collect()
    }

    fn of(op: &'h Operation, numbers: &BTreeSet<&[u8]>) -> Option<Txn<'h>> {
        let Op::Txn(steps) = &op.op else { return None };
        let (fate, results) = match &op.end {
            End::Returned(at, OpResult::Txn(results)) => (Fate::Committed(*at), Some(results)),
            End::Returned(..) | End::Open => (Fate::Open, None),
            End::NeverHappened(..) => (Fate::Refused, None),
        };
        let (appends, reads) = (BTreeMap::new(), BTreeMap::new());
        let mut txn = Txn { op, fate, appends, reads, inside: None };
        for (at, step) in steps.iter().enumerate() {
            if numbers.contains(step.key()) {
                continue;
            }
            let (key, appended) = match step {
                Micro::Read(key) => (&key[..], None),
                Micro::Append(key, element) => (&key[..], Some(&element[..])),
                Micro::Add(..) => continue,
            };
            let own = txn.appends.entry(key).or_default();
            own.extend(appended);
            let Some(results) = results else { continue };
            let value = results.get(at).and_then(|value| value.as_deref());
            let seen: Vec<&[u8]> = value.map(elements).unwrap_or_default();
            match txn.reads.get(key) {
                Some(before) => {
                    let expected: Vec<&[u8]> = before.iter().chain(&*own).copied().collect();
                    if seen != expected && txn.inside.is_none() {
                        let bytes = |list: &[&[u8]]| list.iter().map(|e| e.to_vec()).collect();
                        txn.inside = Some((key.to_vec(), bytes(&expected), bytes(&seen)));
                    }
                }
                None if seen.ends_with(own) => {
                    txn.reads.insert(key, seen[..seen.len() - own.len()].to_vec());
                }
                None => {
                    let bytes = |list: &[&[u8]]| list.iter().map(|e| e.to_vec()).collect();
                    txn.inside = Some((key.to_vec(), bytes(own), bytes(&seen)));
                }
            }
        }
        txn.appends.retain(|_, own| !own.is_empty());
        Some(txn)
    }
}

/// One list.
#[derive(Debug, Default)]
pub(super) struct List<'h> {
    /// Its elements as far as somebody has seen them, and who appended each.
    pub order: Vec<(&'h [u8], usize)>,
    /// Who has committed an append that nobody has seen, and the append.
    pub unseen: Vec<(&'h [u8], usize)>,
}

/// All lists, by key.
#[derive(Debug)]
pub(super) struct Lists<'h>(pub BTreeMap<&'h [u8], List<'h>>);

impl<'h> Lists<'h> {
    /// The order of each list.
    ///
    /// # Errors
    /// What can be said without looking at more than one list: a transaction that contradicts itself; an element that nobody
    /// appended, or that is there twice; reads of what never happened (G1a), or of the middle of a transaction
    /// (G1b); two orders of one list.
    pub fn of(txns: &[Txn<'h>]) -> Result<Self, Violation> {
        if let Some(txn) = txns.iter().find(|txn| txn.inside.is_some()) {
            return Err(explain::inside(txn));
        }
        let writers = writers(txns)?;
        let mut longest: BTreeMap<&[u8], (usize, &[&[u8]])> = BTreeMap::new();
        for (reader, txn) in txns.iter().enumerate() {
            for (key, seen) in &txn.reads {
                check_read(txns, &writers, reader, key, seen)?;
                let (other, list) = longest.entry(key).or_insert((reader, seen));
                let (short, long) =
                    if seen.len() < list.len() { (&seen[..], *list) } else { (*list, &seen[..]) };
                if !long.starts_with(short) {
                    return Err(explain::two_orders(&txns[*other], txn, key, list, seen));
                }
                if seen.len() > list.len() {
                    (*other, *list) = (reader, seen);
                }
            }
        }
        let mut lists: BTreeMap<&[u8], List> = BTreeMap::new();
        let mut happened = BTreeSet::new();
        for (key, (_, seen)) in &longest {
            let order = seen.iter().map(|element| (*element, writers[&(*key, *element)]));
            let list = List { order: order.collect(), unseen: Vec::new() };
            happened.extend(list.order.iter().map(|(_, writer)| *writer));
            lists.insert(key, list);
        }
        for (writer, txn) in txns.iter().enumerate() {
            // An open one that nobody has seen may as well never have happened.
            if !matches!(txn.fate, Fate::Committed(_)) && !happened.contains(&writer) {
                continue;
            }
            for (key, appended) in &txn.appends {
                let list = lists.entry(key).or_default();
                let seen = list.order.iter().any(|(_, by)| *by == writer);
                if !seen && let Some(first) = appended.first() {
                    list.unseen.push((first, writer));
                }
            }
        }
        Ok(Lists(lists))
    }
}

type Writers<'h> = BTreeMap<(&'h [u8], &'h [u8]), usize>;

// Who appended an element. Of several attempts, the one that may have happened; if none may, any of them.
fn writers<'h>(txns: &[Txn<'h>]) -> Result<Writers<'h>, Violation> {
    let mut writers = Writers::new();
    for (number, txn) in txns.iter().enumerate() {
        for (key, appended) in &txn.appends {
            for element in appended {
                let refused = |n: usize| txns[n].fate == Fate::Refused;
                match writers.get(&(*key, *element)).copied() {
                    Some(other) if !refused(other) && !refused(number) => {
                        let why = format!(
                            "two transactions append {} to {}: the checker needs elements that are written once",
                            element.escape_ascii(),
                            key.escape_ascii()
                        );
                        let failure = Failure::Undecided { why };
                        return Err(Violation { failure, ops: vec![txns[other].op.id, txn.op.id] });
                    }
                    Some(other) if !refused(other) => {}
                    _ => {
                        writers.insert((key, element), number);
                    }
                }
            }
        }
    }
    Ok(writers)
}

fn check_read<'h>(
    txns: &[Txn<'h>],
    writers: &Writers<'h>,
    reader: usize,
    key: &'h [u8],
    seen: &[&'h [u8]],
) -> Result<(), Violation> {
    let me = &txns[reader];
    let mut before = BTreeSet::new();
    for (at, element) in seen.iter().enumerate() {
        if !before.insert(*element) {
            return Err(explain::twice(me, key, element, seen));
        }
        let Some(writer) = writers.get(&(key, *element)).copied() else {
            return Err(explain::from_nowhere(me, key, element, seen));
        };
        let other = &txns[writer];
        if other.fate == Fate::Refused {
            return Err(explain::aborted_read(me, other, key, element, seen));
        }
        // What one transaction appended is there as a whole, in its order, side by side.
        let all = &other.appends[key];
        let place = all.iter().position(|own| own == element).unwrap_or_default();
        let from = at.checked_sub(place);
        let whole = from.and_then(|from| seen.get(from..from + all.len()));
        if whole != Some(&all[..]) {
            return Err(explain::middle(me, other, key, seen));
        }
    }
    Ok(())
}
