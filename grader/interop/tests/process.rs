//! The real binary as a child process, and what every test of it needs.
//!
//! Cargo tells a test where its own package's binaries are, but not another's, so that the first
//! test that wants the server asks cargo to build it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use tempfile::{NamedTempFile, TempDir};

/// The path of the binary `standalone`, built in the profile of this test.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--package", "standalone", "--bin", "standalone"]);
        cargo.args(["--message-format", "json-render-diagnostics"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
        let output = cargo.output().expect("cargo runs: it has started this test");
        assert!(output.status.success(), "the server does not build: see cargo's text above");
        let messages = String::from_utf8(output.stdout).expect("cargo writes JSON");
        let executable = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message["executable"].as_str().map(PathBuf::from)
        });
        executable.expect("cargo says where the binary is")
    })
}

/// These arguments, and ports that the system picks where they name none.
fn on_free_ports<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let mut args = args.to_vec();
    for flag in ["--addr", "--pd-addr"] {
        if !args.contains(&flag) {
            args.extend([flag, "127.0.0.1:0"]);
        }
    }
    args
}

/// A server that runs in a process of its own, on ports that the system picked.
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
        let said = NamedTempFile::new().expect("there is room for a log");
        let mut child = Command::new(binary())
            .args(on_free_ports(args))
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
