//! A group of `raftkv` members, each a process of its own.
//!
//! Members must know each other's addresses before any of them listens, and keep them over a restart. So a port that
//! the system picks will not do: while a member is down, anybody's outgoing connection could take it. But all of
//! `127.0.0.0/8` is this machine; each group takes addresses there that nobody else uses, and always the same port.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::binary;

const PORT: u16 = 20160;

/// Some members of one group, and their disks.
pub struct Group {
    binary: PathBuf,
    dir: TempDir,
    addresses: Vec<String>,
    flags: Vec<String>,
    members: Vec<Option<Child>>,
}

/// `size` addresses that no other group uses, in this process or another one.
pub fn addresses(size: usize, port: u16) -> Vec<String> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let (process, group) = (std::process::id(), TAKEN.fetch_add(1, Ordering::Relaxed) % 31);
    let (high, low) = (1 + (process >> 8) % 254, process & 0xff);
    (1..=u32::try_from(size).expect("a few"))
        .map(|member| format!("127.{high}.{low}.{}:{port}", group * 8 + member))
        .collect()
}

impl Group {
    /// Starts `size` members (at most 7) on new disks, with these flags beside those that say who they are. They serve
    /// when they have found each other, in a moment.
    pub fn start(size: usize, flags: &[&str]) -> Group {
        let mut group = Group {
            binary: binary::build("raftkv"),
            dir: TempDir::new().expect("there is room for a few small disks"),
            addresses: addresses(size, PORT),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            members: (0..size).map(|_| None).collect(),
        };
        for member in 0..size {
            group.revive(member);
        }
        group
    }

    /// Where clients find it: each member's address, which is also that of its PD.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Where a member's data is.
    pub fn disk(&self, member: usize) -> PathBuf {
        self.dir.path().join(format!("member-{}", member + 1))
    }

    /// The memory that a running member uses, in bytes; `None` where the system does not say.
    pub fn resident(&self, member: usize) -> Option<u64> {
        let process = self.members[member].as_ref()?.id();
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }

    /// kill -9: no handler runs, nothing is flushed.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.members[member].take() {
            child.kill().expect("it runs");
            child.wait().expect("it is our child");
        }
    }

    /// Starts a member that is down, on its old disk, and returns when it listens; if it has ended instead, see
    /// [`Group::ended`].
    pub fn revive(&mut self, member: usize) {
        let peers: Vec<String> =
            self.addresses.iter().zip(1..).map(|(address, id)| format!("{id}={address}")).collect();
        let log = File::options().create(true).append(true).open(self.log(member));
        let mut child = Command::new(&self.binary)
            .args(["--id", &(member + 1).to_string(), "--peers", &peers.join(",")])
            .arg("--data")
            .arg(self.disk(member))
            .args(&self.flags)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("there is room for a log"))
            .spawn()
            .expect("the member starts");
        let mut banner = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut banner).expect("the banner is text");
        self.members[member] = Some(child);
    }

    /// Waits for a member to end by itself.
    pub fn ended(&mut self, member: usize) -> ExitStatus {
        let mut child = self.members[member].take().expect("it was started");
        child.wait().expect("it is our child")
    }

    /// What a member said on standard error in all its lives.
    pub fn said(&self, member: usize) -> String {
        fs::read_to_string(self.log(member)).unwrap_or_default()
    }

    fn log(&self, member: usize) -> PathBuf {
        self.dir.path().join(format!("member-{}.log", member + 1))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for member in 0..self.members.len() {
            if let Some(mut child) = self.members[member].take() {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
            }
            let said = self.said(member);
            if std::thread::panicking() {
                let tail: Vec<&str> = said.lines().rev().take(20).collect();
                eprintln!("member {} said, last first:\n{}", member + 1, tail.join("\n"));
            } else {
                assert!(!said.contains("panicked"), "member {} panicked: {said}", member + 1);
            }
        }
    }
}
