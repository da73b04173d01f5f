//! What a run exercised: a simulator that is too kind finds nothing, and says "all green".
//!
//! Everything that is meant to hurt is counted where it happens. On the reference and on raft-rs CI demands a
//! floor for each ([`Coverage::below`]); on a submission the numbers are only reported.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! exercised {
    ($($name:ident = $text:literal: $doc:literal),+ $(,)?) => {
        $(#[doc = $doc] pub const $name: &str = $text;)+
        /// All that is counted, in the order of reports.
        pub const ALL: &[&str] = &[$($name),+];
    };
}

exercised! {
    ELECTIONS = "elections": "A peer was seen to lead a term that nobody had led before.",
    LEADER_CHANGES = "leader changes": "... and it was another than the region's last leader.",
    TRUNCATIONS = "truncations": "Uncommitted entries of a log were replaced or cut.",
    SNAPSHOTS = "snapshots installed": "A log began anew after an index that it had not reached.",
    COMPACTIONS = "compactions": "The front of a log was dropped.",
    CONF_CHANGES = "conf changes": "A peer's voters changed.",
    SPLITS = "splits": "A region appeared that a store had not had, and that was no first start.",
    DESTROYED = "peers destroyed": "A peer's life on its store ended for good.",
    CRASHES = "crashes": "A store was killed, or its power was cut.",
    CRASHES_BUSY = "crashes between effects": "... when it had effects of one input still to come.",
    CRASHES_UNSYNCED = "crashes with unsynced writes": "... and its disk had writes that no sync covered.",
    CRASHES_BEFORE_SEND = "crashes between persist and send": "... after a sync, before a message or a reply.",
    RESTARTS = "restarts": "A store was started on what a crash had left.",
    DISK_ERRORS = "disk errors": "A write or a sync failed.",
    STOPS = "stops": "A store stopped by itself.",
    PARTITIONS = "partitions": "A link was cut, in one direction or both.",
    PAUSES = "pauses": "A store was not scheduled for a while.",
    DROPPED = "messages dropped": "A message between stores was lost, on the way or at a store that was down.",
    DUPLICATED = "messages duplicated": "A message was delivered twice.",
    REORDERED = "messages reordered": "A message arrived before one that was sent earlier on the same channel.",
    DELIVERED = "messages delivered": "A message arrived.",
    ACKED = "operations answered": "A client got a result.",
    REFUSED = "definite errors": "A client was told that its attempt never happens.",
    INDEFINITE = "indefinite results": "A client will never know.",
    SYNCS = "syncs": "A disk made something durable.",
    DIGESTS = "digests compared": "A replica's data was compared with another's at the same applied index.",
}

/// Counters of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// Counts one.
    pub fn hit(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// How often it happened.
    pub fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// Adds another run's counters.
    pub fn merge(&mut self, other: &Coverage) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// What happened less often than demanded: one sentence each.
    pub fn below(&self, floors: &[(&str, u64)]) -> Vec<String> {
        floors
            .iter()
            .filter(|(what, floor)| self.count(what) < *floor)
            .map(|(what, floor)| format!("{what}: {} of at least {floor}", self.count(what)))
            .collect()
    }

    /// All counters that are not zero, by name.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = ALL
            .iter()
            .filter(|what| self.count(what) > 0)
            .map(|what| format!("{what} {}", self.count(what)))
            .collect();
        f.write_str(&shown.join(", "))
    }
}
