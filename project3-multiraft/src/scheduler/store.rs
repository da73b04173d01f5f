//! One store: what it said about itself, and how long ago.
//!
//! Two things that look alike are kept apart. A *state* is a decision: `Up`, `Offline` (being emptied), `Tombstone`
//! (gone for good); people make it, and it is saved. *Health* is an observation: how long the store has been silent.
//! It is not saved, since a scheduler that was down itself has no right to an opinion: after its restart it counts
//! from zero.

use proto::metapb::{self, StoreState};
use proto::pdpb::StoreStats;

use super::Millis;
use super::budget::Budget;
use super::config::Config;

/// How long a store has been silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not worth a word.
    Alive,
    /// Long enough to leave it alone.
    Disconnected,
    /// So long that its data counts as lost.
    Down,
}

/// A store.
#[derive(Debug, Clone)]
pub struct StoreInfo {
    /// As it announced itself, with the state that it was given.
    pub store: metapb::Store,
    /// What it reported last; none in this life of the scheduler.
    pub stats: Option<StoreStats>,
    /// When it was heard from last (uptime).
    pub heard: Millis,
    /// How many peers it may be given.
    pub adding: Budget,
    /// How many peers may be taken from it.
    pub removing: Budget,
}

impl StoreInfo {
    /// A store that was heard from at `now`.
    pub fn new(store: metapb::Store, now: Millis) -> Self {
        StoreInfo {
            store,
            stats: None,
            heard: now,
            adding: Budget::new(now),
            removing: Budget::new(now),
        }
    }

    /// Its id.
    pub fn id(&self) -> u64 {
        self.store.id
    }

    /// Whether it is gone for good.
    pub fn is_tombstone(&self) -> bool {
        self.store.state() == StoreState::Tombstone
    }

    /// Whether its data counts as lost.
    pub fn is_lost(&self, now: Millis, config: &Config) -> bool {
        self.is_tombstone() || self.health(now, config) == Health::Down
    }

    /// How long it has been silent, in three steps. Longer than `disconnect_after` and than `max_store_down_time` is
    /// meant, each one itself is not.
    pub fn health(&self, now: Millis, config: &Config) -> Health {
        let silent = now.saturating_sub(self.heard);
        if silent > config.max_store_down_time {
            Health::Down
        } else if silent > config.disconnect_after {
            Health::Disconnected
        } else {
            Health::Alive
        }
    }

    /// Whether a peer may be placed here: the store is `Up`, alive, not busy, and within its limit.
    pub fn is_target(&self, now: Millis, config: &Config) -> bool {
        // BEGIN SOLUTION 3C.places
        let busy = self.stats.as_ref().is_some_and(|stats| stats.is_busy);
        self.store.state() == StoreState::Up
            && self.health(now, config) == Health::Alive
            && !busy
            && self.adding.has_one(now, config.store_limit)
        // END SOLUTION
    }

    /// Whether balance may take a peer from here: the store is `Up`, alive, and within its limit. (The replica checker
    /// asks other questions: it takes peers from stores *because* they are neither.)
    pub fn is_source(&self, now: Millis, config: &Config) -> bool {
        // BEGIN SOLUTION 3C.places
        self.store.state() == StoreState::Up
            && self.health(now, config) == Health::Alive
            && self.removing.has_one(now, config.store_limit)
        // END SOLUTION
    }
}
