//! What `skip_bcast_commit` leaves out: a message to each follower and its answer, for each entry that comes alone.

use std::collections::VecDeque;
use std::mem::take;

use bytes::Bytes;
use proto::eraftpb::{Message, MessageType};
use raftcore::{Config, MemStorage, RawNode};

/// Three nodes in memory, whose disks are instant.
struct Group {
    nodes: Vec<RawNode<MemStorage>>,
    network: VecDeque<Message>,
    appends: usize,
}

impl Group {
    /// n1 leads.
    fn new(skip_bcast_commit: bool) -> Self {
        let node = |id| {
            let config = Config { skip_bcast_commit, ..Config::new(id) };
            RawNode::new(config, MemStorage::new(&[1, 2, 3])).unwrap()
        };
        let nodes = (1..=3).map(node).collect();
        let mut group = Group { nodes, network: VecDeque::new(), appends: 0 };
        group.nodes[0].campaign().unwrap();
        group.settle();
        group
    }

    /// An entry that comes alone; how many appends it takes, and how far each node knows it to be committed.
    fn entry(&mut self, announced: bool) -> (usize, Vec<u64>) {
        self.appends = 0;
        self.nodes[0].propose(Bytes::new(), "entry".into()).unwrap();
        if announced {
            self.nodes[0].announce_last();
        }
        self.settle();
        (self.appends, self.nodes.iter().map(|node| node.raft().log.committed()).collect())
    }

    fn settle(&mut self) {
        loop {
            for node in &mut self.nodes {
                while node.has_ready() {
                    let mut ready = node.ready().unwrap();
                    self.network.extend(take(&mut ready.messages));
                    node.mut_store().append(take(&mut ready.entries)).unwrap();
                    let after = take(&mut ready.persisted_messages);
                    node.advance(ready).unwrap();
                    self.network.extend(after);
                }
            }
            let Some(message) = self.network.pop_front() else { return };
            self.appends += usize::from(message.msg_type() == MessageType::MsgAppend);
            self.nodes[usize::try_from(message.to).unwrap() - 1].step(message).unwrap();
        }
    }
}

#[test]
fn a_commit_is_told_at_once_or_with_what_comes_next() {
    let mut loud = Group::new(false);
    assert_eq!(loud.entry(false), (4, vec![2, 2, 2]), "the entry, and the news of its commit");

    let mut quiet = Group::new(true);
    assert_eq!(
        quiet.entry(false),
        (2, vec![2, 1, 1]),
        "the entry, with the news of the one before"
    );
    assert_eq!(quiet.entry(false), (2, vec![3, 2, 2]), "again");
    // A heartbeat tells it, too: nobody waits for long.
    quiet.nodes[0].tick().unwrap();
    quiet.settle();
    assert!(quiet.nodes.iter().all(|node| node.raft().log.committed() == 3), "after a heartbeat");
}

#[test]
fn what_is_announced_is_told_at_once() {
    let mut group = Group::new(true);
    assert_eq!(group.entry(true), (4, vec![2, 2, 2]), "an announced entry");
    assert_eq!(group.entry(false), (2, vec![3, 2, 2]), "the next one is not");
}
