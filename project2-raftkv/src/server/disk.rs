//! A store's files: the data, the log, and the journal before it.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use standalone::engine::{CF_DEFAULT, Engine, Options};

use crate::Result;
use crate::error::Error;
use crate::log_store::{LogStore, RedbLog, WalLog};

/// The length of the log's journal.
const JOURNAL_BYTES: usize = 16 << 20;

/// Memory for cached pages of the log, in bytes.
const LOG_CACHE: usize = 16 << 20;

/// The data is synced in portions of so many bytes: the log must not wait for twenty megabytes of data, on a disk that
/// both share. (Smaller ones cost the data more than they save the log.)
const PORTION_BYTES: usize = 256 << 10;

/// A store and its files.
pub struct Opened<S> {
    /// The data.
    pub kv: Engine,
    /// The log.
    pub log: Arc<dyn LogStore>,
    /// The store on them.
    pub store: S,
}

fn failed(e: io::Error) -> Error {
    Error::System { doing: "prepare the data directory", what: e.to_string() }
}

/// Opens the store in `data`; `cache_bytes` is the memory for cached pages of the data. A new one is made in a directory of
/// another name, which is renamed when it is whole: a crash in the middle of the first start leaves nothing that looks
/// like a store.
///
/// # Errors
/// The engine's, those of `store`, and [`Error::System`] if the directory cannot be made.
pub fn open<S>(
    data: &Path,
    cache_bytes: usize,
    store: impl Fn(&Engine, &Arc<dyn LogStore>) -> Result<S>,
) -> Result<Opened<S>> {
    let (whole, making) = (data.join("store"), data.join("store.new"));
    if !whole.exists() {
        if making.exists() {
            fs::remove_dir_all(&making).map_err(failed)?;
        }
        drop(open_in(&making, cache_bytes, &store)?);
        fs::rename(&making, &whole).map_err(failed)?;
        #[cfg(unix)]
        File::open(data).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    open_in(&whole, cache_bytes, &store)
}

fn open_in<S>(
    dir: &Path,
    cache_bytes: usize,
    store: &impl Fn(&Engine, &Arc<dyn LogStore>) -> Result<S>,
) -> Result<Opened<S>> {
    let options = Options { cache_bytes, portion_bytes: PORTION_BYTES, ..Options::default() };
    let kv = Engine::open(dir, "kv.redb", &options)?;
    let options = Options { cfs: vec![CF_DEFAULT], cache_bytes: LOG_CACHE, ..Options::default() };
    let table = RedbLog::new(Engine::open(dir, "raft.redb", &options)?);
    let failed = |what: String| Error::System { doing: "open the log's journal", what };
    let journal = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("raft.wal"))
        .map_err(|e| failed(e.to_string()))?;
    let journal = redb::backends::FileBackend::new(journal).map_err(|e| failed(e.to_string()))?;
    let log: Arc<dyn LogStore> = Arc::new(WalLog::open(table, journal, JOURNAL_BYTES)?);
    let store = store(&kv, &log)?;
    Ok(Opened { kv, log, store })
}

/// A number that nobody else draws: the time, mixed with who asks. It names a new disk, and begins the series of election
/// timeouts. Nobody attacks it.
pub fn draw(id: u64) -> u64 {
    // The edge: whoever needs chance further inside is given this as a seed.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    (nanos ^ (u64::from(std::process::id()) << 32) ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
