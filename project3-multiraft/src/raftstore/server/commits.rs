//! How long it takes from a proposal to its commit, seen from outside: consensus has no clock.
//!
//! When a leader's log has grown by a request, the place is noted with the time; when the leader's commit index has passed it,
//! the time is taken. Who stops leading is forgotten with all its notes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use prometheus::Histogram;

use crate::raftstore::Store;

/// Places of one region that are noted at most. More are proposed while these wait; they are not timed.
const MOST: usize = 1024;

/// What is on its way, by region: term, and places with the time of their proposal.
#[derive(Default)]
pub(super) struct Commits {
    open: BTreeMap<u64, (u64, VecDeque<(u64, Instant)>)>,
}

impl Commits {
    /// A write was asked of this region: has it been proposed?
    pub(super) fn asked(&mut self, store: &Store, region: u64) {
        let Some(peer) = store.peer(region) else { return };
        let status = peer.status();
        if !status.is_leader() {
            return;
        }
        let (term, places) = self.open.entry(region).or_default();
        if *term != status.term {
            (*term, *places) = (status.term, VecDeque::new());
        }
        let new = places.back().is_none_or(|(last, _)| *last < status.last_index);
        if new && status.last_index > status.committed && places.len() < MOST {
            // The edge: the metrics' own clock.
            places.push_back((status.last_index, Instant::now()));
        }
    }

    /// A round is over: what is committed?
    pub(super) fn look(&mut self, store: &Store, took: &Histogram) {
        self.open.retain(|region, (term, places)| {
            let Some(peer) = store.peer(*region) else { return false };
            let status = peer.status();
            if !status.is_leader() || status.term != *term {
                return false;
            }
            while let Some((place, since)) = places.front()
                && *place <= status.committed
            {
                took.observe(since.elapsed().as_secs_f64());
                places.pop_front();
            }
            !places.is_empty()
        });
    }
}
