//! A message arrives: the term rules, and who handles what (paper, figure 2: Rules for Servers).
//!
//! Every message carries its sender's term. That single number keeps the past out: who is ahead is followed,
//! who is behind is told so, and only what is of this very term is acted upon. All the chapters behind this
//! door therefore deal with messages of the node's own term (but for PreVote, which is about a term that does
//! not exist yet).

use std::cmp::Ordering;

use proto::eraftpb::{Message, MessageType};

use crate::election::CampaignKind;
use crate::error::{Error, Result};
use crate::raft::{Raft, Role};
use crate::read::ReadState;
use crate::storage::Storage;
use crate::wire::{NOBODY, message};

impl<S: Storage> Raft<S> {
    /// Takes a message from another node.
    ///
    /// # Errors
    /// The message is refused, and has changed nothing; or the storage failed
    /// ([`Error::Storage`]). Nothing that a message may hold makes this panic.
    pub fn step(&mut self, m: Message) -> Result<()> {
        use MessageType as T;
        let kind = self.check_message(&m)?;
        let asks_for_vote = matches!(kind, T::MsgRequestVote | T::MsgRequestPreVote);
        if asks_for_vote && self.config.check_quorum && self.refuses_to_hear(&m) {
            return Ok(());
        }
        if !self.meet_term(kind, &m) {
            return Ok(());
        }
        match kind {
            T::MsgRequestVote => self.handle_request_vote(&m),
            T::MsgRequestPreVote => self.handle_request_pre_vote(&m),
            T::MsgRequestVoteResponse => self.handle_vote_response(&m),
            T::MsgRequestPreVoteResponse => self.handle_pre_vote_response(&m),

            // A leader speaks.
            T::MsgAppend | T::MsgHeartbeat | T::MsgSnapshot => {
                if self.follow(m.from) {
                    match kind {
                        T::MsgAppend => self.handle_append_entries(m)?,
                        T::MsgHeartbeat => self.handle_heartbeat(m),
                        _ => self.handle_snapshot(m)?,
                    }
                }
            }

            // A follower answers. If this node leads no more, nobody waits for it.
            T::MsgAppendResponse if self.role == Role::Leader => self.handle_append_response(&m)?,
            T::MsgHeartbeatResponse if self.role == Role::Leader => {
                self.handle_heartbeat_response(&m);
            }
            T::MsgAppendResponse | T::MsgHeartbeatResponse => {}

            // A follower speaks for a client.
            T::MsgPropose => self.handle_forwarded_proposal(m)?,
            T::MsgReadIndex => self.handle_forwarded_read(m)?,
            // The leader has confirmed a read that this node passed on.
            T::MsgReadIndexResp => self.handle_read_answer(m),

            // The leader hands over: run at once. Only if it leads this very term, see `meet_term`.
            T::MsgTimeoutNow => self.hup(CampaignKind::Transfer)?,
            // Who may be handed what is decided where members are (project 3).
            T::MsgTransferLeader => return Err(Error::Malformed("nobody here hands over")),

            // Local kinds do not pass the door.
            T::MsgHup | T::MsgBeat | T::MsgUnreachable | T::MsgSnapStatus | T::MsgCheckQuorum => {
                return Err(Error::LocalMessage(kind));
            }
        }
        Ok(())
    }

    /// The term rules. Returns whether the message is to be acted upon: only one of this node's term is,
    /// after this node has caught up, if it was behind.
    ///
    /// - `m.term` is 0: a forwarded proposal or read. It comes from a client, and has no term.
    /// - Larger: follow it, and if the sender leads that term, follow the sender. Two kinds are about a term
    ///   that nobody is in yet, and change nothing: a request to pre-vote, and a granted one's answer.
    /// - Smaller: the sender is behind. Answer the requests among these so that it learns of this term: a
    ///   heartbeat with a MsgHeartbeatResponse, an append or a snapshot with a MsgAppendResponse, and a vote
    ///   request with a refusal; ignore the rest.
    ///
    /// You will need `become_follower`, `send` and [`message`].
    pub(crate) fn meet_term(&mut self, kind: MessageType, m: &Message) -> bool {
        // BEGIN SOLUTION 2AA.meet_term
        use MessageType as T;
        if m.term == 0 {
            return true;
        }
        match m.term.cmp(&self.term) {
            Ordering::Equal => true,
            // 5.1: whoever finds out that it is behind updates itself, and leads or runs no more.
            Ordering::Greater => {
                match kind {
                    T::MsgRequestPreVote => {}
                    T::MsgRequestPreVoteResponse if !m.reject => {}
                    T::MsgAppend | T::MsgHeartbeat | T::MsgSnapshot => {
                        self.become_follower(m.term, m.from);
                    }
                    _ => self.become_follower(m.term, NOBODY),
                }
                true
            }
            // 5.1: a request of the past is refused. The answer carries our term. (With PreVote and
            // CheckQuorum, where nobody raises terms by force, a node that is ahead would be stuck without
            // it: thesis 9.6.)
            Ordering::Less => {
                let refuse = |kind| Message { reject: true, ..message(kind, m.from) };
                match kind {
                    T::MsgHeartbeat => self.send(message(T::MsgHeartbeatResponse, m.from)),
                    T::MsgAppend | T::MsgSnapshot => {
                        self.send(message(T::MsgAppendResponse, m.from));
                    }
                    T::MsgRequestVote => self.send(refuse(T::MsgRequestVoteResponse)),
                    T::MsgRequestPreVote => self.send(refuse(T::MsgRequestPreVoteResponse)),
                    _ => {}
                }
                false
            }
        }
        // END SOLUTION
    }

    /// A read that this node passed on may be served when `m.index` is applied here.
    fn handle_read_answer(&mut self, m: Message) {
        if m.from == self.leader_id {
            let context = m.entries.into_iter().next().map(|entry| entry.data).unwrap_or_default();
            self.read_states.push(ReadState { index: m.index, request_ctx: context });
        }
    }
}
