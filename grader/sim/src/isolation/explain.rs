//! From a circle to two sentences.

use super::graph::{Fact, Pair, Why};
use super::lists::{Fate, Txn};
use crate::failure::Failure;
use crate::history::{Bytes, End, at, plain};
use crate::linear::Violation;

fn broke(
    name: &str,
    txns: &[&Txn],
    fact: impl Into<String>,
    contradiction: impl Into<String>,
) -> Violation {
    let what = format!("snapshot isolation is broken: {name}");
    let ops = txns.iter().map(|txn| txn.op.id).collect();
    Violation { failure: Failure::broke(what, fact, contradiction), ops }
}

// "T7 (client 3, t=12ms to t=30ms)".
fn who(txn: &Txn) -> String {
    let end = match &txn.op.end {
        End::Returned(time, _) => format!("to {}", at(*time)),
        End::NeverHappened(time, _) => format!("refused at {}", at(*time)),
        End::Open => "never answered".into(),
    };
    format!("T{} (client {}, {} {end})", txn.op.id, txn.op.client, at(txn.op.invoked))
}

fn name(txn: &Txn) -> String {
    format!("T{}", txn.op.id)
}

fn list(elements: &[impl AsRef<[u8]>]) -> String {
    let elements: Vec<String> = elements.iter().map(|element| plain(element.as_ref())).collect();
    format!("[{}]", elements.join(", "))
}

fn told(txn: &Txn, key: &[u8], seen: &[impl AsRef<[u8]>]) -> String {
    format!("{} read {}={}", who(txn), plain(key), list(seen))
}

/// A transaction contradicts itself.
pub(super) fn inside(txn: &Txn) -> Violation {
    let (key, expected, seen): &(Bytes, Vec<Bytes>, Vec<Bytes>) =
        txn.inside.as_ref().unwrap_or(&EMPTY);
    let own = format!(
        "{}: by what it did before, {} ends with or is {}",
        who(txn),
        plain(key),
        list(expected)
    );
    broke(
        "a transaction does not see its own writes, or sees two moments (internal)",
        &[txn],
        own,
        format!("it read {}={}", plain(key), list(seen)),
    )
}

static EMPTY: (Bytes, Vec<Bytes>, Vec<Bytes>) = (Vec::new(), Vec::new(), Vec::new());

pub(super) fn twice(txn: &Txn, key: &[u8], element: &[u8], seen: &[&[u8]]) -> Violation {
    let once = format!("{} was appended once", plain(element));
    broke("an append took effect twice", &[txn], told(txn, key, seen), once)
}

pub(super) fn from_nowhere(txn: &Txn, key: &[u8], element: &[u8], seen: &[&[u8]]) -> Violation {
    let nobody = format!("nobody ever appended {} to {}", plain(element), plain(key));
    broke("a value from nowhere", &[txn], told(txn, key, seen), nobody)
}

pub(super) fn aborted_read(
    txn: &Txn,
    writer: &Txn,
    key: &[u8],
    element: &[u8],
    seen: &[&[u8]],
) -> Violation {
    let why = match &writer.op.end {
        End::NeverHappened(_, why) => why.clone(),
        _ => String::new(),
    };
    broke(
        "a transaction that was aborted was seen (aborted read, G1a)",
        &[txn, writer],
        told(txn, key, seen),
        format!(
            "{} appended {}, and was told that it never happens ({why})",
            who(writer),
            plain(element)
        ),
    )
}

pub(super) fn middle(txn: &Txn, writer: &Txn, key: &[u8], seen: &[&[u8]]) -> Violation {
    broke(
        "a transaction was seen half done (intermediate read, G1b)",
        &[txn, writer],
        told(txn, key, seen),
        format!("{} appended {} to it, at one moment", who(writer), list(&writer.appends[key])),
    )
}

pub(super) fn two_orders(
    one: &Txn,
    other: &Txn,
    key: &[u8],
    first: &[&[u8]],
    second: &[&[u8]],
) -> Violation {
    broke(
        "a list had two orders: a write was lost, or undone",
        &[one, other],
        told(one, key, first),
        told(other, key, second),
    )
}

/// The facts go round in a circle.
pub(super) fn circle(txns: &[Txn], facts: &[Fact]) -> Violation {
    let facts: Vec<&Fact> = facts.iter().filter(|fact| fact.why != Why::Own).collect();
    let mut met: Vec<&Txn> = Vec::new();
    for txn in facts.iter().flat_map(|fact| [fact.a, fact.b]).map(|n| &txns[n]) {
        if met.iter().all(|known| known.op.id != txn.op.id) {
            met.push(txn);
        }
    }
    let mut sentences: Vec<String> = facts.iter().map(|fact| sentence(txns, fact)).collect();
    let last = sentences.pop().unwrap_or_default();
    let whos: Vec<String> = met.iter().map(|txn| who(txn)).collect();
    let first = format!("{}; of {}", sentences.join("; "), whos.join(", "));
    broke(&anomaly(&facts), &met, first, format!("but {last}"))
}

fn sentence(txns: &[Txn], fact: &Fact) -> String {
    let (a, b) = (name(&txns[fact.a]), name(&txns[fact.b]));
    match &fact.why {
        Why::Own => format!("{a} started before it committed"),
        Why::Saw { key, element } => format!(
            "{b} saw {} in {}, which {a} appended, so {a} committed before {b} started",
            plain(element),
            plain(key)
        ),
        Why::Missed { key, element } => format!(
            "{a} did not see {} in {}, which {b} appended, so {a} started before {b} committed",
            plain(element),
            plain(key)
        ),
        Why::Behind { key, first, second } => format!(
            "{b} appended {} to {} behind {a}'s {}, so {a} committed before {b} started",
            plain(second),
            plain(key),
            plain(first)
        ),
        Why::Time => {
            let told = match txns[fact.a].fate {
                Fate::Committed(time) => at(time),
                _ => String::new(),
            };
            let asked = at(txns[fact.b].op.invoked);
            format!("{a} was answered at {told}, before {b} was asked for at {asked}")
        }
    }
}

// Adya's name for a circle, by what it is made of.
fn anomaly(facts: &[&Fact]) -> String {
    let count = |kind: fn(&Why) -> bool| facts.iter().filter(|fact| kind(&fact.why)).count();
    let missed = count(|why| matches!(why, Why::Missed { .. }));
    let saw = count(|why| matches!(why, Why::Saw { .. }));
    let behind = count(|why| matches!(why, Why::Behind { .. }));
    let time = count(|why| *why == Why::Time);
    let name = match (missed, saw, behind) {
        (0, 0, _) => "writes in a circle (G0)",
        (0, ..) => "information in a circle (G1c)",
        (1, 0, 0) => "a stale read: it missed what was committed before it began",
        (1, 0, _) => "a lost update (G-single): it wrote over what it had not seen",
        (1, ..) => "a torn snapshot (read skew, G-single): one part was seen, another was not",
        _ => "snapshots that contradict each other (long fork, G-SI)",
    };
    if time > 0 && missed != 1 { format!("{name}, against the order of time") } else { name.into() }
}

/// Some appends can stand in no order at all.
pub(super) fn no_order(txns: &[Txn], pairs: &[Pair]) -> Violation {
    let mut met: Vec<&Txn> = Vec::new();
    for txn in pairs.iter().flat_map(|pair| [pair.first.1, pair.second.1]).map(|n| &txns[n]) {
        if met.iter().all(|known| known.op.id != txn.op.id) {
            met.push(txn);
        }
    }
    let whos: Vec<String> = met.iter().take(6).map(|txn| who(txn)).collect();
    let keys: Vec<String> = pairs.iter().take(6).map(|pair| plain(&pair.key)).collect();
    broke(
        "writers of one key overlap (a lost update)",
        &met,
        format!(
            "{} have committed appends that nobody saw, to {}",
            whos.join(", "),
            keys.join(", ")
        ),
        "in whatever order one puts them, one of them did not see another that had committed before it started",
    )
}
