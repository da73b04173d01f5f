//! Runs one process to its end, or to the backstop, and keeps the head and tail of what it says.
//!
//! The process gets a group of its own, and at the end the whole group is killed: a test that leaves
//! a child behind would otherwise keep the pipes open and the grader waiting. What it prints is read
//! as it comes and bounded, so that an endless `println!` costs neither memory nor the verdict, which
//! stands in the last line.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How much of a stream's head is kept, and how much of its tail.
const KEPT: usize = 128 << 10;

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// The backstop ended it.
    pub timed_out: bool,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

/// Runs a command with nothing on its standard input.
///
/// # Errors
/// It cannot be started, or not waited for.
pub fn run(mut command: Command, backstop: Duration) -> io::Result<Finished> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    own_group(&mut command);
    let started = Instant::now();
    let mut child = start(&mut command)?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let ended = wait(&mut child, started + backstop);
    kill_group(&mut child);
    let (status, timed_out) = match ended? {
        Some(status) => (status, false),
        None => (child.wait()?, true),
    };
    let took = started.elapsed();
    Ok(Finished { status, timed_out, stdout: receive(&stdout), stderr: receive(&stderr), took })
}

/// Starts a command. A program that was copied a moment ago may still be open for writing in a process that another thread
/// has forked meanwhile, until that one becomes what it is to be; so a busy program is asked for again.
fn start(command: &mut Command) -> io::Result<Child> {
    for _ in 0..100 {
        match command.spawn() {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(10));
            }
            started => return started,
        }
    }
    command.spawn()
}

pub(crate) fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        // Short tests end within milliseconds, long ones need no haste.
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[cfg(unix)]
pub(crate) fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(unix)]
pub(crate) fn kill_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    // The group exists as long as one of its processes does; if none is left there is nothing to kill.
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(not(unix))]
pub(crate) fn own_group(_: &mut Command) {}

#[cfg(not(unix))]
pub(crate) fn kill_group(child: &mut Child) {
    let _ = child.kill();
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(mut stream) = stream {
        thread::spawn(move || {
            let mut kept = Bounded::default();
            let mut buffer = [0; 8192];
            loop {
                match stream.read(&mut buffer) {
                    Ok(n @ 1..) => kept.push(&buffer[..n]),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                }
            }
            let _ = sender.send(kept.text());
        });
    }
    receiver
}

fn receive(stream: &Receiver<String>) -> String {
    // The end of the stream follows the end of the group at once, unless a process has left the group
    // and kept the pipe. Then what it says is not worth waiting for.
    stream.recv_timeout(Duration::from_secs(2)).unwrap_or_default()
}

/// The first and the last [`KEPT`] bytes of a stream.
#[derive(Default)]
struct Bounded {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: usize,
}

impl Bounded {
    fn push(&mut self, mut bytes: &[u8]) {
        let room = KEPT - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        bytes = rest;
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * KEPT {
            let surplus = self.tail.len() - KEPT;
            self.tail.drain(..surplus);
            self.dropped += surplus;
        }
    }

    fn text(self) -> String {
        let mut all = self.head;
        if self.dropped > 0 {
            all.extend_from_slice(
                format!("\n[... {} bytes left out ...]\n", self.dropped).as_bytes(),
            );
        }
        all.extend_from_slice(&self.tail);
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// Keeps this thread and what it starts on its own core, if each core has one such `worker`. A judge and its subject work in
/// turns: on one core a turn is a switch, on two it wakes a core that sleeps, which takes longer than the turn.
#[cfg(target_os = "linux")]
pub fn stay_on_core(worker: usize, workers: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    if let Some(core) = cores.get(worker).filter(|_| cores.len() == workers) {
        let mut own = CpuSet::new();
        own.set(*core);
        // It is only slower without.
        let _ = sched_setaffinity(None, &own);
    }
}

/// Elsewhere the system knows best.
#[cfg(not(target_os = "linux"))]
pub fn stay_on_core(_: usize, _: usize) {}
