//! The front desk: requests that cannot be served now, and may be in a moment.
//!
//! Official clients lose their patience after about a second and a half, and a refusal costs them one of ten attempts.
//! An election is over in less. So a request for which there is no leader, or no room, is *held* for up to a second and
//! tried again whenever something has happened; only then its client is sent away. One that has a leader elsewhere is
//! told so at once: to wait would not help it.
//!
//! A peer itself never holds anything back: it answers at once, and this is where the answer is turned into patience.

use std::collections::VecDeque;

use crate::callback::Callback;
use crate::error::Refusal;
use crate::peer::{Micros, Read, ReadCallback, Write, WriteCallback};
use crate::region;
use proto::raft_cmdpb::{RaftCmdRequest, RaftRequestHeader};

use super::limits::DESK;

/// What a client asks of a store.
#[derive(Debug)]
pub enum Request {
    /// A batch of changes.
    Write(Box<RaftCmdRequest>, WriteCallback),
    /// Something to read from.
    Read(RaftRequestHeader, ReadCallback),
    /// Whether this is the disk that we know that store by. See [`Store::meet`](super::Store::meet).
    Meet {
        /// The other store.
        store: u64,
        /// Its disk.
        disk: u64,
        /// True: it is, or it is the first that we meet.
        callback: Callback<bool>,
    },
}

/// A request that is held.
#[derive(Debug)]
pub enum Held {
    /// A write.
    Write(Write),
    /// A read.
    Read(Read),
}

/// Requests that are held, oldest first.
#[derive(Debug, Default)]
pub struct Desk {
    held: VecDeque<(Micros, Held)>,
}

/// Whether waiting may help.
pub fn may_pass(why: &Refusal) -> bool {
    match why {
        Refusal::Later(_) => true,
        Refusal::Region(error) => {
            error.not_leader.as_ref().is_some_and(|not_leader| not_leader.leader.is_none())
        }
        Refusal::Invalid(_) | Refusal::Unknown(_) => false,
    }
}

/// What a client is told that was held for nothing. "Not now" is no answer that clients understand; "I do not lead, and
/// do not know who does" makes them ask again after a pause.
pub fn at_last(why: Refusal, region: u64) -> Refusal {
    match why {
        Refusal::Later(_) => region::not_leader(region, None),
        other => other,
    }
}

impl Desk {
    /// Holds a request until then; gives it back if the desk is full.
    pub fn hold(&mut self, until: Micros, request: Held) -> Result<(), Held> {
        if self.held.len() >= DESK {
            return Err(request);
        }
        self.held.push_back((until, request));
        Ok(())
    }

    /// The oldest, to be tried again.
    pub fn pop(&mut self) -> Option<(Micros, Held)> {
        self.held.pop_front()
    }

    /// It was in vain: it stays the oldest.
    pub fn back(&mut self, until: Micros, request: Held) {
        self.held.push_front((until, request));
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }
}
