//! CheckQuorum (thesis 6.2) and the vote that it allows to refuse (thesis 4.2.3). Extra credit, off by
//! default.
//!
//! A leader that is cut off does not notice: nobody contradicts it. With CheckQuorum it looks, once an
//! election timeout, whether a quorum has answered since it last looked, and steps down if not. So clients
//! look elsewhere, and, more important, everybody may rely on it: a node that has heard from its leader within
//! the minimum election timeout knows that there *is* a leader, and does not even listen to others who want to
//! be. That keeps removed nodes from disturbing the group, and it is what a lease stands on.

use std::collections::BTreeSet;

use proto::eraftpb::Message;

use crate::raft::Raft;
use crate::storage::Storage;
use crate::wire::{CAMPAIGN_TRANSFER, NOBODY};

impl<S: Storage> Raft<S> {
    /// Whether a quorum has answered this leader since it last looked; then it looks anew.
    ///
    /// You will need `recent_active` of each [`Progress`](crate::Progress), and
    /// [`Quorum::active`](crate::Quorum::active). A leader always hears itself.
    pub(crate) fn hears_a_quorum(&mut self) -> bool {
        // BEGIN SOLUTION 2X.check_quorum
        let mut active: BTreeSet<u64> = BTreeSet::new();
        for (&id, progress) in &mut self.progress {
            let heard = std::mem::replace(&mut progress.recent_active, false);
            if heard || id == self.id {
                active.insert(id);
            }
        }
        self.quorum.active(&active)
        // END SOLUTION
    }

    /// Whether a request to vote is not even heard, for the leader's sake.
    ///
    /// You will need `leader_id`, `election_elapsed` and `Config::election_tick`: what is the *minimum*
    /// timeout? A request that the leader itself has asked for is marked with [`CAMPAIGN_TRANSFER`]. In a
    /// group with leases, a node that has just restarted does not know what it promised
    /// (`reads.may_have_promised`).
    pub(crate) fn refuses_to_hear(&self, m: &Message) -> bool {
        // BEGIN SOLUTION 2X.check_quorum
        if m.term <= self.term || m.context == CAMPAIGN_TRANSFER {
            return false;
        }
        let has_leader =
            self.leader_id != NOBODY && self.election_elapsed < self.config.election_tick;
        has_leader || self.reads.may_have_promised(&self.config)
        // END SOLUTION
    }
}
