//! The last step into a room: this program, started inside of it, gives up what is left to give up and becomes the
//! program that is not trusted.
//!
//! Limits that bind a *user* (how many processes) count only once we are that user, so this has to happen inside, after
//! the name spaces stand. Everything here narrows; nothing can be taken back by what runs afterwards.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Name of the hidden command.
pub const COMMAND: &str = "__inside";

/// What to give up.
#[derive(Debug, Clone, clap::Args)]
pub struct Inside {
    /// Become this user.
    #[arg(long)]
    uid: Option<u32>,
    /// Processes and threads of this user.
    #[arg(long)]
    processes: Option<u64>,
    /// The largest file.
    #[arg(long)]
    file_mib: Option<u64>,
    /// Address space.
    #[arg(long)]
    memory_mib: Option<u64>,
    /// Processor time.
    #[arg(long)]
    cpu_seconds: Option<u64>,
    /// What to become.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Inside {
    /// Narrows this process and becomes the command. Comes back only if that fails.
    pub fn exec(self) -> ExitCode {
        let Some((program, arguments)) = self.command.split_first() else {
            return ExitCode::from(3);
        };
        for (resource, limit) in [
            (Resource::Core, Some(0)),
            (Resource::Nproc, self.processes),
            (Resource::Fsize, self.file_mib.map(|mib| mib << 20)),
            (Resource::As, self.memory_mib.map(|mib| mib << 20)),
            (Resource::Cpu, self.cpu_seconds),
            (Resource::Nofile, Some(512)),
        ] {
            let Some(limit) = limit else { continue };
            // Never higher than what we were given.
            let limit = getrlimit(resource).maximum.map_or(limit, |max| limit.min(max));
            if let Err(e) =
                setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })
            {
                eprintln!("{COMMAND}: a limit cannot be set: {e}");
                return ExitCode::from(3);
            }
        }
        let mut command = Command::new(program);
        command.args(arguments);
        if let Some(uid) = self.uid {
            // The standard library drops the supplementary groups as well.
            command.gid(uid).uid(uid);
        }
        let e = command.exec();
        eprintln!("{COMMAND}: {} cannot be run: {e}", program.display());
        ExitCode::from(3)
    }
}
