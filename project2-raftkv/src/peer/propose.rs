//! A client writes: into the leader's log, or back with a reason.

use proto::metapb::Region;
use proto::raft_cmdpb::RaftRequestHeader;

use super::{Micros, Peer, Proposal, Turned, Write, WriteCallback};
use crate::error::Refusal;
use crate::node::RaftNode;
use crate::{cmd, region};

/// How many writes may wait for their fate on one peer. More are held at the edge.
const MAX_PROPOSALS: usize = 16 << 10;

impl<N: RaftNode> Peer<N> {
    /// Takes a write: its entry is in this leader's log, and its callback will be completed when its fate is known. Or
    /// gives it back: nothing was appended.
    ///
    /// You will need `check`, [`cmd::fit`] (which keys are in the region?), [`cmd::encode`], `node.propose` and
    /// `self.proposals`. Under which index and term must the callback wait?
    ///
    /// # Errors
    /// Every refusal here is definite.
    pub fn propose(&mut self, write: Write) -> Result<(), Box<Turned<Write>>> {
        // BEGIN SOLUTION 2B.propose
        let mut write = write;
        let header = write.request.header.unwrap_or_default();
        let prepared = self
            .check(&header)
            .and_then(|region| cmd::fit(&mut write.request, &region))
            .and_then(|()| cmd::encode(&write.request));
        let data = match prepared {
            Ok(data) => data,
            Err(why) => return Turned::back(why, write),
        };
        if self.proposals.len() >= MAX_PROPOSALS {
            let why = Refusal::Later("too many writes wait for a majority".into());
            return Turned::back(why, write);
        }
        if let Err(error) = self.node.propose(data.into()) {
            // Too much waits uncommitted, or it is no leader any more: both pass.
            return Turned::back(Refusal::Later(error.to_string()), write);
        }
        let status = self.node.status();
        let proposal = Proposal { callback: write.callback, deadline: write.deadline };
        // The index alone would not do: another leader's entry may take it.
        self.proposals.insert((status.last_index, status.term), proposal);
        Ok(())
        // END SOLUTION
    }

    /// Somebody has put an entry into this leader's log by another door of its node (a change of members): its proposer
    /// waits for the entry's fate as for any other's.
    pub fn expect(&mut self, (index, term): (u64, u64), callback: WriteCallback, deadline: Micros) {
        self.proposals.insert((index, term), Proposal { callback, deadline });
    }

    /// May this peer serve a request with this header? Gives the region that is meant.
    ///
    /// In this order: is the region here (its tail counts, see [`region::tail_of`]), is this the peer that is meant, does
    /// it lead, is its term the one that is asked for (0: any), and does the client know the region as it is?
    ///
    /// # Errors
    /// `RegionNotFound`, `MismatchPeerId`, `NotLeader`, `StaleCommand`, `EpochNotMatch`: all definite.
    pub fn check(&self, header: &RaftRequestHeader) -> Result<Region, Refusal> {
        // BEGIN SOLUTION 2B.check
        let here = self.region();
        let region = if header.region_id == here.id {
            here.clone()
        } else if header.region_id == region::TAIL_REGION && here.id == region::FIRST_REGION {
            region::tail_of(here)
        } else {
            return Err(region::region_not_found(header.region_id));
        };
        if let Some(peer) = &header.peer
            && peer.store_id == self.me.store_id
            && peer.id != self.me.id
        {
            return Err(region::mismatched_peer(peer.id, self.me.id));
        }
        let status = self.node.status();
        if !status.is_leader() {
            return Err(region::not_leader(region.id, self.certain_leader()));
        }
        if header.term != 0 && header.term != status.term {
            return Err(region::stale_command("the leadership has changed since the read"));
        }
        region::check_epoch(&region, header.region_epoch.as_ref())?;
        Ok(region)
        // END SOLUTION
    }
}
