//! Leases (thesis 6.4.1): reads without asking anybody. Extra credit, off by default.
//!
//! When a quorum has answered a heartbeat, each of them will not vote for anybody else for one election timeout
//! after it *received* that heartbeat ([`check_quorum`](crate::check_quorum)). It received it after it was sent.
//! So from the *send* time on, for a little less than the minimum election timeout, there can be no other leader,
//! and the commit index is the group's.
//!
//! "A little less", since the two sides measure with different clocks: we trust that no clock runs more than
//! a quarter faster than another. That trust is the price of a lease. Where it is broken, by a clock, or by a
//! process that is stopped and does not notice, a read may be stale; a driver whose ticks can be late says what
//! time it really is with `set_now` before it reads.
//!
//! # What else must hold
//!
//! - Every node has CheckQuorum, or its silence was never promised.
//! - The leader has committed *and applied* an entry of its term.
//! - A node that restarts may have promised: it neither votes nor campaigns for one election timeout
//!   ([`Config::age`](crate::Config::age) says of others that they are older).
//! - A leader that tells another to campaign at once (MsgTimeoutNow) suspends its lease before: that campaign
//!   is heard.

use std::collections::VecDeque;

use crate::error::Result;
use crate::raft::Raft;
use crate::storage::Storage;

/// How many rounds may wait to be answered by a quorum. Older ones would give a shorter lease anyway.
const MAX_ROUNDS: usize = 64;

/// A leader's lease, and the time that it is measured in: ticks since this node was started.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    ticks: u64,
    /// `ticks`, or what the driver said, whichever is later. Never falls.
    now: u64,
    /// When each unanswered round was sent, oldest first.
    sent: VecDeque<(u64, u64)>,
    /// The lease holds while `now` is before this.
    until: u64,
    suspended: bool,
}

impl Lease {
    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
        self.now = self.now.max(self.ticks);
    }

    /// Ticks that this node has lived through.
    pub(crate) fn age(&self) -> u64 {
        self.ticks
    }

    pub(crate) fn reset(&mut self) {
        *self = Lease { ticks: self.ticks, now: self.now, ..Lease::default() };
    }

    pub(crate) fn round_begins(&mut self, round: u64) {
        if self.suspended {
            return;
        }
        if self.sent.len() == MAX_ROUNDS {
            self.sent.pop_front();
        }
        self.sent.push_back((round, self.now));
    }
}

impl<S: Storage> Raft<S> {
    /// A quorum has answered every round up to this one.
    ///
    /// You will need `reads.lease`: `sent` says when a round was sent. How long is the lease, if the election
    /// timeout is `Config::election_tick`, a tick may come up to one tick after the clock, and a clock may run
    /// a quarter faster than ours?
    pub(crate) fn renew_lease(&mut self, confirmed: u64) {
        // BEGIN SOLUTION 2X.lease
        // A follower counts whole ticks, and its next one may come at once: one less.
        let length = (self.config.election_tick - 1) * 4 / 5;
        let lease = &mut self.reads.lease;
        while let Some(&(round, sent_at)) = lease.sent.front()
            && round <= confirmed
        {
            lease.sent.pop_front();
            // From when it was sent, not from when it was answered.
            lease.until = lease.until.max(sent_at + length);
        }
        // END SOLUTION
    }

    /// Whether a read may be served without asking anybody.
    ///
    /// You will need `reads.lease`, `log.matches` and `log.applied`.
    pub(crate) fn lease_holds(&self) -> Result<bool> {
        // BEGIN SOLUTION 2X.lease
        let lease = &self.reads.lease;
        if lease.suspended || lease.now >= lease.until {
            return Ok(false);
        }
        self.log.matches(self.log.applied, self.term)
        // END SOLUTION
    }

    /// *Seam.* What time it is, in ticks since the start of this node, fractions dropped. Only a lease looks at
    /// it. A driver whose ticks may be late (the machine slept, the loop was stuck) says so before a read;
    /// else a tick is a tick.
    pub fn set_now(&mut self, now: u64) {
        let lease = &mut self.reads.lease;
        lease.now = lease.now.max(now);
    }

    /// *Seam.* Ends the lease, and begins no other: before MsgTimeoutNow is sent, while the group sleeps, while
    /// a split is committed and not applied. Reads ask a quorum again. Lasts until
    /// [`resume_lease`](Self::resume_lease), or until this leadership ends.
    pub fn suspend_lease(&mut self) {
        let lease = &mut self.reads.lease;
        lease.suspended = true;
        lease.until = 0;
        lease.sent.clear();
    }

    /// *Seam.* Leases may be won again, from rounds that begin now. After a MsgTimeoutNow that may still be
    /// under way, do not.
    pub fn resume_lease(&mut self) {
        self.reads.lease.suspended = false;
    }
}
