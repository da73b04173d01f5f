//! A storage in a map: for tests of handlers, and to see how little a [`Storage`] needs to be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use proto::kvrpcpb::Context;

use super::{Cursor, DynCursor, Modify, Storage, StorageReader};
use crate::engine::{CfName, DATA_CFS, Direction};
use crate::keys::KeyRange;
use crate::{Error, Result};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
type Maps = BTreeMap<CfName, Arc<Map>>;

/// A [`Storage`] in memory. A reader shares the maps; the next write copies what is shared, so it is
/// correct and simple, and slow for large data under constant reads.
pub struct MemStorage {
    // A lock because readers and writers come from several threads; held for one batch.
    maps: Mutex<Maps>,
}

impl MemStorage {
    /// An empty storage.
    pub fn new() -> Self {
        let maps = DATA_CFS.into_iter().map(|cf| (cf, Arc::default())).collect();
        MemStorage { maps: Mutex::new(maps) }
    }
}

impl Default for MemStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage for MemStorage {
    type Reader = MemReader;

    async fn write(&self, _: &Context, batch: Vec<Modify>) -> Result<()> {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        for modify in &batch {
            let (Modify::Put { cf, .. }
            | Modify::Delete { cf, .. }
            | Modify::DeleteRange { cf, .. }) = modify;
            find(&maps, cf)?;
        }
        for modify in batch {
            match modify {
                Modify::Put { cf, key, value } => {
                    edit(&mut maps, cf, |map| {
                        map.insert(key, value);
                    });
                }
                Modify::Delete { cf, key } => {
                    edit(&mut maps, cf, |map| {
                        map.remove(&key);
                    });
                }
                Modify::DeleteRange { cf, range } => {
                    edit(&mut maps, cf, |map| map.retain(|key, _| !range.contains(key)));
                }
            }
        }
        Ok(())
    }

    async fn reader(&self, _: &Context) -> Result<MemReader> {
        Ok(MemReader { maps: self.maps.lock().unwrap_or_else(PoisonError::into_inner).clone() })
    }
}

fn find<'m>(maps: &'m Maps, cf: &str) -> Result<&'m Arc<Map>> {
    maps.get(cf).ok_or_else(|| Error::UnknownCf(cf.to_owned()))
}

fn edit(maps: &mut Maps, cf: CfName, change: impl FnOnce(&mut Map)) {
    if let Some(map) = maps.get_mut(cf) {
        change(Arc::make_mut(map));
    }
}

/// Reads the maps as they were when it was made.
pub struct MemReader {
    maps: Maps,
}

impl StorageReader for MemReader {
    fn get_cf(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(find(&self.maps, cf)?.get(key).cloned())
    }

    fn iter_cf(&self, cf: CfName, range: KeyRange, direction: Direction) -> Result<DynCursor> {
        let map = find(&self.maps, cf)?.clone();
        Ok(Box::new(MemCursor { map, range, direction, at: At::Before }))
    }
}

enum At {
    Before,
    Pair(Vec<u8>, Vec<u8>),
    Beyond,
}

struct MemCursor {
    map: Arc<Map>,
    range: KeyRange,
    direction: Direction,
    at: At,
}

impl MemCursor {
    // The first pair of the range at `from` or beyond it; `from` itself counts if `included`.
    fn go(&mut self, from: &[u8], included: bool) -> bool {
        use std::ops::Bound::{Excluded, Included};
        let KeyRange { start, end } = &self.range;
        let from_bound = if included { Included(from) } else { Excluded(from) };
        // A map panics on inverted bounds; here they mean that nothing is left.
        let pair = match self.direction {
            _ if self.range.is_empty() => None,
            Direction::Forward if from >= &end[..] => None,
            Direction::Forward if from < &start[..] => self.map.range(start.clone()..).next(),
            Direction::Forward => {
                self.map.range::<[u8], _>((from_bound, Excluded(&end[..]))).next()
            }
            Direction::Reverse if from < &start[..] || (from == &start[..] && !included) => None,
            Direction::Reverse if from >= &end[..] => {
                self.map.range(start.clone()..end.clone()).next_back()
            }
            Direction::Reverse => {
                self.map.range::<[u8], _>((Included(&start[..]), from_bound)).next_back()
            }
        };
        self.at = match pair {
            Some((key, value)) if self.range.contains(key) => At::Pair(key.clone(), value.clone()),
            _ => At::Beyond,
        };
        matches!(self.at, At::Pair(..))
    }

    fn pair(&self) -> (&[u8], &[u8]) {
        match &self.at {
            At::Pair(key, value) => (key, value),
            At::Before | At::Beyond => panic!("the cursor stands on no pair"),
        }
    }
}

impl Cursor for MemCursor {
    fn advance(&mut self) -> Result<bool> {
        Ok(match (std::mem::replace(&mut self.at, At::Beyond), self.direction) {
            (At::Before, Direction::Forward) => self.go(&self.range.start.clone(), true),
            (At::Before, Direction::Reverse) => self.go(&self.range.end.clone(), false),
            (At::Pair(key, _), _) => self.go(&key, false),
            (At::Beyond, _) => false,
        })
    }

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        Ok(self.go(key, true))
    }

    fn key(&self) -> &[u8] {
        self.pair().0
    }

    fn value(&self) -> &[u8] {
        self.pair().1
    }
}
