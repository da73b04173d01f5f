//! The settings of the binary: a TOML file, flags over it, and texts that name the field when one is wrong.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use super::Links;

/// The file. Every field may be left out.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct FileConfig {
    scheduler: Option<String>,
    addr: Option<String>,
    status_addr: Option<String>,
    data: Option<PathBuf>,
    cache_mib: Option<usize>,
    split_mib: Option<u64>,
    log_entries: Option<u64>,
    no_leases: Option<bool>,
    log: Option<String>,
}

/// The flags. Each wins over the file.
#[derive(Debug, Default, Clone, Args)]
pub struct Flags {
    /// A TOML file with settings: the flags below without their dashes
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the scheduler is [default: 127.0.0.1:2379]
    #[arg(long, value_name = "HOST:PORT")]
    pub scheduler: Option<String>,

    /// Where clients and other stores reach this one; port 0 picks a free one [default: 127.0.0.1:20160]
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<String>,

    /// Where `/status` and `/metrics` are [default: 127.0.0.1:0]
    #[arg(long, value_name = "HOST:PORT")]
    pub status_addr: Option<String>,

    /// The data directory, created if missing
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Memory for cached pages, in MiB [default: 64]
    #[arg(long, value_name = "N")]
    pub cache_mib: Option<usize>,

    /// A region that has grown to so many MiB is cut into two [default: 16]
    #[arg(long, value_name = "N")]
    pub split_mib: Option<u64>,

    /// Cut a region's log at so many entries; who lacks them gets a snapshot [default: 10000]
    #[arg(long, value_name = "N")]
    pub log_entries: Option<u64>,

    /// Ask a majority before each read, instead of relying on clocks that run about alike. The same on all stores
    #[arg(long)]
    pub no_leases: bool,

    /// What to log, to standard error [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// What to run with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the scheduler is.
    pub scheduler: String,
    /// Where clients and other stores reach this one.
    pub addr: String,
    /// Where people and Prometheus do.
    pub status_addr: String,
    /// The data directory.
    pub data: PathBuf,
    /// Memory for cached pages, in bytes.
    pub cache_bytes: usize,
    /// At how many bytes a region is cut.
    pub split_bytes: u64,
    /// At how many entries a log is cut.
    pub log_entries: u64,
    /// Whether leaders read without asking anybody, for as long as nobody else can have been elected. The same on all stores.
    pub leases: bool,
    /// What to log.
    pub log: String,
    /// Links that somebody may cut.
    pub links: Links,
}

impl Settings {
    /// The usual settings of a store with its data here.
    pub fn new(data: impl Into<PathBuf>) -> Settings {
        Settings {
            scheduler: "127.0.0.1:2379".into(),
            addr: "127.0.0.1:20160".into(),
            status_addr: "127.0.0.1:0".into(),
            data: data.into(),
            cache_bytes: 64 << 20,
            split_bytes: 16 << 20,
            log_entries: 10_000,
            leases: true,
            log: "info".into(),
            links: Links::default(),
        }
    }

    /// The flags over the file over the defaults.
    ///
    /// # Errors
    /// A text that names the file, or the field, and says what it may be.
    pub fn read(flags: Flags) -> Result<Settings, String> {
        let file = match &flags.config {
            Some(path) => FileConfig::read(path)?,
            None => FileConfig::default(),
        };
        let data = flags.data.or(file.data);
        let data = data.ok_or("`data` is missing: give a directory, with --data or in the file")?;
        let usual = Settings::new(data);
        let mib = |field: &str, given: Option<u64>, usual: u64| match given {
            None => Ok(usual),
            Some(n) if (1..=1 << 20).contains(&n) => Ok(n << 20),
            Some(n) => Err(format!("`{field}` is {n}: it may be 1 to 1048576")),
        };
        let cache = flags.cache_mib.or(file.cache_mib);
        let cache = mib("cache-mib", cache.map(|n| n as u64), usual.cache_bytes as u64)?;
        let log_entries = flags.log_entries.or(file.log_entries).unwrap_or(usual.log_entries);
        if log_entries == 0 {
            return Err("`log-entries` is 0: a log must hold at least one entry".into());
        }
        Ok(Settings {
            scheduler: flags.scheduler.or(file.scheduler).unwrap_or(usual.scheduler),
            addr: flags.addr.or(file.addr).unwrap_or(usual.addr),
            status_addr: flags.status_addr.or(file.status_addr).unwrap_or(usual.status_addr),
            data: usual.data,
            cache_bytes: usize::try_from(cache).unwrap_or(usize::MAX),
            split_bytes: mib("split-mib", flags.split_mib.or(file.split_mib), usual.split_bytes)?,
            log_entries,
            leases: !(flags.no_leases || file.no_leases.unwrap_or(false)),
            log: flags.log.or(file.log).unwrap_or(usual.log),
            links: usual.links,
        })
    }
}

impl FileConfig {
    fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("--config {} cannot be read: {e}", path.display()))?;
        toml::from_str(&text).map_err(|e| format!("--config {}: {e}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_complaint_names_its_field() {
        let flags = || Flags { data: Some("d".into()), ..Flags::default() };
        let cases = [
            (Flags::default(), "`data` is missing"),
            (Flags { split_mib: Some(0), ..flags() }, "`split-mib` is 0"),
            (Flags { cache_mib: Some(0), ..flags() }, "`cache-mib` is 0"),
            (Flags { log_entries: Some(0), ..flags() }, "`log-entries` is 0"),
            (Flags { config: Some("/nowhere.toml".into()), ..flags() }, "--config /nowhere.toml"),
        ];
        for (flags, complaint) in cases {
            let said = Settings::read(flags).expect_err(complaint);
            assert!(said.starts_with(complaint), "{said}");
        }
        let unknown = toml::from_str::<FileConfig>("adr = \"x\"").expect_err("no such field");
        assert!(unknown.to_string().contains("adr"), "{unknown}");
    }
}
