//! Opening a database, and what redb's errors mean to whoever started us.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;

use super::paced::Paced;
use super::{CfName, DATA_CFS, Engine, MAX_CFS, definition};
use crate::{Error, Result};

/// How to open an [`Engine`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The column families, at most [`MAX_CFS`]; missing ones are created.
    pub cfs: Vec<CfName>,
    /// Memory for cached pages, in bytes. redb's own default is 1 GiB, too much for a laptop that runs
    /// three stores.
    pub cache_bytes: usize,
    /// Verify every page's checksum while opening. Reads the whole file once; without it a damaged
    /// page is found only when somebody reads it.
    pub verify: bool,
    /// While a commit is written, sync the file after each so many bytes, so that a large one does not keep others from the
    /// disk. Without a limit it is synced at the end only.
    pub portion_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cfs: DATA_CFS.to_vec(),
            cache_bytes: 64 << 20,
            verify: true,
            portion_bytes: usize::MAX,
        }
    }
}

impl Options {
    fn builder(&self) -> redb::Builder {
        let mut builder = redb::Database::builder();
        builder.set_cache_size(self.cache_bytes).set_check_integrity_on_open(self.verify);
        builder
    }
}

impl Engine {
    /// Opens the database `name` in the directory `dir`; creates what is missing.
    ///
    /// # Errors
    /// [`Error::NotADirectory`], [`Error::InUse`], [`Error::Corrupt`] or [`Error::Unusable`], each naming
    /// the path; [`Error::Io`] when the disk fails while the tables are created.
    pub fn open(dir: &Path, name: &str, options: &Options) -> Result<Self> {
        let unusable = |e: io::Error| Error::Unusable { path: dir.to_owned(), what: e.to_string() };
        if dir.exists() && !dir.is_dir() {
            return Err(Error::NotADirectory(dir.to_owned()));
        }
        fs::create_dir_all(dir).map_err(unusable)?;
        let path = dir.join(name);
        if !path.exists() {
            Self::create(dir, &path, options)?;
        } else if path.metadata().map_err(unusable)?.len() == 0 {
            // redb would take it for a place to start in. But a database gets its name when it is whole, so
            // an empty file is what a failing file system leaves of a full one.
            let what = "it is empty".into();
            return Err(Error::Corrupt { file: path.display().to_string(), what });
        }
        let file = fs::File::options().read(true).write(true).open(&path);
        let file = file.map_err(|e| open_error(&path, redb::StorageError::Io(e).into()))?;
        let file = FileBackend::new(file).map_err(|e| open_error(&path, e))?;
        let file = Paced::new(file, options.portion_bytes);
        let db = options.builder().create_with_backend(file).map_err(|e| open_error(&path, e))?;
        Self::with_tables(db, options)
    }

    // redb's commits survive a power cut, but its very first write of a file does not: half a header is taken
    // for somebody else's file. So a database is made under another name, and gets its own when it is durable.
    fn create(dir: &Path, path: &Path, options: &Options) -> Result<()> {
        let unusable = |e: io::Error| Error::Unusable { path: dir.to_owned(), what: e.to_string() };
        let unfinished = path.with_extension("new");
        match fs::remove_file(&unfinished) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(unusable(e)),
            _ => {}
        }
        let made = options.builder().create(&unfinished);
        drop(Self::with_tables(made.map_err(|e| open_error(&unfinished, e))?, options)?);
        fs::rename(&unfinished, path).map_err(unusable)?;
        // The name must survive, too, not only what is under it.
        sync_dir(dir).map_err(unusable)
    }

    /// A database in memory, gone with the last clone of it.
    ///
    /// # Errors
    /// None that can be expected; the signature is that of the other ways to open.
    pub fn in_memory(options: &Options) -> Result<Self> {
        Self::with_backend(redb::backends::InMemoryBackend::new(), options)
    }

    /// A database on any backend: this is where the simulator puts a disk that crashes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Io`].
    pub fn with_backend(backend: impl redb::StorageBackend, options: &Options) -> Result<Self> {
        let db = options
            .builder()
            .create_with_backend(backend)
            .map_err(|e| open_error(Path::new("in memory"), e))?;
        Self::with_tables(db, options)
    }

    // A table exists once it was opened for writing; snapshots then find every column family.
    fn with_tables(db: redb::Database, options: &Options) -> Result<Self> {
        let count = options.cfs.len();
        assert!(count <= MAX_CFS, "an engine has at most {MAX_CFS} column families, not {count}");
        let failed = |e: redb::Error| storage_error("create the column families", e);
        let have = {
            let transaction =
                redb::ReadableDatabase::begin_read(&db).map_err(|e| failed(e.into()))?;
            options.cfs.iter().all(|&cf| transaction.open_table(definition(cf)).is_ok())
        };
        if !have {
            let transaction = db.begin_write().map_err(|e| failed(e.into()))?;
            for &cf in &options.cfs {
                transaction.open_table(definition(cf)).map_err(|e| failed(e.into()))?;
            }
            transaction.commit().map_err(|e| failed(e.into()))?;
        }
        Ok(Engine { db: Arc::new(db), cfs: options.cfs.clone().into() })
    }
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

// Windows has no handle to a directory that could be synced; its file systems journal names.
#[cfg(not(unix))]
fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

fn open_error(path: &Path, error: redb::DatabaseError) -> Error {
    let corrupt = |what| Error::Corrupt { file: path.display().to_string(), what };
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen => Error::InUse(PathBuf::from(path)),
        redb::DatabaseError::UpgradeRequired(version) => {
            corrupt(format!("it has redb file format {version}, which this release cannot read"))
        }
        redb::DatabaseError::Storage(redb::StorageError::Corrupted(what)) => corrupt(what),
        // redb says "invalid data" when the file's magic number is not its own.
        redb::DatabaseError::Storage(redb::StorageError::Io(e))
            if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            corrupt(e.to_string())
        }
        other => Error::Unusable { path: path.to_owned(), what: other.to_string() },
    }
}

/// What a redb error means once the database is open.
pub(super) fn storage_error(doing: &'static str, error: redb::Error) -> Error {
    match error {
        redb::Error::Corrupted(what) => Error::Corrupt { file: "that was open".into(), what },
        other => Error::Io { doing, what: other.to_string() },
    }
}
