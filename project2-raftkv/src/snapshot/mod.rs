//! Snapshots: a region's data in place of a log that is no longer there.
//!
//! A follower that was away for too long needs entries which its leader has dropped. It gets the data itself, and
//! the log goes on behind it. Five steps, each in a file of its own:
//!
//! 1. **Build** ([`SnapSource`]). The region worker opens one view of the data engine. Data and apply state in it are of
//!    one moment, since every apply writes both in one transaction; so the label (index, term, region) is read from
//!    the same view, and can never promise more than the data holds. Nothing is copied: the view *is* the snapshot,
//!    read once for sizes and checksums and once more when it is sent.
//! 2. **Stream**. Raft's `MsgSnapshot` carries the label alone. Before it go the *parts*, pieces of a column family
//!    with a checksum each ([`part`]), on a connection of their own, so that heartbeats do not stand in line behind
//!    them.
//! 3. **Receive** ([`Incoming`]). Parts are staged in the data engine under local keys. They may come twice, in any
//!    order, from an earlier attempt: what is there is kept, what lacks is waited for. When all are there and their
//!    checksums agree with the label, `MsgSnapshot` is handed to Raft, which says whether it wants it.
//! 4. **Install** ([`Install`]). In one transaction if it is small; in pieces under `PeerState::Applying` if it is
//!    not. A crash in the middle is finished at the next start, before anybody is served.
//! 5. **Forget**. The sender lets its view go after a while, staged parts go with their installation, or when a newer
//!    snapshot comes, or at a restart.
//!
//! What is lost on the way is not asked for again part by part: the sender is told that it failed (or notices that it
//! takes too long), Raft probes, finds the follower still behind, and sends the snapshot again. TiKV does the same, and
//! stages in files; we stage in the engine, which makes "these parts are used up and this data is there" one atomic
//! step without a file system's corner cases, and costs writing the bytes twice.

mod incoming;
mod install;
pub mod part;
mod source;

use proto::eraftpb;
use proto::metapb::Region;
use proto::raft_serverpb::RaftSnapshotData;

pub use incoming::{Incoming, Received};
pub use install::{Install, resume};
pub use source::{Parts, SnapSource};

/// The format of our snapshots; a receiver refuses another.
pub const VERSION: u64 = 1;

/// May this snapshot be received and installed now? Asked when its first part arrives. Here there is one region, and it
/// always may; a store of many regions says no to one that overlaps its neighbours.
pub trait SnapGate: Send {
    /// Says whether the region that the snapshot brings may take its place on this store.
    fn admit(&mut self, region: &Region, label: &eraftpb::SnapshotMetadata) -> Admission;
}

/// What a [`SnapGate`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Receive it.
    Now,
    /// Drop it; the sender will try again, and by then it may be welcome.
    Later,
}

/// Lets everything in that is for this region.
#[derive(Debug, Clone, Copy)]
pub struct OneRegion(pub u64);

impl SnapGate for OneRegion {
    fn admit(&mut self, region: &Region, _: &eraftpb::SnapshotMetadata) -> Admission {
        if region.id == self.0 { Admission::Now } else { Admission::Later }
    }
}

/// The label of a snapshot; `None` if it is none of ours.
pub fn label(
    snapshot: &eraftpb::Snapshot,
) -> Option<(eraftpb::SnapshotMetadata, RaftSnapshotData)> {
    use prost::Message as _;
    let data = RaftSnapshotData::decode(snapshot.data.clone()).ok()?;
    let metadata = snapshot.metadata.clone()?;
    (data.version == VERSION && data.region.is_some() && metadata.index > 0)
        .then_some((metadata, data))
}
