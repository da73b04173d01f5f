//! A request finds its peer, or its error.
//!
//! | condition | error | definite, and the client then |
//! |---|---|---|
//! | the region is not here | `RegionNotFound` | yes; asks PD |
//! | another peer of it is here | `MismatchPeerId` | yes; asks PD |
//! | the peer does not lead | `NotLeader`, with a hint only if it is certain | yes; goes there |
//! | the leadership has changed since its read | `StaleCommand` | yes; begins anew |
//! | the range has changed | `EpochNotMatch`, with the regions that are there now | yes; asks PD |
//! | a key is outside | `KeyNotInRegion` | yes; asks PD |
//!
//! All of that is asked again when an entry is applied, as far as it can have changed by then: the range.

use proto::metapb::Peer as Member;
use proto::raft_cmdpb::{
    AdminCmdType, AdminResponse, RaftCmdRequest, RaftCmdResponse, RaftRequestHeader,
    RaftResponseHeader, TransferLeaderResponse,
};
use raftkv::peer::{Answer, Micros, Read, Write};
use raftkv::store::Request;
use raftkv::store::desk::{self, Held};
use raftkv::{Refusal, Result, cmd, region};

use super::MultiStore;
use crate::membership::{self, MembershipNode};

/// What a proposal comes to, if it is not taken.
type Back = Option<(Refusal, Held)>;

impl<N: MembershipNode> MultiStore<N> {
    /// A client asks. Its answer is an effect of this or a later round, at the first tick after `deadline` at the latest.
    ///
    /// # Errors
    /// The store is broken.
    pub fn request(&mut self, request: Request, now: Micros, deadline: Micros) -> Result<()> {
        self.set_now(now);
        let (region, held) = match request {
            Request::Write(request, callback) => {
                let region = request.header.unwrap_or_default().region_id;
                (region, Held::Write(Write { request, callback, deadline }))
            }
            Request::Read(header, callback) => {
                (header.region_id, Held::Read(Read { header, callback, deadline }))
            }
            // Ids of stores are given once, to one disk, by the scheduler: nobody needs to be met.
            Request::Meet { callback, .. } => {
                self.outbox_met(callback);
                return Ok(());
            }
        };
        self.wake(region);
        self.busy.insert(region);
        let until = deadline.min(self.now.saturating_add(self.config.hold));
        let Some((why, held)) = self.serve(region, held) else { return Ok(()) };
        if desk::may_pass(&why)
            && until > self.now
            && let Some(replica) = self.replicas.get_mut(&region)
        {
            if let Err(held) = replica.desk.hold(until, held) {
                self.refuse(why, held);
            }
        } else {
            self.refuse(why, held);
        }
        Ok(())
    }

    fn outbox_met(&mut self, callback: raftkv::callback::Callback<bool>) {
        let _ = self;
        callback.complete(true);
    }

    /// Hands a request to its peer, or gives it back.
    fn serve(&mut self, region: u64, request: Held) -> Back {
        let Some(replica) = self.replicas.get_mut(&region) else {
            return Some((region::region_not_found(region), request));
        };
        match request {
            Held::Write(write) => {
                let back = self.propose_aloud(write);
                back.map(|(why, write)| (why, Held::Write(write)))
            }
            Held::Read(read) => {
                let turned = replica.peer.read(read);
                turned.err().map(|turned| (turned.why, Held::Read(turned.request)))
            }
        }
    }

    /// Proposes. That an admin command is committed, everybody is to hear at once: whoever knows of it late is late in a new
    /// region, or asks one that is no member any more.
    fn propose_aloud(&mut self, write: Write) -> Option<(Refusal, Write)> {
        let header = write.request.header.unwrap_or_default();
        let is_admin = write.request.admin_request.is_some();
        let back = self.propose(write);
        if is_admin
            && back.is_none()
            && let Some(replica) = self.replicas.get_mut(&header.region_id)
        {
            replica.peer.node_mut().announce_last();
        }
        back
    }

    /// A write, or an admin command, to the peer of its region; `None` if it was taken.
    ///
    /// You will need `Peer::propose`, which asks most of what there is to ask; the admin commands' `check`, against the region
    /// as it is; `self.change_members` and `self.hand_over` for the two kinds that are no entry like others. A request
    /// that names no epoch was made by somebody without a map. It is served, but it must not be applied after a split
    /// that comes before it in the log: what must stand in its header?
    fn propose(&mut self, write: Write) -> Option<(Refusal, Write)> {
        // BEGIN SOLUTION 3B.propose
        let mut write = write;
        let header = write.request.header.get_or_insert_default();
        let Some(replica) = self.replicas.get_mut(&header.region_id) else {
            return Some((region::region_not_found(header.region_id), write));
        };
        if header.region_epoch.is_none() {
            // Bound to the range that it was checked against.
            header.region_epoch = replica.region().region_epoch;
        }
        let header = *header;
        if let Some(admin) = &write.request.admin_request {
            let kind = admin.cmd_type();
            let checked = replica
                .peer
                .check(&header)
                .and_then(|region| replica.apply.admin().check_at(&region, &header, admin));
            if let Err(why) = checked {
                return Some((why, write));
            }
            match kind {
                AdminCmdType::ChangePeer => return self.change_members(header, write),
                AdminCmdType::TransferLeader => return self.hand_over(header, write),
                _ => {}
            }
        }
        let turned = replica.peer.propose(write);
        turned.err().map(|turned| (turned.why, turned.request))
        // END SOLUTION
    }

    /// Leadership goes over to somebody else: nothing for the log, so the answer says only that it was begun.
    ///
    /// Not to somebody who has been silent for an election timeout: a leader that hands over takes no proposals, so to wait for
    /// the dead would stop the region, again with each order of a scheduler that has not missed the store yet.
    fn hand_over(&mut self, header: RaftRequestHeader, write: Write) -> Option<(Refusal, Write)> {
        let replica = self.replicas.get_mut(&header.region_id)?;
        let admin = write.request.admin_request.clone().unwrap_or_default();
        let transfer = admin.transfer_leader.unwrap_or_default();
        let first = transfer.peer.into_iter().chain(transfer.peers).map(|peer: Member| peer.id);
        let mut why = Refusal::Invalid("a transfer names a peer".into());
        let patience = self.config.raft.election_tick * self.config.tick;
        for to in first {
            let heard = replica.heard.get(&to).filter(|_| replica.leads());
            let silent = heard.map_or(0, |heard| self.now.saturating_sub(*heard));
            if silent > patience {
                let silent = silent / 1_000;
                why = Refusal::Later(format!("peer {to} was not heard for {silent} ms"));
                continue;
            }
            match replica.peer.node_mut().transfer_leader(to) {
                Ok(()) => {
                    let term = replica.peer.status().term;
                    let response = AdminResponse {
                        cmd_type: AdminCmdType::TransferLeader.into(),
                        transfer_leader: Some(TransferLeaderResponse {}),
                        ..Default::default()
                    };
                    let answer = RaftCmdResponse {
                        header: Some(RaftResponseHeader { error: None, current_term: term }),
                        admin_response: Some(response),
                        ..Default::default()
                    };
                    self.round.answers.push(Answer::Write(write.callback, Ok(Box::new(answer))));
                    return None;
                }
                Err(error) => why = refusal_of(error),
            }
        }
        Some((why, write))
    }

    /// Tries again what a region's desk holds, oldest first, until one is turned away again.
    pub(super) fn serve_the_held(&mut self, region: u64) {
        loop {
            let held = self.replicas.get_mut(&region).and_then(|replica| replica.desk.pop());
            let Some((until, request)) = held else { return };
            let Some((why, request)) = self.serve(region, request) else { continue };
            if desk::may_pass(&why)
                && until > self.now
                && let Some(replica) = self.replicas.get_mut(&region)
            {
                replica.desk.back(until, request);
                return;
            }
            self.refuse(why, request);
        }
    }

    /// Refuses a request, and tells what the client needs to know.
    pub(super) fn refuse(&mut self, why: Refusal, request: Held) {
        let answer = match request {
            Held::Write(write) => {
                let region = write.request.header.unwrap_or_default().region_id;
                Answer::Write(write.callback, Err(desk::at_last(why, region)))
            }
            Held::Read(read) => {
                Answer::NoRead(read.callback, desk::at_last(why, read.header.region_id))
            }
        };
        self.round.answers.push(answer);
    }

    /// Who has an old map learns of the neighbour, too: after a split it is the part that is missing.
    pub(super) fn complete(&self, answer: &mut Answer) {
        let (Answer::Write(_, Err(refusal)) | Answer::NoRead(_, refusal)) = answer else { return };
        let Refusal::Region(error) = refusal else { return };
        let Some(mismatch) = &mut error.epoch_not_match else { return };
        let next = mismatch.current_regions.last().and_then(|last| self.map.after(last)).cloned();
        mismatch.current_regions.extend(next);
    }

    /// A command of this store's own: what becomes of it, nobody waits for.
    pub(super) fn command(
        &mut self,
        header: RaftRequestHeader,
        admin: proto::raft_cmdpb::AdminRequest,
    ) {
        let (callback, _) = raftkv::callback::callback();
        let request: Box<RaftCmdRequest> = cmd::admin_request(header, admin);
        let deadline = self.now.saturating_add(10_000_000);
        let kind = request.admin_request.as_ref().map(proto::raft_cmdpb::AdminRequest::cmd_type);
        if let Some((why, _)) = self.propose_aloud(Write { request, callback, deadline }) {
            tracing::debug!(region = header.region_id, ?kind, %why, "not now");
        }
        self.busy.insert(header.region_id);
    }
}

/// What a client is told of a change that its leader's node does not begin.
pub(super) fn refusal_of(error: membership::Error) -> Refusal {
    match error {
        membership::Error::BadChange(why) => Refusal::Invalid(why.into()),
        error => Refusal::Later(error.to_string()),
    }
}
