//! Our servers against the official TiKV client: the proof that we speak its language.
//!
//! The `.proto` files of this course are written afresh, so nothing but a test keeps them in step
//! with TiKV's. A wrong field number does not fail loudly: the other side takes the field for one
//! that it does not know and skips it, and a key arrives empty. Hence this crate. It holds the
//! comparing, `tests/` holds the rules:
//!
//! - [`schema`] lays the two descriptions (compiled `.proto` files) side by side: names, numbers,
//!   types, enum values, methods. It explains best, but trusts what it reads.
//! - [`trip`] believes bytes only. It sends messages, each field of ours set in turn ([`fill`]),
//!   through the type that the official client really uses, and looks at what comes back. A field
//!   that the client does not know, or knows under another number or type, is lost on the way or
//!   fails. Two fields that have changed places come back unharmed, so the names under which each
//!   side prints its fields are compared, too. The same the other way round: the client's messages
//!   come to us with everything in them, what we leave out as well.
//! - [`calls`] lets the official client call every method of our services, to see that each call
//!   arrives at the method it was meant for.
//!
//! [`browser`] looks at our pages. [`binary`], [`group`] and [`cluster`] start the real servers as processes, for the tests
//! and the benches that need them; [`picture`] draws what became of a cluster.
//!
//! The official types come from a crate beside this one, `official`, and are another generation
//! of the same libraries (prost 0.12 and tonic 0.10, not 0.14): an independent encoder.
//!
//! Left out: kvproto has more messages than we do, and nothing here says that ours are enough. That
//! is for the tests that run a server against the client.

use prost_reflect::DescriptorPool;

pub mod binary;
pub mod browser;
pub mod calls;
pub mod cluster;
pub mod fill;
pub mod group;
pub mod pair;
pub mod picture;
pub mod schema;
pub mod trip;

/// The examples of the README: they must compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Messages and services that only we have, by full name. There are none: whatever `.proto` files
/// of ours define, kvproto defines, `eraftpb` (raft-rs's) included.
pub const ONLY_OURS: &[&str] = &[];

/// Our `.proto` files.
pub fn ours() -> DescriptorPool {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the build has checked it")
}

/// The official client's `.proto` files.
pub fn official() -> DescriptorPool {
    DescriptorPool::decode(official::FILE_DESCRIPTOR_SET).expect("the build has checked it")
}
