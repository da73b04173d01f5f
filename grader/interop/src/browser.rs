//! A headless Chromium, driven over a pipe: pages are looked at by the program that readers use.
//!
//! The DevTools protocol on file descriptors 3 and 4 (`--remote-debugging-pipe`): messages are JSON, each ended by a zero
//! byte. So there is no port to find, no socket, and no crate; a shell puts our two pipes in their places. Whoever drops a
//! [`Browser`] ends it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Everything here ends by then, whatever the browser does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next: u64,
    session: String,
    _profile: TempDir,
}

/// Where Chromium is: what `TINYKV_CHROMIUM` names, or the first known name on the PATH.
pub fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TINYKV_CHROMIUM") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

impl Browser {
    /// Starts the browser with a page of this size that shows nothing yet.
    ///
    /// # Panics
    /// When it does not start: a test cannot go on.
    pub fn start(program: &Path, width: u32, height: u32) -> Self {
        let profile = tempfile::tempdir().expect("a folder for the browser's profile");
        let mut child = Command::new("sh")
            .arg("-c")
            .arg("exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null")
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let to = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, from) = channel();
        thread::spawn(move || {
            for message in BufReader::new(stdout).split(0).map_while(Result::ok) {
                let Ok(value) = serde_json::from_slice(&message) else { continue };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser =
            Browser { child, to, from, next: 0, session: String::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        browser.call("Page.enable", json!({}));
        browser.resize(width, height);
        browser
    }

    /// The page's size, in pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Calls a method of the protocol; the answer's result.
    ///
    /// # Panics
    /// When it is refused, or not answered in time.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let bytes = [message.to_string().as_bytes(), &[0]].concat();
        self.to.write_all(&bytes).and_then(|()| self.to.flush()).expect("the browser listens");
        let id = self.next;
        let answer = self.wait_for(method, |value| value["id"] == json!(id));
        assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    fn wait_for(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.from.recv_timeout(left) {
                Ok(value) if is_it(&value) => return value,
                Ok(_) => {}
                Err(e) => panic!("{what}: no word from the browser: {e}"),
            }
        }
    }

    /// Opens an address, and waits until it is loaded; how long that took.
    ///
    /// # Panics
    /// As [`Browser::call`].
    pub fn open(&mut self, url: &str) -> Duration {
        let begun = Instant::now();
        self.call("Page.navigate", json!({ "url": url }));
        self.wait_for("load", |value| value["method"] == json!("Page.loadEventFired"));
        begun.elapsed()
    }

    /// The value of an expression in the page; a promise is awaited.
    ///
    /// # Panics
    /// As [`Browser::call`], and when the expression throws.
    pub fn eval(&mut self, expression: &str) -> Value {
        let parameters =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", parameters);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}\nthrows {thrown}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    /// When it never is.
    pub fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.eval(expression) != json!(true) {
            assert!(Instant::now() < deadline, "never true: {expression}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses a key, as the page sees it (`ArrowRight`, `v`).
    ///
    /// # Panics
    /// As [`Browser::call`].
    pub fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", json!({ "type": kind, "key": key }));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
