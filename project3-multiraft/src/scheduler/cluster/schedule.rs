//! The tick: what is overdue, what is missing, what is uneven; and the way of an operator from a wish to its end.

use prost::Message as _;
use proto::metapb::StoreState;

use super::{Cluster, Influences};
use crate::scheduler::balance_leader::balance_leader;
use crate::scheduler::balance_region::balance_region;
use crate::scheduler::board::Board;
use crate::scheduler::operator::{Next, Operator, Status};
use crate::scheduler::proposal::{Kind, Proposal};
use crate::scheduler::replica_checker::check_replicas;
use crate::scheduler::step::Step;
use crate::scheduler::{Millis, saved};

/// After this time without an answer an order is given again, heartbeat or not.
const RESEND: Millis = 5_000;

/// A scheduler that was restarted judges the whole when it has heard from so many regions of 100 ...
const PREPARED_PERCENT: usize = 80;
/// ... or has waited for so long.
const PREPARED_TIME: Millis = 5 * 60_000;

impl Cluster {
    /// Time passes: call it every second or so. `now` is uptime, which never steps back.
    pub fn tick(&mut self, now: Millis) {
        if !self.bootstrapped {
            return;
        }
        self.bury();
        self.push(now);
        if self.has_tail() && self.is_prepared(now) {
            self.patrol(now);
            let (leaders, regions) =
                (self.config.leader_schedule_limit, self.config.region_schedule_limit);
            self.run(Kind::Leader, leaders, balance_leader, now);
            self.run(Kind::Region, regions, balance_region, now);
        }
    }

    /// A store that was to be emptied and is empty is gone for good.
    fn bury(&mut self) {
        let regions = &self.regions;
        let empty = |id| regions.shelf(id).is_none_or(|shelf| shelf.peers() == 0);
        for info in self.stores.values_mut() {
            if info.store.state() == StoreState::Offline && empty(info.id()) {
                info.store.set_state(StoreState::Tombstone);
                tracing::info!(store = info.id(), "a store is empty and was removed for good");
                self.outbox.save(saved::store_key(info.id()), info.store.encode_to_vec());
            }
        }
    }

    /// Orders that were not followed are given again, and operators that took too long end.
    fn push(&mut self, now: Millis) {
        let overdue = |operator: &&Operator| now.saturating_sub(operator.ordered) >= RESEND;
        let regions: Vec<u64> =
            self.operators.running().filter(overdue).map(|operator| operator.region).collect();
        for region in regions {
            self.dispatch(region, now);
        }
    }

    /// What is known from before a restart says where regions were. Whoever judged by it would move what has moved.
    fn is_prepared(&mut self, now: Millis) -> bool {
        if !self.prepared {
            let heard = self.regions.iter().filter(|info| info.leader.is_some()).count();
            let waited = now.saturating_sub(self.opened) >= PREPARED_TIME;
            self.prepared = heard * 100 >= self.regions.len() * PREPARED_PERCENT || waited;
        }
        self.prepared
    }

    /// The replica checker looks at the next regions, in the order of their ids, round and round.
    fn patrol(&mut self, now: Millis) {
        let mut left = self.config.patrol_regions;
        let mut at = self.patrolled;
        let mut room =
            self.config.replica_schedule_limit.saturating_sub(self.operators.count(Kind::Replica));
        let mut influence = self.influence();
        while left > 0 && room > 0 {
            let board = self.board(now, influence);
            let mut found = None;
            let mut seen = 0;
            for info in board.regions.after(at).take(left) {
                (at, seen) = (info.id(), seen + 1);
                // What balance is moving has a learner, or a peer too many, for a while: that is not left over. Only a
                // lost peer cannot wait.
                let lost = info.region.peers.iter().any(|peer| board.is_lost(peer.store_id));
                let urgent = if lost { Kind::Replica } else { Kind::Region };
                let busy = board.operators.get(at).is_some_and(|other| other.kind >= urgent);
                if info.leader.is_some() && !busy {
                    found = check_replicas(&board, info);
                    if found.is_some() {
                        break;
                    }
                }
            }
            influence = board.influence;
            left -= seen;
            let Some(proposal) = found else {
                // Nothing more was found: either the batch is used up, or this was the last region.
                if left > 0 {
                    at = 0;
                }
                break;
            };
            // A refusal (a store's limit) is no reason to stop: the next region may have other stores.
            if self.propose(proposal, now).is_ok() {
                room -= 1;
                self.add_influence(at, &mut influence);
            }
        }
        self.patrolled = at;
    }

    fn run(
        &mut self,
        kind: Kind,
        limit: usize,
        scheduler: fn(&Board<'_>) -> Option<Proposal>,
        now: Millis,
    ) {
        let mut influence = self.influence();
        for _ in self.operators.count(kind)..limit {
            let board = self.board(now, influence);
            let proposal = scheduler(&board);
            influence = board.influence;
            let Some(proposal) = proposal else { return };
            let region = proposal.region;
            if self.propose(proposal, now).is_err() {
                return;
            }
            self.add_influence(region, &mut influence);
        }
    }

    fn add_influence(&self, region: u64, influence: &mut Influences) {
        if let (Some(operator), Some(info)) = (self.operators.get(region), self.regions.get(region))
        {
            operator.influence(info, influence);
        }
    }

    /// Makes an operator of a wish, takes it up, and gives its first order.
    ///
    /// # Errors
    /// As [`Operators::add`](crate::scheduler::operators::Operators::add), or the region is unknown.
    pub(super) fn propose(&mut self, proposal: Proposal, now: Millis) -> Result<(), &'static str> {
        let Some(info) = self.regions.get(proposal.region) else {
            return Err("the region is unknown");
        };
        let operator = Operator {
            region: proposal.region,
            kind: proposal.kind,
            why: proposal.why,
            steps: proposal.steps(info, || self.ids.next(&mut self.outbox)),
            at: 0,
            epoch: info.epoch(),
            started: now,
            ordered: now,
        };
        tracing::debug!(%operator, "a new operator");
        self.operators.add(operator, info, &mut self.stores, &self.config, now)?;
        self.dispatch(proposal.region, now);
        Ok(())
    }

    /// Looks how far a region's operator has come, and gives the order that is next.
    pub(super) fn dispatch(&mut self, region: u64, now: Millis) {
        let Some(operator) = self.operators.get_mut(region) else { return };
        let Some(info) = self.regions.get(region) else {
            self.operators.end(region, Status::Cancel, "the region is gone", now);
            return;
        };
        let timeout = match operator.kind {
            Kind::Leader => self.config.leader_operator_timeout,
            Kind::Region | Kind::Replica | Kind::Admin => self.config.region_operator_timeout,
        };
        match operator.advance(info, now, timeout) {
            Next::End(status, reason) => self.operators.end(region, status, reason, now),
            Next::Order(order) => {
                let into = match operator.steps[operator.at] {
                    Step::AddLearner { store, .. }
                    | Step::AddPeer { store, .. }
                    | Step::PromoteLearner { store, .. } => Some(store),
                    Step::RemovePeer { .. } | Step::TransferLeader { .. } => None,
                };
                let lost = |store| {
                    let info = self.stores.get(&store);
                    info.is_none_or(|info| info.is_lost(now, &self.config))
                };
                if into.is_some_and(lost) {
                    self.operators.end(region, Status::Cancel, "the new store is lost", now);
                } else {
                    self.outbox.orders.push(*order);
                }
            }
        }
    }
}
