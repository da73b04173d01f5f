//! Limits on a test's process, set by the grader itself, without `unsafe`.
//!
//! A limit has to be set in the new process, after it was forked and before it runs the test. Rust
//! offers a hook for that moment, which is `unsafe`; so the grader starts *itself* with the hidden
//! command `__limited`, sets the limits there, and then becomes the test program (`exec`).
//!
//! - Memory (`RLIMIT_AS`) decides: the allocation fails, Rust aborts, and the verdict is a fail that
//!   names the limit.
//! - Processor time (`RLIMIT_CPU`) does not: it ends a loop that has lost its way, also one that
//!   escaped from its process group, and the verdict is *undecided*.
//! - No core files; no file above 256 MiB, so that a test cannot fill the disk.
//! - On Linux the process dies with the grader: Ctrl-C leaves nothing running.
//!
//! On systems without these calls the command runs plainly; the wall-clock backstop is all there is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Name of the hidden command.
pub const COMMAND: &str = "__limited";

/// What a process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Address space, in MiB.
    pub memory_mib: u64,
    /// Processor time, in seconds.
    pub cpu_seconds: u64,
}

/// The program that knows `__limited`: this one.
///
/// # Errors
/// The system does not tell the path of this program.
pub fn helper() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        // Still this program when cargo has replaced the file meanwhile, as it does under --watch.
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().context("the grader cannot find its own program")
}

impl Limits {
    /// A command that runs `program` under these limits.
    pub fn command(self, helper: &Path, program: &Path) -> Command {
        let mut command = Command::new(helper);
        command
            .arg(COMMAND)
            .args(["--memory-mib", &self.memory_mib.to_string()])
            .args(["--cpu-seconds", &self.cpu_seconds.to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .arg("--")
            .arg(program);
        command
    }

    /// Sets the limits on this process and becomes `command`. Comes back only if that fails.
    pub fn exec(self, parent: u32, command: &[OsString]) -> ExitCode {
        let Some((program, arguments)) = command.split_first() else {
            eprintln!("{COMMAND}: nothing to run");
            return ExitCode::from(3);
        };
        if let Err(e) = self.set(parent) {
            eprintln!("{COMMAND}: the limits cannot be set: {e}");
            return ExitCode::from(3);
        }
        let mut command = Command::new(program);
        command.args(arguments);
        let e = become_command(&mut command);
        eprintln!("{COMMAND}: {} cannot be run: {e}", program.display());
        ExitCode::from(3)
    }

    #[cfg(unix)]
    fn set(self, parent: u32) -> std::io::Result<()> {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let lower = |resource, wanted: u64, grace: u64| {
            let cap = getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let limit = Rlimit {
                current: Some(wanted.min(cap)),
                maximum: Some(wanted.saturating_add(grace).min(cap)),
            };
            setrlimit(resource, limit)
        };
        #[cfg(not(target_os = "linux"))]
        let _ = parent;
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, getppid, set_parent_process_death_signal};
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the line above.
            let alive = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
            if alive != Some(parent) {
                return Err(std::io::Error::other("the grader is gone"));
            }
        }
        lower(Resource::Core, 0, 0)?;
        lower(Resource::Fsize, 256 << 20, 0)?;
        // A second of grace between the signal that can be told from others and the one that cannot.
        lower(Resource::Cpu, self.cpu_seconds, 1)?;
        // Apple's kernels refuse this one; there the backstop has to do.
        let memory = lower(Resource::As, self.memory_mib << 20, 0);
        if cfg!(target_os = "linux") { memory.map_err(Into::into) } else { Ok(()) }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self)]
    fn set(self, _: u32) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn become_command(command: &mut Command) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    command.exec()
}

#[cfg(not(unix))]
fn become_command(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(3)),
        Err(e) => e,
    }
}
