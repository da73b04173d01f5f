//! How a run ends: the group shows that it is alive, and that all its logs are one.

use proto::eraftpb::{Entry, EntryType};
use sim::failure::{Failure, Outcome};

use super::{Chaos, Coverage, TICK};
use crate::notation;
use crate::protocol::{Input, Level, Status};

/// So many election timeouts (the long ones) are enough to elect a leader in peace: each is a draw of
/// one out of ten, and a split vote ends with the next.
const TIMEOUTS: u64 = 30;

impl Chaos<'_> {
    pub(super) fn end(&mut self) -> Outcome<Coverage> {
        let patience = TIMEOUTS * 20 * TICK;
        let healed = self.now;
        self.until("no leader is elected although everything is healed", healed + patience, |c| {
            c.leader().is_some_and(|leader| c.all(|status| status.leader == leader))
        })?;
        if self.lab.level() != Level::Election {
            self.prove()?;
            self.same_logs()?;
        }
        self.coverage.elections = self.monitors.votes.elections;
        self.coverage.truncations = self.monitors.logs.truncations;
        self.coverage.reads_released = self.monitors.reads.released;
        self.coverage.changes = self.monitors.groups.changes;
        Ok(std::mem::take(&mut self.coverage))
    }

    /// A proposal of this moment decides everything before it: all nodes have to apply it.
    fn prove(&mut self) -> Outcome {
        let patience = TIMEOUTS * 20 * TICK;
        let deadline = self.now + patience;
        let mut round = 0;
        loop {
            round += 1;
            if self.now > deadline {
                return Err(
                    self.stuck("no proposal is committed although everything is healed", deadline)
                );
            }
            let data = format!("the end {round}").into_bytes();
            let Some(leader) = self.leader() else {
                self.next()?;
                continue;
            };
            if self.order(leader, Input::Propose(data.clone().into()))? != Some(Ok(())) {
                self.next()?;
                continue;
            }
            let index = self.statuses[&leader].last_index;
            let term = self.statuses[&leader].term;
            self.until(
                "a proposal is not applied everywhere although everything is healed",
                deadline,
                |c| {
                    c.all(|status| status.applied >= index)
                        || c.statuses.values().any(|status| status.term > term)
                },
            )?;
            if self.monitors.commits.entry(index).is_some_and(|entry| entry.data == data) {
                return Ok(());
            }
        }
    }

    // Whether all members are up, and say this of themselves.
    fn all(&self, ok: impl Fn(&Status) -> bool) -> bool {
        self.members().iter().all(|id| self.statuses.get(id).is_some_and(&ok))
    }

    fn same_logs(&mut self) -> Outcome {
        let ids = self.members();
        let committed = ids.iter().filter_map(|id| self.statuses.get(id)).map(|s| s.committed);
        let last = committed.min().unwrap_or(0);
        let mut first = 1;
        for id in &ids {
            first = first.max(self.nodes[id].disk.written().truncated.0 + 1);
        }
        let mut logs = Vec::new();
        for id in &ids {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            match node.log(first, last + 1)? {
                Ok(entries) => logs.push((*id, entries)),
                Err(why) => {
                    return Err(Failure::broke(
                        "a node does not show its own log",
                        format!(
                            "n{id} was asked for {first}..={last}, and has committed all of it"
                        ),
                        format!("it answers: {why}"),
                    ));
                }
            }
        }
        let (one, log) = &logs[0];
        for (other, its) in &logs[1..] {
            if log == its {
                continue;
            }
            let at =
                log.iter().zip(its).position(|(a, b)| a != b).unwrap_or(log.len().min(its.len()));
            return Err(Failure::broke(
                "two nodes have different logs at the end",
                format!(
                    "n{one}: from index {} {}",
                    first + at as u64,
                    notation::entries(&log[at..])
                ),
                format!("n{other}: from there {}", notation::entries(&its[at..])),
            ));
        }
        told_once(&logs[0].1)
    }

    fn until(&mut self, what: &str, deadline: u64, done: impl Fn(&Self) -> bool) -> Outcome {
        while !done(self) {
            if self.now > deadline {
                return Err(self.stuck(what, deadline));
            }
            self.next()?;
        }
        Ok(())
    }

    fn stuck(&self, what: &str, deadline: u64) -> Failure {
        let all: Vec<String> =
            self.statuses.iter().map(|(id, status)| notation::status(*id, status)).collect();
        Failure::broke(
            what,
            format!(
                "no message is lost, no node is down, and {TIMEOUTS} election timeouts went by (until tick {})",
                deadline / TICK
            ),
            format!("now: {}", all.join("; ")),
        )
    }
}

// Every proposal was made once, at one node.
fn told_once(log: &[Entry]) -> Outcome {
    let mut seen = std::collections::BTreeMap::new();
    let write = |entry: &&Entry| entry.entry_type == i32::from(EntryType::EntryNormal);
    for entry in log.iter().filter(write).filter(|entry| !entry.data.is_empty()) {
        if let Some(first) = seen.insert(entry.data.clone(), entry.index) {
            return Err(Failure::broke(
                "one proposal is in the log twice",
                format!("{} was proposed once", sim::failure::show(&entry.data)),
                format!("it stands at {first} and at {}", entry.index),
            ));
        }
    }
    Ok(())
}
