//! The real binary `standalone` as a child process, and what every test of it needs.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use interop::binary;
use tempfile::{NamedTempFile, TempDir};

/// These arguments, and where they name no address, one that the next server does not get, whatever port the system picks: a
/// server that was killed a moment ago has clients that still knock. [`interop::group`] takes none in 127.0.
fn on_own_address(args: &[&str]) -> Vec<String> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let host = 2 + TAKEN.fetch_add(1, Ordering::Relaxed) % 250;
    let own = format!("127.0.{}.{host}:0", std::process::id() & 0xff);
    let mut args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    for flag in ["--addr", "--pd-addr"] {
        if !args.iter().any(|arg| arg == flag) {
            args.extend([flag.to_owned(), own.clone()]);
        }
    }
    args
}

/// A server that runs in a process of its own, on an address of its own.
pub struct Server {
    child: Child,
    said: NamedTempFile,
    /// Where the store is.
    pub addr: String,
    /// Where PD is.
    pub pd_addr: String,
}

impl Server {
    /// A server in memory.
    pub fn in_memory() -> Server {
        Self::start(&[]).unwrap_or_else(|(_, said)| panic!("the server did not start: {said}"))
    }

    /// A server on a data directory.
    pub fn on(data: &TempDir) -> Server {
        let data = data.path().to_str().expect("paths of tests are text");
        Self::start(&["--data", data])
            .unwrap_or_else(|(_, said)| panic!("the server did not start: {said}"))
    }

    /// A server with these arguments; if it ends instead, its status and what it said on standard
    /// error.
    pub fn start(args: &[&str]) -> Result<Server, (ExitStatus, String)> {
        Self::run(binary::build("standalone"), args)
    }

    /// A `tinykv playground` with one store, in memory or on a data directory.
    pub fn playground(data: Option<&TempDir>) -> Server {
        let mut args = vec!["playground", "--stores", "1"];
        match data {
            Some(data) => {
                args.extend(["--data", data.path().to_str().expect("paths of tests are text")]);
            }
            None => args.push("--memory"),
        }
        Self::run(binary::build_of("txn", "tinykv"), &args)
            .unwrap_or_else(|(_, said)| panic!("the server did not start: {said}"))
    }

    /// A `tinykv playground` with a scheduler and three stores, in memory.
    pub fn cluster() -> Server {
        let args = ["playground", "--memory", "--status-addr", "127.0.0.1:0"];
        Self::run(binary::build_of("txn", "tinykv"), &args)
            .unwrap_or_else(|(_, said)| panic!("the server did not start: {said}"))
    }

    fn run(
        program: impl AsRef<std::ffi::OsStr>,
        args: &[&str],
    ) -> Result<Server, (ExitStatus, String)> {
        let said = NamedTempFile::new().expect("there is room for a log");
        let mut child = Command::new(program)
            .args(on_own_address(args))
            .args(["--log", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(said.reopen().expect("the log was just made"))
            .spawn()
            .expect("the server starts");
        let mut banner = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut banner).expect("the banner is text");
        let word = |name: &str| {
            let found = banner.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.unwrap_or_default().to_owned()
        };
        let (addr, pd_addr) = (word("addr="), word("pd-addr="));
        let server = Server { child, said, addr, pd_addr };
        if banner.is_empty() { Err(server.end()) } else { Ok(server) }
    }

    /// What it said on standard error so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.said.path()).expect("the log is text")
    }

    /// The memory that it uses, in bytes; `None` where the system does not say.
    pub fn resident(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }

    /// kill -9: no handler runs, nothing is flushed.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        // Dropping waits for it.
    }

    /// SIGTERM, as a service manager would; returns the status that it ended with.
    pub fn terminate(self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.end().0
    }

    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it is our child");
        (status, self.said())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let said = self.said();
        if !std::thread::panicking() {
            assert!(!said.contains("panicked"), "the server panicked: {said}");
        }
    }
}
