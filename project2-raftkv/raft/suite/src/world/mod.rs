//! What the tests hold in their hands.
//!
//! - [`Lab`]: where a test happens; it starts nodes and counts what they are asked.
//! - [`Disk`]: what a node was told to keep, and what of it is durable.
//! - [`Node`]: one node that can be asked, crashed and restarted, with the rules that it must keep by
//!   itself checked on every answer.
//! - [`Puppets`]: peers that answer as the paper says, so that one real node can be led through a story.
//! - [`Net`]: several nodes and a network without delay, for stories that are told step by step.
//! - [`chaos`]: several nodes, a bad network, slow disks and crashes, all drawn from one seed.

mod lab;
mod recorder;

pub mod chaos;
pub mod disk;
pub mod expect;
pub mod net;
pub mod node;
pub mod puppets;
pub mod setup;

pub use disk::Disk;
pub use lab::{Lab, When, World};
pub use net::Net;
pub use node::{Node, Taken};
pub use puppets::Puppets;
pub use setup::Setup;
