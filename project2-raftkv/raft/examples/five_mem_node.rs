//! Five nodes in memory, and 100 proposals: what they say to each other, in the compact notation.
//!
//! `cargo run -p raftcore --example five_mem_node`
//!
//! The network is a queue, and the disk is instant. Both halves of the Ready contract are there all the same:
//! what leaves at once, and what leaves when it is stored.

use std::collections::{BTreeMap, VecDeque};
use std::mem::take;

use bytes::Bytes;
use proto::eraftpb::Message;
use raftcore::{Compact, Config, MemStorage, RawNode, Result, Role};

const NODES: [u64; 5] = [1, 2, 3, 4, 5];
const PROPOSALS: usize = 100;
/// Proposals that come together.
const AT_A_TIME: usize = 20;

type Node = RawNode<MemStorage>;

#[derive(Default)]
struct Group {
    nodes: BTreeMap<u64, Node>,
    network: VecDeque<Message>,
    /// What each node has applied.
    applied: BTreeMap<u64, Vec<Bytes>>,
}

fn main() -> Result<()> {
    let mut group = Group::default();
    for id in NODES {
        group.nodes.insert(id, Node::new(Config::new(id), MemStorage::new(&NODES))?);
    }
    println!("-- nobody leads; time passes");
    let leader = loop {
        if let Some((&id, _)) = group.nodes.iter().find(|(_, n)| n.raft().role() == Role::Leader) {
            break id;
        }
        for node in group.nodes.values_mut() {
            node.tick()?;
        }
        group.settle()?;
    };

    println!("-- n{leader} leads; {PROPOSALS} proposals, {AT_A_TIME} at a time");
    let proposals: Vec<Bytes> = (1..=PROPOSALS).map(|n| format!("set x = {n}").into()).collect();
    for batch in proposals.chunks(AT_A_TIME) {
        for data in batch {
            group.node(leader).propose(Bytes::new(), data.clone())?;
        }
        group.settle()?;
    }

    for id in NODES {
        let applied = group.applied.get(&id).map_or(&[][..], |applied| applied);
        assert!(applied == proposals, "n{id} has applied something else");
    }
    println!("-- all {} nodes have applied all {PROPOSALS}, in one order", NODES.len());
    Ok(())
}

impl Group {
    fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&id).expect("messages go to nodes that are there")
    }

    /// Handles Readys and delivers messages until nothing is left to do.
    fn settle(&mut self) -> Result<()> {
        loop {
            for id in NODES {
                while self.node(id).has_ready() {
                    self.handle_ready(id)?;
                }
            }
            let Some(message) = self.network.pop_front() else { return Ok(()) };
            println!("{}", Compact(&message));
            self.node(message.to).step(message)?;
        }
    }

    fn handle_ready(&mut self, id: u64) -> Result<()> {
        let node = self.node(id);
        let mut ready = node.ready()?;
        let at_once = take(&mut ready.messages);
        node.mut_store().append(take(&mut ready.entries))?;
        if let Some(hard_state) = ready.hard_state {
            node.mut_store().set_hard_state(hard_state);
        }
        // The disk has it.
        let when_durable = take(&mut ready.persisted_messages);
        let committed = take(&mut ready.committed_entries);
        node.advance(ready)?;

        self.network.extend(at_once);
        self.network.extend(when_durable);
        let commands =
            committed.into_iter().map(|entry| entry.data).filter(|data| !data.is_empty());
        self.applied.entry(id).or_default().extend(commands);
        Ok(())
    }
}
