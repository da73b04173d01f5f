//! A room with no doors: where students' code is compiled, and where it runs.
//!
//! A [`Room`] says what a program may see and use; a [`Sandbox`] makes the command that runs it there. There are two
//! kinds, because there are two kinds of machine that classes are graded on:
//!
//! - **bwrap** ([bubblewrap]): name spaces. No network at all, not even the machine's own; a file tree that holds what
//!   the room names and is read-only but for a small memory disk; process numbers of its own, so that nothing else is
//!   even visible, and so that everything inside ends with its first process.
//! - **uid**: another user, for use *inside a container*, where name spaces cannot be made. The container has to have
//!   no network and to keep the course unreadable for that user; what the user leaves behind is swept up.
//!
//! In both, a last step inside the room ([`inner`]) sets what a process may use and gives up all privileges.
//! Whether the walls hold is not believed but tried, at the start of every class, by [`selftest`].
//!
//! Root can do more than name spaces promise (no limit on the number of processes binds it), so a grader that runs as
//! root takes another user inside as well.
//!
//! [bubblewrap]: https://github.com/containers/bubblewrap

pub mod inner;
pub mod selftest;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Which walls there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Name spaces, by bubblewrap.
    Bwrap,
    /// Another user, inside a container.
    Uid,
    /// None. Whoever grades strangers' code so should own nothing on the machine.
    None,
}

impl Kind {
    /// The word for reports.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Bwrap => "bwrap",
            Kind::Uid => "uid",
            Kind::None => "none",
        }
    }
}

/// A user who owns nothing. Debian keeps this number free.
pub const NOBODY: u32 = 65_533;

/// How to run what is not trusted.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// The walls.
    pub kind: Kind,
    /// The user inside, where the grader can choose one.
    pub uid: u32,
    /// This program, under a path that the room may show.
    pub helper: PathBuf,
    /// The grader is root.
    pub root: bool,
}

/// What a program in the sandbox may see and use.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// Files and folders that it may read, beside the system's programs and libraries.
    pub readable: Vec<PathBuf>,
    /// Folders that it may write.
    pub writable: Vec<PathBuf>,
    /// Where it starts.
    pub folder: PathBuf,
    /// Its whole environment.
    pub env: Vec<(String, OsString)>,
    /// How much it may use.
    pub limits: Use,
}

/// How much the processes of a room may use. Memory and processor time of tests are the grader's own limits
/// ([`grader::limits`]) and are inherited.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// Processes and threads, all together.
    pub processes: u64,
    /// The largest file, in MiB.
    pub file_mib: u64,
    /// The memory disk at `/tmp`, in MiB (bubblewrap only).
    pub disk_mib: u64,
    /// Address space of each process, in MiB; 0 leaves what was inherited.
    pub memory_mib: u64,
    /// Processor time of each process, in seconds; 0 leaves what was inherited.
    pub cpu_seconds: u64,
}

impl Default for Use {
    // A subject answers questions: one thread, no file.
    fn default() -> Self {
        Use { processes: 64, file_mib: 16, disk_mib: 16, memory_mib: 0, cpu_seconds: 0 }
    }
}

impl Sandbox {
    /// The sandbox that was asked for, or the best that this machine has: bubblewrap if it works, else another user if
    /// the grader is root.
    ///
    /// # Errors
    /// There is none, or the one that was asked for is not there.
    pub fn find(asked: Option<Kind>, uid: u32, helper: PathBuf) -> Result<Self> {
        let root = rustix::process::geteuid().is_root();
        let with = |kind| Sandbox { kind, uid, helper: helper.clone(), root };
        match asked {
            Some(Kind::None) => Ok(with(Kind::None)),
            Some(Kind::Uid) if !root => {
                bail!(
                    "the sandbox `uid` needs a grader that is root, inside a container of its own"
                )
            }
            Some(Kind::Uid) => Ok(with(Kind::Uid)),
            Some(Kind::Bwrap) => {
                let bwrap = with(Kind::Bwrap);
                bwrap.works().context("bubblewrap does not work here")?;
                Ok(bwrap)
            }
            None => {
                let bwrap = with(Kind::Bwrap);
                match bwrap.works() {
                    Ok(()) => Ok(bwrap),
                    Err(_) if root => Ok(with(Kind::Uid)),
                    Err(e) => bail!(
                        "no sandbox works here, so strangers' code will not be run. Bubblewrap says: {e:#}\nInstall `bubblewrap` (with user name spaces allowed), or grade as root inside a container, or say --no-sandbox if you trust every line."
                    ),
                }
            }
        }
    }

    fn works(&self) -> Result<()> {
        let room =
            Room { readable: vec![self.helper.clone()], folder: "/".into(), ..Room::default() };
        let output = self.command(&room, Path::new("/bin/true")).output();
        let output =
            output.context("`bwrap` cannot be started; the package is called bubblewrap")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(())
    }

    /// The user who owns what a room may write, where that is another one than ours.
    pub fn owner(&self) -> Option<u32> {
        (self.root && self.kind != Kind::None).then_some(self.uid)
    }

    /// A command that runs `program` in the room; arguments may follow.
    pub fn command(&self, room: &Room, program: &Path) -> Command {
        let mut command = match self.kind {
            Kind::Bwrap => self.bwrap(room),
            Kind::Uid | Kind::None => {
                let mut command = Command::new(&self.helper);
                command.env_clear().current_dir(&room.folder);
                command.envs(room.env.iter().map(|(k, v)| (k, v)));
                command
            }
        };
        let Use { processes, file_mib, memory_mib, cpu_seconds, .. } = room.limits;
        command.arg(inner::COMMAND);
        if let Some(uid) = self.owner() {
            command.args(["--uid", &uid.to_string()]);
        }
        // Without walls our own processes would count.
        let processes = if self.kind == Kind::None { 0 } else { processes };
        for (name, value) in [
            ("--processes", processes),
            ("--file-mib", file_mib),
            ("--memory-mib", memory_mib),
            ("--cpu-seconds", cpu_seconds),
        ] {
            if value > 0 {
                command.args([name, &value.to_string()]);
            }
        }
        command.arg("--").arg(program);
        command
    }

    fn bwrap(&self, room: &Room) -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--die-with-parent", "--new-session", "--hostname", "room"]);
        command.args([
            "--unshare-ipc",
            "--unshare-pid",
            "--unshare-net",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]);
        if self.root {
            // Just enough to become somebody else.
            command.args([
                "--cap-drop",
                "ALL",
                "--cap-add",
                "CAP_SETUID",
                "--cap-add",
                "CAP_SETGID",
            ]);
        } else {
            let uid = self.uid.to_string();
            command.args(["--unshare-user", "--uid", &uid, "--gid", &uid]);
        }
        command.arg("--clearenv");
        for (name, value) in &room.env {
            command.arg("--setenv").arg(name).arg(value);
        }
        for folder in ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"] {
            match std::fs::read_link(folder) {
                Ok(target) => command.arg("--symlink").arg(target).arg(folder),
                Err(_) => command.args(["--ro-bind-try", folder, folder]),
            };
        }
        command.args(["--perms", "0755", "--dir", "/etc"]);
        for file in
            ["/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"]
        {
            command.args(["--ro-bind-try", file, file]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev"]);
        let bytes = (room.limits.disk_mib << 20).to_string();
        // Others must be able to write there: the inner step changes the user.
        command.args(["--perms", "1777", "--size", &bytes, "--tmpfs", "/tmp"]);
        // Folders on the way would be made for their maker alone.
        let mut ways: Vec<&Path> = room
            .readable
            .iter()
            .chain(&room.writable)
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|way| {
                way.parent().is_some() && !way.starts_with("/usr") && *way != Path::new("/tmp")
            })
            .collect();
        ways.sort();
        ways.dedup();
        // What lies in the room's own `/tmp` belongs to whoever is inside, if the grader is not root. So these are disks of
        // their own, closed when all is in its place.
        let (closed, ways): (Vec<&Path>, Vec<&Path>) =
            ways.into_iter().partition(|way| way.parent() == Some(Path::new("/tmp")));
        for way in &closed {
            command.args(["--perms", "0755", "--size", "65536", "--tmpfs"]).arg(way);
        }
        for way in ways {
            command.args(["--perms", "0755", "--dir"]).arg(way);
        }
        for path in &room.readable {
            command.arg("--ro-bind").arg(path).arg(path);
        }
        for path in &room.writable {
            command.arg("--bind").arg(path).arg(path);
        }
        for way in closed {
            command.arg("--remount-ro").arg(way);
        }
        // What bubblewrap made by itself, /dev/shm included, is memory without a limit: closed.
        command.args(["--remount-ro", "/dev", "--remount-ro", "/"]);
        command.arg("--chdir").arg(&room.folder).arg("--").arg(&self.helper);
        command
    }

    /// The command as a line for a shell script, with the script's own arguments behind it.
    pub fn script(&self, room: &Room, program: &Path) -> String {
        let command = self.command(room, program);
        let mut line = String::from("#!/bin/sh\n");
        if self.kind != Kind::Bwrap {
            line += &format!("cd {} || exit 3\nexec env -i", quoted(room.folder.as_os_str()));
            for (name, value) in &room.env {
                line += &format!(" {name}={}", quoted(value));
            }
        } else {
            line += "exec";
        }
        // Limits on processes bind a user. Where nothing is owned by the user inside, each room has one of its own, so that
        // a fork bomb starves nobody else.
        let own_user = self.kind == Kind::Bwrap && self.root && room.writable.is_empty();
        let mut before = std::ffi::OsStr::new("");
        for word in std::iter::once(command.get_program()).chain(command.get_args()) {
            line.push(' ');
            line += &if own_user && before == "--uid" {
                "$((1000000 + $$))".into()
            } else {
                quoted(word)
            };
            before = word;
        }
        line + " \"$@\"\n"
    }
}

fn quoted(word: &std::ffi::OsStr) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"))
}
