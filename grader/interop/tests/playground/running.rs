//! A playground that runs, as a process, and commands against it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use interop::binary;

/// How long a cluster may take to do what it should do by itself.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks.
pub const PAUSE: Duration = Duration::from_millis(200);

/// A playground with three stores.
pub struct Playground {
    process: Child,
    pub pd: String,
    pub status: String,
    store_pages: String,
}

impl Playground {
    /// In memory, at ports that the system picks.
    pub fn start() -> Playground {
        Playground::start_with(&["--memory"])
    }

    /// With its data here.
    pub fn start_in(data: &Path) -> Playground {
        Playground::start_with(&["--data", data.to_str().expect("a path of ours is text")])
    }

    fn start_with(flags: &[&str]) -> Playground {
        let any = "127.0.0.1:0";
        let mut process = tinykv()
            .args(["playground", "--pd-addr", any, "--addr", any, "--status-addr", any])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        let stdout = process.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("it is text"));
        let banner = lines.next().expect("it says that it is ready, or why not to standard error");
        // "store 1 at 127.0.0.1:20160:  http://127.0.0.1:20180/"
        let store = lines.find(|line| line.starts_with("store ")).expect("it names its stores");
        let pages = store.rsplit("http://").next().expect("a URL").trim_end_matches('/');
        let field = |name: &str| {
            let found = banner.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in: {banner}")).to_owned()
        };
        let (pd, status) = (field("pd-addr="), field("status-addr="));
        Playground { pd, status, store_pages: pages.to_owned(), process }
    }

    fn command(&self, command: &str) -> Command {
        let mut tinykv = tinykv();
        tinykv.args([command, "--pd", &self.pd]);
        tinykv
    }

    /// `tinykv ctl`, with these words.
    pub fn ctl(&self, words: &[&str]) -> Output {
        let mut ctl = self.command("ctl");
        ctl.args(["--status", &self.status]).args(words).output().expect("it runs")
    }

    /// What it prints; it must succeed.
    pub fn says(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "ctl {words:?} failed: {error}");
        String::from_utf8(output.stdout).expect("it is text")
    }

    /// What it complains about; it must fail.
    pub fn complains(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        assert!(!output.status.success(), "ctl {words:?} succeeded: {output:?}");
        String::from_utf8(output.stderr).expect("it is text")
    }

    /// The commands of a script, piped in.
    pub fn script(&self, lines: &str) -> Output {
        let mut ctl = self.command("ctl");
        ctl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = ctl.spawn().expect("it starts");
        let mut stdin = running.stdin.take().expect("it is piped");
        // Who ends early does not read the rest.
        let _ = stdin.write_all(lines.as_bytes());
        drop(stdin);
        running.wait_with_output().expect("it ends")
    }

    /// `tinykv bench`, with these words and `--json`: what it measured.
    pub fn bench(&self, words: &[&str]) -> serde_json::Value {
        let output = self.command("bench").args(words).arg("--json").output().expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "bench {words:?} failed: {error}");
        serde_json::from_slice(&output.stdout).expect("it is JSON")
    }

    /// Waits until the first region has three copies that vote: of two voters none can be spared.
    pub fn wait_for_copies(&self) {
        until("a region with three voters", || {
            let regions = self.says(&["region"]);
            let first = regions.lines().next().unwrap_or_default();
            first.matches(" on store ").count() == 3 && !first.contains(" learns")
        });
    }

    /// Where the pages of its first store are.
    pub fn store_pages(&self) -> String {
        self.store_pages.clone()
    }

    /// A request to the status pages, as it stands: the first line of the answer, and what follows the head.
    pub fn http(&self, head: &str) -> (String, String) {
        http(&self.status, head)
    }

    /// ctrl-c, and whether it ended well.
    pub fn interrupt(mut self) -> bool {
        let pid = i32::try_from(self.process.id()).expect("a process id is small");
        let pid = rustix::process::Pid::from_raw(pid).expect("it is not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().expect("it is our child") {
                return status.success();
            }
            std::thread::sleep(PAUSE);
        }
        false
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request as it stands.
pub fn http(addr: &str, head: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time that is not 0");
    let request = format!("{head}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

/// The binary.
pub fn tinykv() -> Command {
    let mut command = Command::new(binary::build_of("txn", "tinykv"));
    command.env("NO_COLOR", "1");
    command
}

/// Looks until it is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "there is still not: {what}");
        std::thread::sleep(PAUSE);
    }
}
