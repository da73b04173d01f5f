//! The settings of the binary: a TOML file, flags over it, and texts that name the field when one is wrong.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::scheduler::{Config, Millis, Policy};

/// The file. Every field may be left out.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct FileConfig {
    /// As `--addr`.
    pub addr: Option<String>,
    /// As `--status-addr`.
    pub status_addr: Option<String>,
    /// As `--data`.
    pub data: Option<PathBuf>,
    /// As `--log`.
    pub log: Option<String>,
    /// What to aim at.
    pub schedule: Schedule,
}

/// The table `[schedule]`.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Schedule {
    pub max_replicas: Option<usize>,
    pub max_store_down_time: Option<String>,
    pub disconnect_after: Option<String>,
    pub leader_schedule_limit: Option<usize>,
    pub region_schedule_limit: Option<usize>,
    pub replica_schedule_limit: Option<usize>,
    pub store_limit: Option<u64>,
    pub max_pending_peers: Option<usize>,
    pub region_schedule_policy: Option<String>,
    pub leader_operator_timeout: Option<String>,
    pub region_operator_timeout: Option<String>,
}

/// The flags. Each wins over the file.
#[derive(Debug, Default, Clone, Args)]
pub struct Flags {
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where stores and clients reach the scheduler; port 0 picks a free one [default: 127.0.0.1:2379]
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<String>,

    /// Where `/status` and `/metrics` are [default: 127.0.0.1:2381]
    #[arg(long, value_name = "HOST:PORT")]
    pub status_addr: Option<String>,

    /// The data directory, created if missing
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// How many peers each region should have: odd [default: 3]
    #[arg(long, value_name = "N")]
    pub max_replicas: Option<usize>,

    /// A store that is silent for longer is replaced, such as 90s or 30m [default: 30m]
    #[arg(long, value_name = "TIME")]
    pub max_store_down_time: Option<String>,

    /// Compare stores by the size of their data or by the number of their peers [default: size]
    #[arg(long, value_name = "size|count")]
    pub region_schedule_policy: Option<String>,

    /// What to log, to standard error [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// What to run with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where stores and clients reach the scheduler.
    pub addr: String,
    /// Where people and Prometheus do.
    pub status_addr: String,
    /// The data directory.
    pub data: PathBuf,
    /// What to log.
    pub log: String,
    /// What to aim at.
    pub schedule: Config,
}

impl Settings {
    /// The flags over the file over the defaults.
    ///
    /// # Errors
    /// A text that names the file, or the field, and says what it may be.
    pub fn read(flags: Flags) -> Result<Settings, String> {
        let file = match &flags.config {
            Some(path) => FileConfig::read(path)?,
            None => FileConfig::default(),
        };
        let or = |flag: Option<String>, file: Option<String>, default: &str| {
            flag.or(file).unwrap_or_else(|| default.into())
        };
        let data = flags.data.or(file.data);
        let mut schedule = file.schedule;
        schedule.max_replicas = flags.max_replicas.or(schedule.max_replicas);
        schedule.max_store_down_time = flags.max_store_down_time.or(schedule.max_store_down_time);
        schedule.region_schedule_policy =
            flags.region_schedule_policy.or(schedule.region_schedule_policy);
        Ok(Settings {
            addr: or(flags.addr, file.addr, "127.0.0.1:2379"),
            status_addr: or(flags.status_addr, file.status_addr, "127.0.0.1:2381"),
            data: data.ok_or("`data` is missing: give a directory, with --data or in the file")?,
            log: or(flags.log, file.log, "info"),
            schedule: schedule.check()?,
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

impl Schedule {
    fn check(self) -> Result<Config, String> {
        let default = Config::default();
        let config = Config {
            max_replicas: self.max_replicas.unwrap_or(default.max_replicas),
            max_store_down_time: time(
                "max-store-down-time",
                self.max_store_down_time,
                default.max_store_down_time,
            )?,
            disconnect_after: time(
                "disconnect-after",
                self.disconnect_after,
                default.disconnect_after,
            )?,
            leader_schedule_limit: self
                .leader_schedule_limit
                .unwrap_or(default.leader_schedule_limit),
            region_schedule_limit: self
                .region_schedule_limit
                .unwrap_or(default.region_schedule_limit),
            replica_schedule_limit: self
                .replica_schedule_limit
                .unwrap_or(default.replica_schedule_limit),
            store_limit: self.store_limit.unwrap_or(default.store_limit),
            max_pending_peers: self.max_pending_peers.unwrap_or(default.max_pending_peers),
            region_schedule_policy: match self.region_schedule_policy.as_deref() {
                None => default.region_schedule_policy,
                Some("size") => Policy::Size,
                Some("count") => Policy::Count,
                Some(other) => {
                    return Err(format!(
                        "`region-schedule-policy` is \"{other}\": it may be \"size\" or \"count\""
                    ));
                }
            },
            leader_operator_timeout: time(
                "leader-operator-timeout",
                self.leader_operator_timeout,
                default.leader_operator_timeout,
            )?,
            region_operator_timeout: time(
                "region-operator-timeout",
                self.region_operator_timeout,
                default.region_operator_timeout,
            )?,
            ..default
        };
        if config.max_replicas.is_multiple_of(2) {
            let n = config.max_replicas;
            return Err(format!("`max-replicas` is {n}: it must be odd, such as 3 or 5"));
        }
        if config.store_limit == 0 {
            return Err("`store-limit` is 0: a store could never get a peer".into());
        }
        if config.max_store_down_time < config.disconnect_after {
            let (down, silent) = (config.max_store_down_time, config.disconnect_after);
            return Err(format!(
                "`max-store-down-time` is {down} ms, less than `disconnect-after` ({silent} ms): a store would be \
                 replaced before it is left alone"
            ));
        }
        Ok(config)
    }
}

/// `500ms`, `20s`, `30m` or `2h`.
fn time(field: &str, text: Option<String>, default: Millis) -> Result<Millis, String> {
    let Some(text) = text else { return Ok(default) };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number = text[..digits].parse::<Millis>().ok().filter(|number| *number > 0);
    number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)).ok_or_else(|| {
        format!("`{field}` is \"{text}\": it must be a time such as \"500ms\", \"20s\" or \"30m\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_complaint_names_its_field() {
        let cases = [
            ("max-replicas = 2", "`max-replicas` is 2"),
            ("max-store-down-time = \"soon\"", "`max-store-down-time` is \"soon\""),
            ("disconnect-after = \"20\"", "`disconnect-after` is \"20\""),
            ("store-limit = 0", "`store-limit` is 0"),
            ("region-schedule-policy = \"mood\"", "`region-schedule-policy` is \"mood\""),
            ("max-store-down-time = \"1s\"", "`max-store-down-time` is 1000 ms"),
        ];
        for (line, complaint) in cases {
            let file: FileConfig =
                toml::from_str(&format!("[schedule]\n{line}")).expect("it is TOML");
            let said = file.schedule.check().expect_err(line);
            assert!(said.starts_with(complaint), "{line}: {said}");
        }
        let unknown = toml::from_str::<FileConfig>("adr = \"x\"").expect_err("no such field");
        assert!(unknown.to_string().contains("adr"), "{unknown}");
    }

    #[test]
    fn times_have_units() {
        for (text, millis) in
            [("500ms", 500), ("20s", 20_000), ("30m", 1_800_000), ("2h", 7_200_000)]
        {
            assert_eq!(time("a", Some(text.into()), 0), Ok(millis));
        }
        for text in
            ["", "s", "5", "-5s", "5 s", "0s", "99999999999999999999s", "18446744073709551615h"]
        {
            assert!(time("a", Some(text.into()), 0).is_err(), "{text}");
        }
    }
}
