//! A `Raft` that is driven by hand: what the tests of stages 2AA and 2AB ask, before there is a `RawNode`.
//!
//! It does as little as is safe: every message waits for the disk, each Ready is taken once and for all, and the
//! cursors move at once. What a `RawNode` does better is stage 2AC's.

use std::collections::BTreeMap;
use std::mem;

use bytes::Bytes;
use prost::Message as _;
use proto::eraftpb::{EntryType, HardState, Message};
use raft_suite::protocol::{Effect, Input, Level, ReadyOut};
use raftcore::{CampaignKind, Config, Error, MemStorage, Raft};

use super::subject::{encode, log, status};

/// A node without Readys.
pub struct ByHand {
    raft: Raft<MemStorage>,
    /// `Election`: the log is left alone.
    level: Level,
    /// What was taken last: its number, the hard state in it, and the last entry to apply.
    number: u64,
    hard_state: HardState,
    handed_out: u64,
    /// The last entry of each write that is under way.
    writes: BTreeMap<u64, (u64, u64)>,
}

impl ByHand {
    pub fn new(config: Config, store: MemStorage, level: Level) -> Result<Self, Error> {
        let raft = Raft::new(config, store)?;
        let (hard_state, handed_out) = (raft.hard_state(), raft.log.applied());
        Ok(ByHand { raft, level, number: 0, hard_state, handed_out, writes: BTreeMap::new() })
    }

    pub fn check_invariants(&self) {
        self.raft.check_invariants();
    }

    pub fn handle(&mut self, input: Input) -> Effect {
        let raft = &mut self.raft;
        let result = match input {
            Input::Tick => raft.tick(),
            Input::Step(bytes) => match Message::decode(Bytes::from(bytes.into_vec())) {
                Ok(message) => raft.step(message),
                Err(error) => return Effect::Done(Err(error.to_string())),
            },
            Input::Propose(data) => {
                let data = data.into_vec().into();
                raft.propose_entry(EntryType::EntryNormal, Bytes::new(), data)
            }
            Input::Campaign => raft.hup(CampaignKind::Real),
            Input::ReadIndex(context) => raft.read_index(context.into_vec().into()),
            Input::ReportUnreachable(id) => {
                raft.report_unreachable(id);
                Ok(())
            }
            Input::Applied(index) => {
                raft.log.applied_to(index);
                Ok(())
            }
            Input::Persisted(number) => self.persisted(number),
            Input::Ready => return self.ready(),
            // It was stored when it was taken.
            Input::Advance => Ok(()),
            Input::Status => return status(raft),
            Input::Log(low, high) => return log(raft, low, high),
            Input::Start(..)
            | Input::TransferLeader(_)
            | Input::ProposeConfChange(_)
            | Input::ApplyConfChange(_)
            | Input::ProposeConfChangeV2(_)
            | Input::ApplyConfChangeV2(_)
            | Input::Compact(_)
            | Input::MakeSnapshot(..)
            | Input::ReportSnapshot(..) => {
                return Effect::Done(Err("that is not asked before stage 2C".into()));
            }
        };
        if self.level == Level::Log {
            self.raft.settle();
        }
        Effect::Done(result.map_err(|error| error.to_string()))
    }

    fn persisted(&mut self, number: u64) -> Result<(), Error> {
        let later = self.writes.split_off(&(number + 1));
        for (index, term) in mem::replace(&mut self.writes, later).into_values() {
            self.raft.on_persist_entries(index, term)?;
        }
        Ok(())
    }

    fn ready(&mut self) -> Effect {
        let raft = &mut self.raft;
        if self.level == Level::Log {
            raft.send_appends().expect("a storage in memory does not fail");
        }
        let (at_once, mut messages) = raft.take_messages();
        messages.extend(at_once);
        let hard_state = raft.hard_state();
        let entries = raft.log.unstable_entries().to_vec();
        let committed = raft.log.next_entries(self.handed_out, u64::MAX);
        let committed = committed.expect("a storage in memory does not fail");
        let reads = raft.take_read_states();
        let nothing = messages.is_empty() && entries.is_empty() && committed.is_empty();
        if nothing && reads.is_empty() && hard_state == self.hard_state {
            return Effect::Idle;
        }
        self.number += 1;
        let out = ReadyOut {
            number: self.number,
            must_sync: true,
            hard_state: (hard_state != self.hard_state).then(|| encode(&hard_state)),
            entries: entries.iter().map(encode).collect(),
            persisted_messages: messages.iter().map(encode).collect(),
            committed: committed.iter().map(encode).collect(),
            read_states: reads
                .iter()
                .map(|state| (state.index, state.request_ctx.to_vec().into()))
                .collect(),
            ..ReadyOut::default()
        };
        self.hard_state = hard_state;
        raft.release(raft.own_size(&committed));
        if let Some(last) = committed.last() {
            self.handed_out = last.index;
        }
        if let Some((index, term)) = entries.last().map(|entry| (entry.index, entry.term)) {
            raft.log.mut_store().append(entries).expect("they follow the log");
            raft.log.stable_to(index, term);
            self.writes.insert(self.number, (index, term));
        }
        Effect::Ready(Box::new(out))
    }
}
