//! The consensus core beside raft-rs, on the same work: `cargo bench -p oracle`.
//!
//! Three nodes in memory. A leader is given so many proposals of 128 bytes, and then Readys are handled and
//! messages delivered until all three have applied all of them. Both sides have the same driver, written twice:
//! messages are handed over as values, disks are instant, logs are compacted now and then. raft-rs has
//! `batch_append` on, which is off by default and makes it up to twice as fast with many proposals.
//!
//! Ours should take at most two thirds of raft-rs's time a proposal.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Bytes of a proposal.
const DATA: [u8; 128] = [7; 128];
/// Batches between two compactions.
const COMPACT_EVERY: usize = 64;

/// Ours.
mod ours {
    use std::collections::VecDeque;
    use std::mem::take;

    use proto::eraftpb::Message;
    use raftcore::{Config, MemStorage, RawNode};

    use super::{COMPACT_EVERY, DATA};

    pub struct Group {
        nodes: Vec<RawNode<MemStorage>>,
        network: VecDeque<Message>,
        applied: [u64; 3],
        batches: usize,
    }

    impl Group {
        pub fn new() -> Self {
            let node = |id| RawNode::new(Config::new(id), MemStorage::new(&[1, 2, 3]));
            let nodes = (1..=3).map(|id| node(id).expect("it starts")).collect();
            let mut group = Group { nodes, network: VecDeque::new(), applied: [0; 3], batches: 0 };
            group.nodes[0].campaign().expect("it campaigns");
            group.settle();
            group
        }

        pub fn replicate(&mut self, batch: usize) {
            let due = self.applied.map(|applied| applied + batch as u64);
            for _ in 0..batch {
                let data = DATA.to_vec().into();
                self.nodes[0].propose(bytes::Bytes::new(), data).expect("it leads");
            }
            self.settle();
            assert_eq!(self.applied, due);
            self.batches += 1;
            if self.batches.is_multiple_of(COMPACT_EVERY) {
                for (node, applied) in self.nodes.iter_mut().zip(self.applied) {
                    node.mut_store().compact(applied).expect("it is applied");
                }
            }
        }

        fn settle(&mut self) {
            loop {
                for i in 0..self.nodes.len() {
                    while self.nodes[i].has_ready() {
                        self.handle_ready(i);
                    }
                }
                if self.network.is_empty() {
                    return;
                }
                while let Some(m) = self.network.pop_front() {
                    let to = usize::try_from(m.to).expect("three nodes");
                    self.nodes[to - 1].step(m).expect("it is well-formed");
                }
            }
        }

        fn handle_ready(&mut self, i: usize) {
            let node = &mut self.nodes[i];
            let mut ready = node.ready().expect("memory does not fail");
            self.network.extend(take(&mut ready.messages));
            node.mut_store().append(take(&mut ready.entries)).expect("they follow");
            if let Some(hard_state) = ready.hard_state {
                node.mut_store().set_hard_state(hard_state);
            }
            if let Some(last) = ready.committed_entries.last() {
                self.applied[i] = last.index;
            }
            let after = take(&mut ready.persisted_messages);
            node.advance(ready).expect("memory does not fail");
            self.network.extend(after);
        }
    }
}

/// raft-rs.
mod theirs {
    use std::collections::VecDeque;

    use raft::eraftpb::{ConfState, Message};
    use raft::storage::MemStorage;
    use raft::{Config, RawNode};

    use super::{COMPACT_EVERY, DATA};

    pub struct Group {
        nodes: Vec<RawNode<MemStorage>>,
        network: VecDeque<Message>,
        applied: [u64; 3],
        batches: usize,
    }

    impl Group {
        pub fn new() -> Self {
            let logger = slog::Logger::root(slog::Discard, slog::o!());
            let node = |id| {
                let members = ConfState::from((vec![1, 2, 3], vec![]));
                let storage = MemStorage::new_with_conf_state(members);
                let config = Config {
                    id,
                    election_tick: 10,
                    heartbeat_tick: 1,
                    max_size_per_msg: 1 << 20,
                    ..Config::default()
                };
                let mut node = RawNode::new(&config, storage, &logger).expect("it starts");
                node.set_batch_append(true);
                node
            };
            let nodes = (1..=3).map(node).collect();
            let mut group = Group { nodes, network: VecDeque::new(), applied: [0; 3], batches: 0 };
            group.nodes[0].campaign().expect("it campaigns");
            group.settle();
            group
        }

        pub fn replicate(&mut self, batch: usize) {
            let due = self.applied.map(|applied| applied + batch as u64);
            for _ in 0..batch {
                self.nodes[0].propose(Vec::new(), DATA.to_vec()).expect("it leads");
            }
            self.settle();
            assert_eq!(self.applied, due);
            self.batches += 1;
            if self.batches.is_multiple_of(COMPACT_EVERY) {
                for (node, applied) in self.nodes.iter_mut().zip(self.applied) {
                    node.mut_store().wl().compact(applied).expect("it is applied");
                }
            }
        }

        fn settle(&mut self) {
            loop {
                for i in 0..self.nodes.len() {
                    while self.nodes[i].has_ready() {
                        self.handle_ready(i);
                    }
                }
                if self.network.is_empty() {
                    return;
                }
                while let Some(m) = self.network.pop_front() {
                    let to = usize::try_from(m.to).expect("three nodes");
                    self.nodes[to - 1].step(m).expect("it is well-formed");
                }
            }
        }

        fn handle_ready(&mut self, i: usize) {
            let node = &mut self.nodes[i];
            let storage = node.store().clone();
            let mut ready = node.ready();
            self.network.extend(ready.take_messages());
            storage.wl().append(ready.entries()).expect("they follow");
            if let Some(hard_state) = ready.hs() {
                storage.wl().set_hardstate(hard_state.clone());
            }
            if let Some(last) = ready.committed_entries().last() {
                self.applied[i] = last.index;
            }
            let after = ready.take_persisted_messages();
            let mut light = node.advance(ready);
            self.network.extend(after);
            if let Some(commit) = light.commit_index() {
                storage.wl().mut_hard_state().set_commit(commit);
            }
            self.network.extend(light.take_messages());
            if let Some(last) = light.committed_entries().last() {
                self.applied[i] = last.index;
            }
            node.advance_apply();
        }
    }
}

fn replicate(c: &mut Criterion) {
    let mut group = c.benchmark_group("consensus");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for batch in [1, 64, 1024] {
        group.throughput(Throughput::Elements(batch as u64));
        let mut nodes = ours::Group::new();
        group.bench_function(BenchmarkId::new("ours", batch), |b| {
            b.iter(|| nodes.replicate(batch));
        });
        let mut nodes = theirs::Group::new();
        group.bench_function(BenchmarkId::new("raft-rs", batch), |b| {
            b.iter(|| nodes.replicate(batch));
        });
    }
    group.finish();
}

criterion_group!(benches, replicate);
criterion_main!(benches);
