//! One line that says what is going on, where a person sits: standard error is a terminal.
//!
//! The line names the test that has been running for longest, so that an endless loop is seen long
//! before the backstop. A thread redraws it twice a second; when the work is done the line is gone.
//!
//! Elsewhere, and with `--plain`, work of unknown length is named once if it takes more than a moment: a first build is minutes
//! of silence.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Work that is done sooner needs no word.
const SILENCE: Duration = Duration::from_secs(5);

/// The progress line.
#[derive(Default)]
pub struct Progress {
    shared: Option<Arc<Shared>>,
    drawer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    named: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    what: String,
    done: usize,
    total: usize,
    running: Vec<(String, Instant)>,
    /// When the work began, if nobody knows how long it takes.
    began: Option<Instant>,
}

impl Progress {
    /// Shows nothing.
    pub fn silent() -> Self {
        Self::default()
    }

    /// Shows a line if standard error is a terminal, and else some words.
    pub fn detect(plain: bool) -> Self {
        let words = plain || !stderr().is_terminal();
        let shared = Arc::new(Shared::default());
        let drawn = Arc::clone(&shared);
        let drawer = thread::spawn(move || {
            while !drawn.stop.load(Ordering::Relaxed) {
                if words {
                    drawn.name_what_is_slow();
                } else {
                    draw(&drawn.line());
                }
                thread::park_timeout(Duration::from_millis(500));
            }
            if !words {
                draw("");
            }
        });
        Progress { shared: Some(shared), drawer: Some(drawer) }
    }

    /// Begins a piece of work with `total` steps (0: nobody knows).
    pub fn phase(&self, what: &str, total: usize) {
        let began = (total == 0).then(Instant::now);
        self.change(|state| *state = State { what: what.into(), total, began, ..State::default() });
    }

    /// It is done, and nobody has said yet what comes next.
    pub fn done(&self) {
        self.change(|state| *state = State::default());
    }

    /// A sentence about a step without an end of its own.
    pub fn step(&self, what: &str) {
        self.change(|state| {
            state.done += 1;
            state.running = vec![(what.into(), Instant::now())];
        });
    }

    /// A step begins.
    pub fn begin(&self, what: &str) {
        self.change(|state| state.running.push((what.into(), Instant::now())));
    }

    /// It ends.
    pub fn end(&self, what: &str) {
        self.change(|state| {
            state.done += 1;
            state.running.retain(|(running, _)| running != what);
        });
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        if let Some(shared) = &self.shared {
            f(&mut shared.lock());
            if let Some(drawer) = &self.drawer {
                drawer.thread().unpark();
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let (Some(shared), Some(drawer)) = (&self.shared, self.drawer.take()) {
            shared.stop.store(true, Ordering::Relaxed);
            drawer.thread().unpark();
            let _ = drawer.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name_what_is_slow(&self) {
        let state = self.lock();
        let slow = state.began.is_some_and(|began| began.elapsed() >= SILENCE);
        if slow && !self.named.swap(true, Ordering::Relaxed) {
            // A reader that is gone needs no words.
            let _ = writeln!(stderr(), "{} ...", state.what);
        }
    }

    fn line(&self) -> String {
        let state = self.lock();
        let mut line = state.what.clone();
        if state.total > 0 {
            line += &format!(" {}/{}", state.done.min(state.total), state.total);
        }
        if let Some((oldest, since)) = state.running.first() {
            line += &format!(": {oldest}");
            let seconds = since.elapsed().as_secs();
            if seconds >= 2 {
                line += &format!(" ({seconds} s)");
            }
        }
        line
    }
}

fn draw(line: &str) {
    let width = width().saturating_sub(1);
    let line: String = line.chars().take(width).collect();
    let mut out = stderr().lock();
    // A terminal that is gone needs no progress.
    let _ = write!(out, "\r\x1b[K{line}");
    let _ = out.flush();
}

fn width() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(stderr())
        && size.ws_col > 0
    {
        return usize::from(size.ws_col).max(20);
    }
    80
}
