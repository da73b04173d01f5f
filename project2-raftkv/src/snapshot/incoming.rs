//! A snapshot on its way in: which parts are here, and whether they are what the label says.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::raft_serverpb::RaftMessage;
use standalone::engine::{CF_DEFAULT, DATA_CFS, WriteBatch};

use super::label;
use super::part::{self, Part};
use crate::keys;

/// The most parts that a snapshot may have: what is noted about each stays in memory.
const MAX_PARTS: u32 = 1 << 20;

/// What became of a part.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// It was staged, or was here already.
    Waiting,
    /// All are here: hand this message to Raft.
    Complete(Box<RaftMessage>),
    /// It is damaged; it may come again.
    Damaged,
    /// It does not agree with the parts that are here, or all of them do not agree with the label: forget them.
    Contradictory,
}

struct Known {
    cf: usize,
    crc: u32,
    len: u64,
}

/// The parts of one snapshot. They are durable or not, as the data engine likes: after a restart they are dropped, and
/// the sender begins again.
pub struct Incoming {
    message: RaftMessage,
    /// Index and term of its label.
    at: (u64, u64),
    /// How many there are; known with the first of them.
    of: Option<u32>,
    parts: BTreeMap<u32, Known>,
    bytes: u64,
}

impl Incoming {
    /// Nothing has come yet of the snapshot that this message announces; `None` if it announces none of ours.
    pub fn new(message: RaftMessage) -> Option<Incoming> {
        let snapshot = message.message.as_ref()?.snapshot.as_ref()?;
        let (metadata, _) = label(snapshot)?;
        let at = (metadata.index, metadata.term);
        Some(Incoming { message, at, of: None, parts: BTreeMap::new(), bytes: 0 })
    }

    /// Index and term of the snapshot.
    pub fn at(&self) -> (u64, u64) {
        self.at
    }

    /// How many bytes are staged.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a part, with the message that it came with: stages it in `kv` if it is new.
    pub fn accept(&mut self, message: RaftMessage, data: &Bytes, kv: &mut WriteBatch) -> Received {
        // The newest message is the one that counts: its sender may have been elected again since.
        self.message = message;
        let Some(part) = Part::decode(data) else { return Received::Damaged };
        let cf = part.body.first().map_or(usize::MAX, |&cf| usize::from(cf));
        let sane = part.of <= MAX_PARTS && cf < DATA_CFS.len() && part::pairs(&part.body).is_some();
        if !sane {
            return Received::Damaged;
        }
        if *self.of.get_or_insert(part.of) != part.of {
            return Received::Contradictory;
        }
        let len = part.body.len() as u64;
        if self.parts.insert(part.number, Known { cf, crc: part.crc, len }).is_none() {
            self.bytes += len;
            let key = keys::snapshot_part_key(self.message.region_id, part.number.into());
            kv.put(CF_DEFAULT, key, part.body.to_vec());
        }
        if self.parts.len() < part.of as usize {
            return Received::Waiting;
        }
        if self.as_labelled() {
            Received::Complete(Box::new(self.message.clone()))
        } else {
            Received::Contradictory
        }
    }

    /// Whether sizes and checksums of all parts together are those of the label. A checksum of a whole can be had from
    /// those of its pieces, so that nothing is read again.
    fn as_labelled(&self) -> bool {
        let snapshot = self.message.message.as_ref().and_then(|m| m.snapshot.as_ref());
        let Some((_, data)) = snapshot.and_then(label) else { return false };
        let mut files = DATA_CFS.map(|_| (crc32fast::Hasher::new(), 0u64));
        for known in self.parts.values() {
            let piece = crc32fast::Hasher::new_with_initial_len(known.crc, known.len);
            files[known.cf].0.combine(&piece);
            files[known.cf].1 += known.len;
        }
        let wanted = data.meta.unwrap_or_default().cf_files;
        wanted.len() == DATA_CFS.len()
            && DATA_CFS.iter().zip(files).zip(&wanted).all(|((&cf, (crc, len)), file)| {
                file.cf == cf && file.size == len && file.checksum == crc.finalize()
            })
    }
}
