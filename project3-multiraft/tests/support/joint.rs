//! The subject of stage 3X: that of 3A around a [`JointNode`].

use bytes::Bytes;
use multiraft::membership::joint::{JointNode, conf};
use prost::Message as _;
use proto::eraftpb::{ConfChange, ConfChangeV2, Message};
use raft_suite::protocol::{Effect, Input, RaftNode};
use raftcore::{MemStorage, Ready};
use sim::seam::Subject;

use super::member::{self, decode, done, keep};

/// A node that was started, or will be by [`Input::Start`].
#[derive(Default)]
pub struct Member {
    node: Option<JointNode<MemStorage>>,
    /// The Ready that was taken last, until it is stored.
    taken: Option<Ready>,
}

impl Subject<RaftNode> for Member {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let effect = match (input, &mut self.node) {
            (Input::Start(config, durable), node) => {
                let started = member::opened(config, durable)
                    .and_then(|(config, store)| JointNode::new(config, store));
                done(started.map(|started| *node = Some(started)))
            }
            (input, Some(node)) => handle(node, &mut self.taken, input),
            (_, None) => panic!("the judge speaks to a node that it did not start"),
        };
        if let Some(node) = &self.node {
            node.member().check_invariants();
        }
        vec![effect]
    }
}

fn handle(node: &mut JointNode<MemStorage>, taken: &mut Option<Ready>, input: Input) -> Effect {
    match input {
        Input::Tick => done(node.tick()),
        Input::Step(bytes) => match Message::decode(Bytes::from(bytes.into_vec())) {
            Ok(message) => done(node.step(message)),
            Err(error) => Effect::Done(Err(error.to_string())),
        },
        Input::Applied(index) => done(node.advance_apply_to(index)),
        Input::ProposeConfChange(change) => {
            done(node.propose_conf_change(&conf::as_v2(&decode::<ConfChange>(change))))
        }
        Input::ProposeConfChangeV2(change) => done(node.propose_conf_change(&decode(change))),
        Input::ApplyConfChange(change) => apply(node, &conf::as_v2(&decode::<ConfChange>(change))),
        Input::ApplyConfChangeV2(change) => apply(node, &decode(change)),
        input => member::handle(node.mut_member(), taken, input),
    }
}

fn apply(node: &mut JointNode<MemStorage>, change: &ConfChangeV2) -> Effect {
    let applied = node.apply_conf_change(change);
    keep(node.mut_member(), &applied)
}
