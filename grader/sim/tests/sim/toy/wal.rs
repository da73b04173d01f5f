//! A log file of records, each chained to the one before by a hash: what a crash tore is cut off when it is read.

use redb::StorageBackend;
use serde::{Deserialize, Serialize};
use sim::cluster::digest::Hasher;
use sim::disk::RecordingDisk;

use super::Entry;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Record {
    Hard {
        term: u64,
        vote: u64,
    },
    /// The entry at this index, and nothing after it.
    Entry {
        index: u64,
        entry: Entry,
    },
}

pub struct Wal {
    disk: RecordingDisk,
    end: u64,
    chain: u64,
}

fn link(chain: u64, payload: &[u8]) -> u64 {
    let mut hash = Hasher::default();
    hash.number(chain);
    hash.bytes(payload);
    hash.finish()
}

impl Wal {
    pub fn open(disk: RecordingDisk) -> (Wal, Vec<Record>) {
        let mut bytes = vec![0; usize::try_from(disk.len().unwrap()).unwrap()];
        disk.read(0, &mut bytes).unwrap();
        let (mut at, mut chain, mut records) = (0, 1, Vec::new());
        while let Some(head) = bytes.get(at..at + 12) {
            let len = u32::from_le_bytes(head[..4].try_into().unwrap()) as usize;
            let sum = u64::from_le_bytes(head[4..].try_into().unwrap());
            let Some(payload) = bytes.get(at + 12..at + 12 + len) else { break };
            if len == 0 || link(chain, payload) != sum {
                break;
            }
            chain = sum;
            records.push(postcard::from_bytes(payload).unwrap());
            at += 12 + len;
        }
        (Wal { disk, end: at as u64, chain }, records)
    }

    /// Writes and syncs.
    pub fn append(&mut self, records: &[Record]) -> std::io::Result<()> {
        let mut out = Vec::new();
        for record in records {
            let payload = postcard::to_stdvec(record).unwrap();
            self.chain = link(self.chain, &payload);
            out.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
            out.extend(self.chain.to_le_bytes());
            out.extend(payload);
        }
        self.disk.set_len(self.end + out.len() as u64)?;
        self.disk.write(self.end, &out)?;
        self.end += out.len() as u64;
        self.disk.sync_data()
    }
}
