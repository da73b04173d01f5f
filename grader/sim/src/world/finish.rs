//! The end of a run: heal everything, wait until all is well, read everything, ask the checkers.
//!
//! *Well* means: no client waits, every region has one leader, and every member has applied all that it has. There
//! is a deadline in virtual time ([`Limits::recovery`](crate::cluster::setup::Limits)); a cluster that misses it
//! hangs, and the report says who waits for whom. A correct one needs some election timeouts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::World;
use crate::cluster::plan::{Plan, PlannedOp};
use crate::cluster::protocol::{Look, Micros, RegionView};
use crate::cluster::setup::MS;
use crate::failure::{Failure, Outcome};
use crate::history::{End, Micro, Op, OpResult, at};
use crate::trace::Event as Traced;
use crate::{isolation, linear};

// The clients that read everything at the end count from here.
const READERS: u64 = 1_000;

impl World<'_, '_> {
    /// Carries out a plan: faults and operations together, until its end.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn play(&mut self, plan: &Plan) -> Outcome {
        self.phase("faults");
        self.schedule_all(&plan.faults);
        self.begin_sessions(&plan.ops, false);
        self.run_for(plan.length)
    }

    /// Heals everything and waits until all is well; then reads every key, compares the replicas, and asks
    /// whether the history is linearizable.
    ///
    /// # Errors
    /// As [`World::new`]; a hang report; a violation of linearizability.
    pub fn finish(&mut self) -> Outcome {
        let finished = self.try_finish();
        self.guard(finished)
    }

    fn try_finish(&mut self) -> Outcome {
        self.phase("recovery");
        self.calm_down()?;
        let span = self.setup.limits.recovery;
        if !self.run_until(span, Self::well)? {
            return Err(self.hang("the cluster does not recover", span));
        }
        self.phase("check");
        let keys: BTreeSet<Vec<u8>> =
            self.history.ops().iter().filter_map(|op| op.op.key().map(<[u8]>::to_vec)).collect();
        // Each by its own reader, one after the other: the first to fail is the one that is shown.
        let mut reads: Vec<PlannedOp> = keys
            .into_iter()
            .map(|key| PlannedOp { client: READERS, think: MS, op: Op::Get(key) })
            .collect();
        // What transactions have left is one moment.
        let steps = self.history.ops().iter().filter_map(|op| match &op.op {
            Op::Txn(steps) => Some(steps),
            _ => None,
        });
        let keys: BTreeSet<Vec<u8>> = steps.flatten().map(|step| step.key().to_vec()).collect();
        if !keys.is_empty() {
            let op = Op::Txn(keys.into_iter().map(Micro::Read).collect());
            reads.push(PlannedOp { client: READERS, think: MS, op });
        }
        self.begin_sessions(&reads, true);
        if !self.run_until(span, Self::well)? {
            return Err(self.hang("reads after the faults are not answered", span));
        }
        self.compare_replicas()?;
        self.check_history()
    }

    fn phase(&mut self, name: &str) {
        self.trace.line(self.now, || Traced::Phase { name: name.to_owned() });
    }

    /// Asks whether the history so far is linearizable, and its transactions isolated. Short ones with scans are checked as
    /// a whole.
    ///
    /// # Errors
    /// The violation, or [`Failure::Undecided`] when the checker gave up.
    pub fn check_history(&mut self) -> Outcome {
        const SHORT: usize = 300;
        let scans = self
            .history
            .ops()
            .iter()
            .any(|op| matches!(op.end, End::Returned(_, OpResult::Pairs(_))));
        let checked = if scans && self.history.ops().len() <= SHORT {
            linear::check_whole(&self.history, linear::BUDGET)
        } else {
            linear::check(&self.history, linear::BUDGET)
        };
        let checked = checked.and_then(|()| isolation::check(&self.history, isolation::BUDGET));
        checked.map_err(|violation| {
            self.blamed = violation.ops;
            violation.failure
        })
    }

    /// Asks every living store for everything, digests included.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn compare_replicas(&mut self) -> Outcome {
        for id in self.setup.ids() {
            if self.is_up(id) {
                let looked = self.look(id, Look { all: true, logs: Vec::new(), digest: true });
                self.guard(looked)?;
            }
        }
        Ok(())
    }

    /// Whether no client waits, and every region has a leader whom all members have caught up with.
    pub fn well(&self) -> bool {
        self.clients.values().all(super::Client::done) && self.unwell().is_none()
    }

    // The first region that is not well, and why.
    fn unwell(&self) -> Option<String> {
        for region in self.monitors.regions() {
            let Some(leader) = self.monitors.leader(region) else {
                return Some(format!("region {region} has no leader"));
            };
            let Some(led) = self.view(leader, region) else { continue };
            for member in led.voters.iter().chain(&led.outgoing).chain(&led.learners) {
                let Some(view) = self.view(member.store, region) else {
                    return Some(format!("n{} has no peer of region {region}", member.store));
                };
                if view.applied != led.last {
                    return Some(format!(
                        "n{} has applied region {region} up to {}, its leader n{leader} has a log up to {}",
                        member.store, view.applied, led.last
                    ));
                }
            }
        }
        None
    }

    /// A hang: what was hoped for within `span`, and who waits for whom.
    pub(super) fn hang(&self, what: &str, span: Micros) -> Failure {
        let unwell = self.unwell().map(|why| format!(": {why}")).unwrap_or_default();
        let mut who = String::new();
        for (id, client) in &self.clients {
            if let Some(call) = client.call.and_then(|call| self.calls.get(&call)) {
                let _ = write!(
                    who,
                    "\n      client {id} waits for n{} to {}, since {}",
                    call.node,
                    call.op,
                    at(call.since)
                );
            }
        }
        for node in self.nodes.values() {
            let doing = if !node.up() {
                "is down".into()
            } else if node.paused > 0 {
                "is paused".into()
            } else {
                let jobs = if node.jobs.is_empty() {
                    String::new()
                } else {
                    format!(", {} jobs under way", node.jobs.len())
                };
                let open = node.requests.len();
                let open = if open == 0 { String::new() } else { format!(", owes {open} answers") };
                let peers: Vec<String> = self
                    .monitors
                    .views()
                    .filter(|(id, _)| *id == node.id)
                    .map(|(_, view)| standing(view))
                    .collect();
                format!("{}{jobs}{open}", peers.join("; "))
            };
            let _ = write!(who, "\n      n{} {doing}", node.id);
        }
        let since = if self.calm { "every fault was healed at" } else { "the wait began at" };
        Failure::broke(
            format!("{what} within {} ms of virtual time{unwell}", span / MS),
            format!("{since} {}", at(self.now.saturating_sub(span))),
            format!("at {}:{who}", at(self.now)),
        )
    }
}

fn standing(view: &RegionView) -> String {
    let follows = match view.leader {
        0 => ", knows no leader".into(),
        leader if leader == view.peer => String::new(),
        leader => format!(", follows peer {leader}"),
    };
    format!(
        "is {} of region {} in term {}{follows}, commit {} applied {} last {}",
        view.role, view.region, view.term, view.commit, view.applied, view.last
    )
}
