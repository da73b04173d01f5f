//! The compact notation: `t=12.3ms  n1@3 -> n2 Append base=4@1 [5@3]`.
//!
//! `n1@3` is store 1 in term 3, `5@3` the entry with index 5 of term 3. A writer remembers what a line refers to
//! (who sent message 17), so that each line can be read alone.

use std::collections::BTreeMap;

use super::{Event, Line};
use crate::cluster::protocol::{Micros, NodeId};
use crate::history::at;

/// A moment of a trace whose `start` line names this clock.
pub fn moment(clock: Option<&str>, t: Micros) -> String {
    match clock {
        Some("tick") => format!("tick {}.{:02}", t / 100_000, t / 1_000 % 100),
        Some("step") => format!("step {}", t / 1_000),
        _ => at(t),
    }
}

#[derive(Default)]
pub(super) struct Writer {
    terms: BTreeMap<NodeId, u64>,
    messages: BTreeMap<u64, String>,
    calls: BTreeMap<usize, String>,
    faults: BTreeMap<usize, String>,
    clock: Option<String>,
}

impl Writer {
    pub fn line(&mut self, line: &Line) -> String {
        if let Event::Start { clock, .. } = &line.event {
            self.clock.clone_from(clock);
        }
        format!("{:<12} {}", moment(self.clock.as_deref(), line.t), self.event(&line.event))
    }

    fn node(&self, n: NodeId) -> String {
        self.terms.get(&n).map_or_else(|| format!("n{n}"), |term| format!("n{n}@{term}"))
    }

    fn event(&mut self, event: &Event) -> String {
        match event {
            Event::Start { seed, nodes, clients, .. } => {
                format!("seed {seed}: {} stores, {} clients", nodes.len(), clients.len())
            }
            Event::Open { n, life } => format!("n{n} starts (life {life})"),
            Event::Crash { n, how, lost } => {
                let lost = if lost.is_empty() {
                    String::new()
                } else {
                    format!(" before: {}", lost.join(", "))
                };
                format!("{} CRASH {how}{lost}", self.node(*n))
            }
            Event::Stop { n, why } => format!("{} stops: {why}", self.node(*n)),
            Event::Send { n, to, id, kind, text, region, .. } => {
                let region = if *region > 1 { format!(" r{region}") } else { String::new() };
                let text = format!("{} -> n{to}{region} {kind} {text}", self.node(*n));
                self.messages.insert(*id, text.clone());
                text.trim_end().to_owned()
            }
            Event::Duplicate { id } => format!("  duplicated: {}", self.message(*id)),
            Event::Deliver { id, .. } => format!("  arrives: {}", self.message(*id)),
            Event::Drop { id, why } => format!("  dropped ({why}): {}", self.message(*id)),
            Event::Sync { n, file, writes, bytes } => {
                format!("{} sync {file} ({writes} writes, {bytes} bytes)", self.node(*n))
            }
            Event::DiskError { n, file } => format!("{} EIO on {file}", self.node(*n)),
            Event::Job { n, job, lane, .. } => {
                format!("{} job {job} for the {lane}", self.node(*n))
            }
            Event::Run { n, job, .. } => format!("{} job {job} done", self.node(*n)),
            Event::State {
                n,
                region,
                role,
                term,
                vote,
                commit,
                applied,
                persisted,
                last,
                kept,
                log,
                ..
            } => {
                self.terms.insert(*n, *term);
                let region = if *region > 1 { format!(" r{region}") } else { String::new() };
                let vote = if *vote > 0 { format!(" vote={vote}") } else { String::new() };
                let log: Vec<String> =
                    log.iter().map(|(index, term)| format!("{index}@{term}")).collect();
                let log = if log.is_empty() {
                    String::new()
                } else {
                    format!(" {kept}+[{}]", log.join(" "))
                };
                format!(
                    "n{n}@{term}{region} {role}{vote} commit={commit} applied={applied} persisted={persisted} last={last}{log}"
                )
            }
            Event::Gone { n, region } => format!("{} r{region} destroyed", self.node(*n)),
            Event::Call { op, client, n, text, .. } => {
                self.calls.insert(*op, format!("client {client} {text}"));
                format!("client {client} -> n{n} {text}")
            }
            Event::Return { op, how, text } => {
                let call = self.calls.get(op).cloned().unwrap_or_default();
                let how = match how.as_str() {
                    "ok" => "",
                    "never" => "refused: ",
                    _ => "unknown: ",
                };
                format!("{call} => {how}{text}")
            }
            Event::Lock { n, key, txn, primary, kind } => {
                let primary =
                    if primary == key { "primary".into() } else { format!("primary {primary}") };
                format!("n{n} {key}: lock of txn {txn} ({kind}, {primary})")
            }
            Event::Unlock { n, key, txn } => format!("n{n} {key}: the lock of txn {txn} is gone"),
            Event::Record { n, key, txn, kind, .. } if kind == "Rollback" => {
                format!("n{n} {key}: txn {txn} is rolled back")
            }
            Event::Record { n, key, txn, commit, kind } => {
                format!("n{n} {key}@{commit}: {kind} of txn {txn} is committed")
            }
            Event::Exchange { n, input, effects } => {
                format!("n{n} {input} => {}", effects.join("; "))
                    .trim_end_matches(" => ")
                    .to_owned()
            }
            Event::Fault { fault, text, .. } => {
                self.faults.insert(*fault, text.clone());
                format!("FAULT {text}")
            }
            Event::Heal { fault } => {
                format!("HEAL {}", self.faults.get(fault).cloned().unwrap_or_default())
            }
            Event::Phase { name } => format!("-- {name}"),
            Event::Violation { what, facts, .. } => {
                format!("VIOLATION {what}: {}", facts.join("; "))
            }
        }
    }

    fn message(&self, id: u64) -> String {
        self.messages.get(&id).cloned().unwrap_or_else(|| format!("message {id}"))
    }
}
