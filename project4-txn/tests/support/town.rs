//! The subject of stage 4D's worlds: a node, which is a store or a door.

use sim::cluster::protocol::{Cluster, Effect, Event, Input};
use sim::seam::Subject;
use txn_suite::stage4d::config::NodeConfig;

use super::door::Door;
use super::serve::Served;
use super::store::Life;

/// A node, from its `Open` on.
#[derive(Default)]
pub enum Node {
    #[default]
    Closed,
    Store(Box<Life<Served>>),
    Door(Box<Door>),
}

impl Subject<Cluster> for Node {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let Input { now, event, look } = input;
        let event = match event {
            Event::Open(mut open) => match NodeConfig::decode(&open.config) {
                Ok(NodeConfig::Store(config)) => {
                    *self = Node::Store(Box::default());
                    open.config = config.into();
                    Event::Open(open)
                }
                Ok(NodeConfig::Door(config)) => {
                    *self = Node::Door(Box::new(Door::new(config)));
                    return Vec::new();
                }
                Err(error) => panic!("the suite's own bytes: {error}"),
            },
            event => event,
        };
        match self {
            Node::Store(life) => life.handle(Input { now, event, look }),
            Node::Door(door) => door.handle(event, now),
            Node::Closed => panic!("the world asks a node that it did not open"),
        }
    }
}
