//! What clients asked and what they were told: the only evidence that a linearizability checker accepts.
//!
//! A [`History`] holds one [`Operation`] for each *attempt*: a client that retries after an answer that nobody
//! can interpret has made two attempts, and each may take effect. An attempt ends in one of three ways:
//!
//! - it **returned** a result at a time: it took effect once, between its call and its return;
//! - it **never happened** (a definite error: not leader, stale command): it took no effect, and if its value
//!   is ever read, the store lied;
//! - it stays **open** (a time-out, a lost connection, an indefinite status): it may take effect at any time
//!   after its call, or never.
//!
//! Keys and values are bytes, shown as text where they are text. The vocabulary of operations is that of the raw
//! API, and `Append`, which no raw API has and which shows duplicates better than anything else; and [`Op::Txn`], a
//! whole transaction, which [`isolation`](crate::isolation) looks at.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::protocol::{Micros, NodeId};
use crate::failure::show;

/// A key or a value.
pub type Bytes = Vec<u8>;

/// Why an attempt never happened whose request never got to its store: nobody promised anything.
pub const UNSENT: &str = "the store is down";

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Read a key.
    Get(Bytes),
    /// Set a key.
    Put(Bytes, Bytes),
    /// Remove a key.
    Delete(Bytes),
    /// Set a key if it has the expected value (`None`: if it is absent).
    Cas {
        /// The key.
        key: Bytes,
        /// What it must be.
        expected: Option<Bytes>,
        /// What it becomes.
        new: Bytes,
    },
    /// Add to the end of a key's value (an absent one is empty).
    Append(Bytes, Bytes),
    /// Read the pairs of `[start, end)` in order, at most `limit`; an empty end means no end.
    Scan {
        /// The first key.
        start: Bytes,
        /// The first key beyond.
        end: Bytes,
        /// The most pairs that may come.
        limit: u32,
    },
    /// Do all of this at once, or nothing of it.
    Txn(Vec<Micro>),
}

/// A step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Micro {
    /// Read a key.
    Read(Bytes),
    /// Read a list ([`elements`]) and write it with one more element, which nobody else ever appends to it.
    Append(Bytes, Bytes),
    /// Read a number (in decimal; an absent one is 0) and write the sum.
    Add(Bytes, i64),
}

/// What stands between the elements of a list.
const COMMA: u8 = b',';

/// The elements of a list, as [`Micro::Append`] writes it.
pub fn elements(list: &[u8]) -> Vec<&[u8]> {
    if list.is_empty() { Vec::new() } else { list.split(|byte| *byte == COMMA).collect() }
}

impl Micro {
    /// Its key.
    pub fn key(&self) -> &[u8] {
        match self {
            Micro::Read(key) | Micro::Append(key, _) | Micro::Add(key, _) => key,
        }
    }

    /// What it writes where `found` was; `None`: it only reads.
    pub fn write(&self, found: Option<&[u8]>) -> Option<Bytes> {
        let found = found.unwrap_or_default();
        match self {
            Micro::Read(_) => None,
            Micro::Append(_, element) if found.is_empty() => Some(element.clone()),
            Micro::Append(_, element) => Some([found, &[COMMA], element].concat()),
            Micro::Add(_, amount) => Some((number(found) + amount).to_string().into_bytes()),
        }
    }
}

/// The number that [`Micro::Add`] writes; 0 for anything else.
pub fn number(value: &[u8]) -> i64 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpResult {
    /// The value, or that there is none.
    Value(Option<Bytes>),
    /// Done: put, delete, append.
    Written,
    /// Of a compare-and-swap.
    Swapped {
        /// Whether it was.
        swapped: bool,
        /// The value that was there before.
        previous: Option<Bytes>,
    },
    /// Of a scan.
    Pairs(Vec<(Bytes, Bytes)>),
    /// Of a transaction that has committed: for each of its steps, what the key held after it.
    Txn(Vec<Option<Bytes>>),
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With this result, at this time.
    Returned(Micros, OpResult),
    /// Nobody knows.
    Open,
    /// For certain without effect; why, and when the client was told.
    NeverHappened(Micros, String),
}

/// One attempt of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its place in the history.
    pub id: usize,
    /// Who asked.
    pub client: u64,
    /// Whom.
    pub node: NodeId,
    /// What.
    pub op: Op,
    /// When.
    pub invoked: Micros,
    /// And how it ended.
    pub end: End,
}

/// All attempts of all clients, in the order of their calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    ops: Vec<Operation>,
}

impl History {
    /// A client calls. The attempt is open until something else is said about it.
    pub fn begin(&mut self, client: u64, node: NodeId, op: Op, at: Micros) -> usize {
        let id = self.ops.len();
        self.ops.push(Operation { id, client, node, op, invoked: at, end: End::Open });
        id
    }

    /// The attempt returned.
    pub fn returned(&mut self, id: usize, at: Micros, result: OpResult) {
        self.ops[id].end = End::Returned(at, result);
    }

    /// The attempt has not happened and never will.
    pub fn never_happened(&mut self, id: usize, at: Micros, why: impl Into<String>) {
        self.ops[id].end = End::NeverHappened(at, why.into());
    }

    /// All attempts.
    pub fn ops(&self) -> &[Operation] {
        &self.ops
    }
}

impl Op {
    /// The key, if it is about one.
    pub fn key(&self) -> Option<&[u8]> {
        match self {
            Op::Get(key)
            | Op::Put(key, _)
            | Op::Delete(key)
            | Op::Cas { key, .. }
            | Op::Append(key, _) => Some(key),
            Op::Scan { .. } | Op::Txn(_) => None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Op::Get(_) | Op::Scan { .. } => true,
            Op::Txn(steps) => steps.iter().all(|step| matches!(step, Micro::Read(_))),
            _ => false,
        }
    }
}

/// Bytes as text where they are text: `x`, else quoted and escaped.
pub fn plain(bytes: &[u8]) -> String {
    let simple = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:".contains(b);
    if !bytes.is_empty() && bytes.len() <= 32 && bytes.iter().all(simple) {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        show(bytes)
    }
}

/// A time as failures and traces show it: `t=812.4ms`.
pub fn at(time: Micros) -> String {
    let (ms, us) = (time / 1000, time % 1000);
    if us == 0 {
        format!("t={ms}ms")
    } else {
        format!("t={ms}.{}ms", format!("{us:03}").trim_end_matches('0'))
    }
}

/// `x=1`, or `x not found`.
pub fn pair(key: &[u8], value: Option<&[u8]>) -> String {
    match value {
        Some(value) => format!("{}={}", plain(key), plain(value)),
        None => format!("{} not found", plain(key)),
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Get(key) => write!(f, "get {}", plain(key)),
            Op::Put(key, value) => write!(f, "put {}", pair(key, Some(value))),
            Op::Delete(key) => write!(f, "delete {}", plain(key)),
            Op::Cas { key, expected, new } => {
                let expected = expected.as_deref().map_or("absent".into(), plain);
                write!(f, "cas {} {expected} -> {}", plain(key), plain(new))
            }
            Op::Append(key, value) => write!(f, "append {} += {}", plain(key), plain(value)),
            Op::Scan { start, end, limit } => {
                write!(f, "scan [{}, {}) limit {limit}", plain(start), plain(end))
            }
            Op::Txn(steps) => {
                let steps: Vec<String> = steps.iter().map(Micro::to_string).collect();
                write!(f, "transaction ({})", steps.join("; "))
            }
        }
    }
}

impl fmt::Display for Micro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Micro::Read(key) => write!(f, "read {}", plain(key)),
            Micro::Append(key, element) => write!(f, "append {} += {}", plain(key), plain(element)),
            Micro::Add(key, amount) => write!(f, "add {} += {amount}", plain(key)),
        }
    }
}

impl fmt::Display for OpResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpResult::Value(Some(value)) => f.write_str(&plain(value)),
            OpResult::Value(None) => f.write_str("not found"),
            OpResult::Written => f.write_str("ok"),
            OpResult::Swapped { swapped: true, .. } => f.write_str("swapped"),
            OpResult::Swapped { swapped: false, previous } => {
                let previous = previous.as_deref().map_or("absent".into(), plain);
                write!(f, "not swapped, it is {previous}")
            }
            OpResult::Pairs(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(k, v)| pair(k, Some(v))).collect();
                write!(f, "[{}]", pairs.join(", "))
            }
            OpResult::Txn(values) => {
                let value = |v: &Option<Bytes>| v.as_deref().map_or("not found".into(), plain);
                let values: Vec<String> = values.iter().map(value).collect();
                write!(f, "committed ({})", values.join("; "))
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {}: {} at {}", self.client, self.op, at(self.invoked))?;
        match &self.end {
            End::Returned(time, result) => {
                write!(f, ", answered by n{} with {result} at {}", self.node, at(*time))
            }
            End::Open => write!(f, ", never answered by n{}", self.node),
            End::NeverHappened(time, why) => {
                write!(f, ", refused by n{} at {} ({why})", self.node, at(*time))
            }
        }
    }
}
