//! What a client believes about regions: which has which key, and who leads it.
//!
//! It is a belief: regions are cut and move while requests are on their way. A store that is asked for what it does not
//! have says so, in a *region error*, and nothing was done then. So a wrong belief costs a round trip, never an answer.

use std::collections::BTreeMap;

use proto::errorpb;
use proto::kvrpcpb::Context;
use proto::metapb::{Peer, Region};

use super::Key;
use crate::mvcc::key::encode;

/// A region, as it was when the scheduler was asked, and the peer that is taken for its leader.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub region: Region,
    pub leader: Peer,
}

impl Known {
    /// What a request to this region says about it.
    pub fn context(&self) -> Context {
        Context {
            region_id: self.region.id,
            region_epoch: self.region.region_epoch,
            peer: Some(self.leader),
            ..Default::default()
        }
    }
}

/// When to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    AtOnce,
    AfterAPause,
}

/// The regions that are known, by their first position. They do not overlap.
#[derive(Debug, Default)]
pub(super) struct Regions {
    by_start: BTreeMap<Vec<u8>, Known>,
}

impl Regions {
    /// The region that has a key, if it is known.
    ///
    /// Regions are ranges of *positions*, and a key's position is its encoding ([`encode`]). An empty `end_key` means no
    /// end.
    pub fn find(&self, key: &[u8]) -> Option<&Known> {
        // BEGIN SOLUTION 4D.group
        let position = encode(key);
        let (_, known) = self.by_start.range(..=position.clone()).next_back()?;
        let end = &known.region.end_key[..];
        (end.is_empty() || &position[..] < end).then_some(known)
        // END SOLUTION
    }

    /// Cuts a list of keys by region: the parts, one for each region that has any of them, and the keys whose region is
    /// not known. No key is in two parts, and none gets lost.
    pub fn group(&self, keys: &[Key]) -> (Vec<(Known, Vec<Key>)>, Vec<Key>) {
        // BEGIN SOLUTION 4D.group
        let mut parts: BTreeMap<u64, (Known, Vec<Key>)> = BTreeMap::new();
        let mut unknown = Vec::new();
        for key in keys {
            match self.find(key) {
                Some(known) => {
                    let part = parts.entry(known.region.id);
                    part.or_insert_with(|| (known.clone(), Vec::new())).1.push(key.clone());
                }
                None => unknown.push(key.clone()),
            }
        }
        (parts.into_values().collect(), unknown)
        // END SOLUTION
    }

    /// Takes note of a region, in place of all that it overlaps.
    pub fn learn(&mut self, region: Region, leader: Peer) {
        let before = |a: &[u8], end: &[u8]| end.is_empty() || a < end;
        self.by_start.retain(|_, known| {
            let other = &known.region;
            other.id != region.id
                && !(before(&other.start_key, &region.end_key)
                    && before(&region.start_key, &other.end_key))
        });
        self.by_start.insert(region.start_key.to_vec(), Known { region, leader });
    }

    /// Believes nothing about a region any more: the next request that needs it asks the scheduler first.
    pub fn forget(&mut self, region: u64) {
        self.by_start.retain(|_, known| known.region.id != region);
    }

    /// A store has refused a request because of its region: what to believe from now on, and when to ask again.
    ///
    /// You will need `forget`, and the leader of what is known. A store that names the leader is sure of it; then the
    /// request can go there at once. One that names just who was asked tells nothing new. Whatever else it says, what is
    /// known about the region is out of date; and it takes a moment until a leader is elected, or the scheduler knows about
    /// a split, so there is no use in asking at once.
    pub fn refused(&mut self, region: u64, error: &errorpb::Error) -> Again {
        // BEGIN SOLUTION 4D.refused
        let hint = error.not_leader.as_ref().and_then(|not_leader| not_leader.leader);
        let known = self.by_start.values_mut().find(|known| known.region.id == region);
        match (hint, known) {
            (Some(leader), Some(known)) if leader != known.leader => {
                known.leader = leader;
                Again::AtOnce
            }
            _ => {
                self.forget(region);
                Again::AfterAPause
            }
        }
        // END SOLUTION
    }
}
