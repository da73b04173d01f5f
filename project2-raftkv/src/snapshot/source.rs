//! A snapshot to be sent: one view of the data engine, and its label.

use std::collections::VecDeque;

use prost::Message as _;
use proto::eraftpb;
use proto::metapb::Region;
use proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftSnapshotData, SnapshotCfFile, SnapshotMeta,
};
use standalone::engine::{Cursor, DATA_CFS, Direction, Engine, Snapshot};
use standalone::keys::KeyRange;

use super::VERSION;
use super::part::{self, Part};
use crate::error::Error;
use crate::peer_storage::{conf_state, load, load_region};
use crate::region::data_spans;
use crate::{Result, keys};

/// A built snapshot. It holds its view of the engine, and with it pages that the engine could use again otherwise:
/// drop it when nobody needs it any more.
pub struct SnapSource {
    view: Snapshot,
    region: Region,
    snapshot: eraftpb::Snapshot,
    index: u64,
    parts: u32,
    part_bytes: usize,
}

impl std::fmt::Debug for SnapSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SnapSource(region {}@{}, {} parts)", self.region.id, self.index, self.parts)
    }
}

impl SnapSource {
    /// Opens a view and labels it. Reads the region's data once; run it off the loop.
    ///
    /// You will need one [`Engine::snapshot`], and everything from it: the apply state, the region, the data. (What
    /// would be wrong with the index that the peer has applied *now*?) [`Parts`] walks the data; sizes and
    /// checksums per column family go into the label.
    ///
    /// # Errors
    /// The disk's, and damage; also when the region has no peer here whose data is whole.
    pub fn build(kv: &Engine, region: u64, part_bytes: usize) -> Result<SnapSource> {
        // BEGIN SOLUTION 2CB.snap_build
        let view = kv.snapshot()?;
        let nothing =
            || Error::Corrupt(format!("region {region} has no data to make a snapshot of"));
        let local = load_region(&view, region)?.ok_or_else(nothing)?;
        if local.state() != PeerState::Normal {
            return Err(nothing());
        }
        let region_meta = local.region.ok_or_else(nothing)?;
        let apply_state: RaftApplyState =
            load(&view, &keys::apply_state_key(region), "the apply state")?.ok_or_else(nothing)?;

        let mut files = DATA_CFS.map(|_| crc32fast::Hasher::new());
        let mut sizes = DATA_CFS.map(|_| 0u64);
        let mut count = 0u32;
        let mut bodies = Parts::new(&view, &region_meta, part_bytes);
        while let Some(body) = bodies.next_body()? {
            let cf = usize::from(body[0]);
            files[cf].update(&body);
            sizes[cf] += body.len() as u64;
            count += 1;
        }
        let cf_files = DATA_CFS.iter().zip(files).zip(sizes);
        let cf_files: Vec<SnapshotCfFile> = cf_files
            .map(|((&cf, crc), size)| SnapshotCfFile {
                cf: cf.into(),
                size,
                checksum: crc.finalize(),
            })
            .collect();
        let data = RaftSnapshotData {
            region: Some(region_meta.clone()),
            file_size: sizes.iter().sum(),
            version: VERSION,
            meta: Some(SnapshotMeta { cf_files, ..Default::default() }),
            ..Default::default()
        };
        let index = apply_state.applied_index;
        let metadata = eraftpb::SnapshotMetadata {
            conf_state: Some(conf_state(&region_meta)),
            index,
            // Each apply writes the entry it ends with as the last one known to be committed.
            term: apply_state.commit_term,
        };
        let snapshot =
            eraftpb::Snapshot { data: data.encode_to_vec().into(), metadata: Some(metadata) };
        Ok(SnapSource { view, region: region_meta, snapshot, index, parts: count, part_bytes })
        // END SOLUTION
    }

    /// What goes into `MsgSnapshot`: the label.
    pub fn snapshot(&self) -> &eraftpb::Snapshot {
        &self.snapshot
    }

    /// The last entry whose effect is in it.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The parts, from the first on.
    pub fn parts(&self) -> Parts<'_> {
        Parts::new(&self.view, &self.region, self.part_bytes).of(self.parts)
    }
}

/// Walks a region's data and cuts it into parts. The same view gives the same parts.
pub struct Parts<'v> {
    view: &'v Snapshot,
    part_bytes: usize,
    /// What is still to be walked.
    ranges: VecDeque<(usize, KeyRange)>,
    cursor: Option<(usize, Cursor)>,
    given: u32,
    of: u32,
}

impl<'v> Parts<'v> {
    fn new(view: &'v Snapshot, region: &Region, part_bytes: usize) -> Self {
        let spans = data_spans(region);
        let ranges =
            (0..DATA_CFS.len()).flat_map(|cf| spans.iter().map(move |span| (cf, span.clone())));
        Parts { view, part_bytes, ranges: ranges.collect(), cursor: None, given: 0, of: 0 }
    }

    fn of(mut self, of: u32) -> Self {
        self.of = of;
        self
    }

    /// The next part; `None` after the last.
    ///
    /// # Errors
    /// The disk's.
    pub fn next_part(&mut self) -> Result<Option<Part>> {
        let number = self.given;
        Ok(self.next_body()?.map(|body| Part::new(number, self.of, body)))
    }

    /// The next body. There is always at least one, so that an empty region's snapshot has something to send.
    fn next_body(&mut self) -> Result<Option<Vec<u8>>> {
        let mut body: Option<(usize, Vec<u8>)> = None;
        loop {
            if self.cursor.is_none() {
                let Some((cf, _)) = self.ranges.front() else { break };
                // A part has pairs of one column family.
                if body.as_ref().is_some_and(|(of, _)| of != cf) {
                    break;
                }
                let Some((cf, range)) = self.ranges.pop_front() else { break };
                self.cursor =
                    Some((cf, self.view.cursor(DATA_CFS[cf], range, Direction::Forward)?));
            }
            let Some((cf, cursor)) = &mut self.cursor else { break };
            if !cursor.advance()? {
                self.cursor = None;
                continue;
            }
            let (_, bytes) = body.get_or_insert_with(|| (*cf, part::begin(*cf)));
            part::push(bytes, cursor.key(), cursor.value());
            if bytes.len() >= self.part_bytes {
                break;
            }
        }
        if body.is_none() && self.given == 0 {
            body = Some((0, part::begin(0)));
        }
        self.given += u32::from(body.is_some());
        Ok(body.map(|(_, bytes)| bytes))
    }
}
