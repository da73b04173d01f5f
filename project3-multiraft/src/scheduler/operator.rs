//! An operator: a plan for one region, and how far it has come.
//!
//! # Invariants
//!
//! - Steps are taken in order, and a step that was done once is not looked at again.
//! - An operator ends in exactly one way: [`Status`].
//! - A peer is added before another is removed, and the leader hands over before it goes: at every moment the group can
//!   lose as many stores as before.

use std::collections::BTreeMap;
use std::fmt;

use proto::metapb::RegionEpoch;
use proto::pdpb::{OperatorStatus, RegionHeartbeatResponse};

use super::Millis;
use super::proposal::Kind;
use super::region::RegionInfo;
use super::step::Step;

/// How an operator ended, or that it has not.
pub type Status = OperatorStatus;

/// A plan under way.
#[derive(Debug, Clone)]
pub struct Operator {
    /// For which region.
    pub region: u64,
    /// What sort of plan.
    pub kind: Kind,
    /// What it is good for, for people.
    pub why: &'static str,
    /// What to do.
    pub steps: Vec<Step>,
    /// The step under way; all before it are done.
    pub at: usize,
    /// The region's epoch when the plan was made.
    pub epoch: RegionEpoch,
    /// When that was (uptime).
    pub started: Millis,
    /// When its last order was given.
    pub ordered: Millis,
}

/// What a look at the region has told.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Give this order (again).
    Order(Box<RegionHeartbeatResponse>),
    /// It is over, for this reason.
    End(Status, &'static str),
}

/// How running operators will change a store once they are done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Influence {
    /// Peers.
    pub peers: i64,
    /// Mebibytes.
    pub size: i64,
    /// Leaders.
    pub leaders: i64,
}

impl Operator {
    /// Looks at the region: passes all steps that are done, and says what comes next.
    ///
    /// In this order: all done, success. Too long under way, timeout. Peers changed by somebody else (the region's
    /// `conf_ver` has grown by more than the steps up to the present one have changed), cancel: the plan was made for
    /// another region. The present step has an obstacle, cancel. Else its order.
    ///
    /// You will need `Step::is_done`, `Step::has_changed_peers`, `Step::obstacle` and `Step::order`.
    pub fn advance(&mut self, region: &RegionInfo, now: Millis, timeout: Millis) -> Next {
        // BEGIN SOLUTION 3C.operator
        while self.steps.get(self.at).is_some_and(|step| step.is_done(region)) {
            self.at += 1;
        }
        let Some(step) = self.steps.get(self.at) else {
            return Next::End(Status::Success, "done");
        };
        if now.saturating_sub(self.started) > timeout {
            return Next::End(Status::Timeout, "too long under way");
        }
        let own =
            self.steps[..=self.at].iter().filter(|step| step.has_changed_peers(region)).count();
        let changes = region.epoch().conf_ver.saturating_sub(self.epoch.conf_ver);
        if changes > own as u64 {
            return Next::End(Status::Cancel, "somebody else has changed the peers");
        }
        if let Some(why) = step.obstacle(region) {
            return Next::End(Status::Cancel, why);
        }
        self.ordered = now;
        Next::Order(Box::new(step.order(region)))
        // END SOLUTION
    }

    /// The stores that get a peer and those that lose one.
    pub fn moves(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for step in &self.steps {
            match *step {
                Step::AddLearner { store, .. } | Step::AddPeer { store, .. } => added.push(store),
                Step::RemovePeer { store } => removed.push(store),
                Step::PromoteLearner { .. } | Step::TransferLeader { .. } => {}
            }
        }
        (added, removed)
    }

    /// Adds what is still to come of it to its stores' influences.
    pub(super) fn influence(&self, region: &RegionInfo, all: &mut BTreeMap<u64, Influence>) {
        let size = region.size.cast_signed();
        let mut leader = region.leader_store();
        for step in &self.steps {
            match *step {
                Step::AddLearner { store, .. } | Step::AddPeer { store, .. }
                    if region.peer_on(store).is_none() =>
                {
                    let at = all.entry(store).or_default();
                    (at.peers, at.size) = (at.peers + 1, at.size + size);
                }
                Step::RemovePeer { store } if region.peer_on(store).is_some() => {
                    let at = all.entry(store).or_default();
                    (at.peers, at.size) = (at.peers - 1, at.size - size);
                }
                Step::TransferLeader { to } if leader != to => {
                    all.entry(leader).or_default().leaders -= 1;
                    all.entry(to).or_default().leaders += 1;
                    leader = to;
                }
                _ => {}
            }
        }
    }
}

/// `region 4 balance-region: add learner 9 on s3, [promote 9 on s3], remove from s1`: the brackets are where it is.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "region {} {}:", self.region, self.why)?;
        for (i, step) in self.steps.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if i == self.at {
                write!(f, "{comma} [{step}]")?;
            } else {
                write!(f, "{comma} {step}")?;
            }
        }
        Ok(())
    }
}
