//! Tries to break out, before anybody's code is let in.
//!
//! The same room that will hold submissions gets this program first, as a burglar ([`Burglar::burgle`]): it looks for the
//! network, writes where it must not, reads the reference and the hidden seeds, looks for the grader's process and
//! tries to signal it and to read its memory, raises its limits, and starts 500 processes. Each attempt that
//! succeeds is a reason not to grade. An attempt that cannot even be made (the burglar does not run) is one too.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use grader::process;

use super::{Kind, Room, Sandbox};

/// Name of the hidden command.
pub const COMMAND: &str = "__burgle";

/// How many processes a fork bomb tries to have.
const BOMB: usize = 500;

/// The attempt that an instructor may let pass, where each submission has a container of its own.
pub const NETWORK: &str = "find a way into the network";

/// What the burglar is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Burglar {
    /// A port of this machine that listens.
    #[arg(long)]
    port: Option<u16>,
    /// The grader's process.
    #[arg(long)]
    grader: u32,
    /// What must not be readable.
    #[arg(long)]
    read: Vec<PathBuf>,
    /// Folders that must not be writable.
    #[arg(long)]
    write: Vec<PathBuf>,
    /// Be one process of a fork bomb, and wait.
    #[arg(long)]
    wait: bool,
}

/// An attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub what: String,
    /// How far it came, if it came through.
    pub escaped: Option<String>,
}

/// Lets the burglar into the room. `secret` files and folders must not be readable, `ours` must not be writable.
///
/// # Errors
/// The burglar cannot be started, or does not report. Then nothing is known, and nothing may be graded.
pub fn run(
    sandbox: &Sandbox,
    room: &Room,
    secret: &[PathBuf],
    ours: &[PathBuf],
) -> Result<Vec<Attempt>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("no port of this machine can be had")?;
    let mut room = room.clone();
    room.readable.push(sandbox.helper.clone());
    let mut command = sandbox.command(&room, &sandbox.helper);
    command.arg(COMMAND).args(["--grader", &std::process::id().to_string()]);
    // A container's own loopback leads nowhere, and another user cannot be kept from it.
    if sandbox.kind == Kind::Bwrap {
        command.args(["--port", &listener.local_addr()?.port().to_string()]);
    }
    for path in secret {
        command.arg("--read").arg(path);
    }
    for path in ours {
        command.arg("--write").arg(path);
    }
    let finished = process::run(command, Duration::from_secs(60))
        .context("the self-test cannot be started")?;
    let mut attempts = Vec::new();
    for line in finished.stdout.lines() {
        match line.split_once('\t') {
            Some(("held", what)) => attempts.push(Attempt { what: what.into(), escaped: None }),
            Some(("escaped", rest)) => {
                let (what, how) = rest.split_once('\t').unwrap_or((rest, ""));
                attempts.push(Attempt { what: what.into(), escaped: Some(how.into()) });
            }
            _ => {}
        }
    }
    let done = finished.stdout.lines().last() == Some("done");
    if !done {
        anyhow::bail!(
            "the self-test of the sandbox did not come to its end ({}): {}",
            finished.status,
            finished.stderr.trim_end()
        );
    }
    Ok(attempts)
}

impl Burglar {
    /// Tries everything, and reports each attempt in a line.
    pub fn burgle(self) -> ExitCode {
        if self.wait {
            // A process of the bomb does nothing, until somebody ends it. If nobody does, it ends by itself.
            std::thread::sleep(Duration::from_secs(60));
            return ExitCode::SUCCESS;
        }
        let tell = |what: &str, escaped: Option<String>| {
            let mut out = std::io::stdout().lock();
            let _ = match escaped {
                Some(how) => writeln!(out, "escaped\t{what}\t{}", how.replace(['\n', '\t'], " ")),
                None => writeln!(out, "held\t{what}"),
            };
        };
        if let Some(port) = self.port {
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let got = TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok();
            tell("connect to this machine", got.map(|_| format!("port {port} answered")));
        }
        tell(NETWORK, route());
        for folder in &self.write {
            let file = folder.join(format!(".burglar-{}", std::process::id()));
            let written = fs::write(&file, b"was here").is_ok();
            let _ = fs::remove_file(&file);
            tell(
                &format!("write into {}", folder.display()),
                written.then(|| "a file was written".into()),
            );
        }
        for path in &self.read {
            let seen = fs::read_dir(path).is_ok() || fs::File::open(path).is_ok();
            tell(&format!("read {}", path.display()), seen.then(|| "it can be opened".into()));
        }
        tell("reach the grader's process", self.process());
        tell("raise a limit", raise());
        tell(&format!("start {BOMB} processes"), bomb());
        println!("done");
        ExitCode::SUCCESS
    }

    fn process(&self) -> Option<String> {
        // In a room with process numbers of its own this number is nobody, or somebody of the room.
        let grader = format!("/proc/{}", self.grader);
        for file in ["environ", "mem", "fd", "root", "cwd"] {
            let path = format!("{grader}/{file}");
            if fs::File::open(&path).is_ok()
                || fs::read_link(&path).is_ok()
                || fs::read_dir(&path).is_ok()
            {
                return Some(format!("{path} can be opened"));
            }
        }
        let pid = i32::try_from(self.grader).ok().and_then(rustix::process::Pid::from_raw)?;
        rustix::process::test_kill_process(pid).is_ok().then(|| "it can be sent signals".into())
    }
}

/// Whether some address outside has a route. Connecting a datagram socket sends nothing.
fn route() -> Option<String> {
    ["1.1.1.1:53", "192.0.2.1:9", "10.0.0.1:9", "[2001:db8::1]:9"].into_iter().find_map(|to| {
        let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        UdpSocket::bind(any).ok()?.connect(to).ok().map(|()| format!("there is a route to {to}"))
    })
}

fn raise() -> Option<String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Some(now) = getrlimit(Resource::Nproc).maximum else {
        return Some("there is no limit on processes".into());
    };
    let more = Rlimit { current: Some(now + 1), maximum: Some(now + 1) };
    setrlimit(Resource::Nproc, more).is_ok().then(|| "the limit on processes can be raised".into())
}

/// Starts processes until the room says no.
fn bomb() -> Option<String> {
    let me = std::env::current_exe().ok()?;
    let mut children: Vec<Child> = Vec::new();
    while children.len() < BOMB {
        let mut command = Command::new(&me);
        command.arg(COMMAND).args(["--wait", "--grader", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => children.push(child),
            Err(_) => break,
        }
    }
    let all = children.len() == BOMB;
    for child in &mut children {
        let _ = child.kill();
        let _ = child.wait();
    }
    all.then(|| format!("all {BOMB} of them ran"))
}
