//! Two ways to reach a subject: in this process, or behind a pipe.
//!
//! A suite asks its [`Launch`] for a subject and gets a [`Link`]: one question, one answer.
//! [`InProcess`] calls the subject directly, which a debugger likes. [`Process`] starts a program and
//! exchanges frames with it; the judge uses it, so that no student code shares its memory. Dropping
//! a link is a crash of the subject: nothing is said to it, its process is killed.
//!
//! [`serve`] is the other end of the pipe. It moves the real standard output out of reach first: what
//! student code prints goes to standard error, and cannot be taken for a frame.

use std::io::{self, BufReader, BufWriter, Read};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::harness::{WHISPERED, panics};
use crate::seam::{Answer, Protocol, Subject, read_frame, write_frame};

/// A conversation with one living subject.
pub trait Link<P: Protocol> {
    /// Sends one input, returns what the subject did.
    ///
    /// # Errors
    /// [`Failure::Panicked`] or [`Failure::Ended`] when the subject is gone (the link is of no
    /// further use), [`Failure::Undecided`] when it did not answer before the backstop.
    fn exchange(&mut self, input: P::Input) -> Outcome<Vec<P::Effect>>;
}

/// Starts subjects.
pub trait Launch<P: Protocol> {
    /// A fresh subject that knows nothing of earlier ones.
    ///
    /// # Errors
    /// [`Failure::Undecided`] when its process cannot be started: that is not the student's fault.
    fn launch(&self) -> Outcome<Box<dyn Link<P>>>;
}

/// Subjects in this process, made by a function.
pub struct InProcess<S>(pub fn() -> S);

impl<P: Protocol, S: Subject<P> + 'static> Launch<P> for InProcess<S> {
    fn launch(&self) -> Outcome<Box<dyn Link<P>>> {
        let subject = panics::catch(self.0).map_err(into_failure)?;
        Ok(Box::new(DirectLink(subject)))
    }
}

struct DirectLink<S>(S);

impl<P: Protocol, S: Subject<P>> Link<P> for DirectLink<S> {
    fn exchange(&mut self, input: P::Input) -> Outcome<Vec<P::Effect>> {
        panics::catch(|| self.0.handle(input)).map_err(into_failure)
    }
}

fn into_failure(panic: panics::Panic) -> Failure {
    Failure::Panicked { message: panic.message, at: panic.at }
}

/// How long a subject may think about one input before the judge gives up: a backstop that is
/// thousands of times what the reference needs, and whose verdict is *undecided*.
pub const ANSWER_BACKSTOP: Duration = Duration::from_secs(20);

/// Subjects in processes of their own: `PROGRAM subject SUITE`.
pub struct Process {
    /// The program, which calls [`serve`] when its first argument is `subject`.
    pub program: PathBuf,
    /// Which of the program's suites is to be answered, by the module that its tests begin with (`stage3a`).
    pub suite: String,
    /// A trap: the subject is asked as ever, and then whatever it answered is thrown away. In such a world a test of
    /// what somebody does cannot pass, unless the verdict is not the judge's own.
    pub mute: bool,
}

impl<P: Protocol> Launch<P> for Process {
    fn launch(&self) -> Outcome<Box<dyn Link<P>>> {
        let undecided = |e: io::Error| Failure::Undecided {
            why: format!("the subject {} cannot be started: {e}", self.program.display()),
        };
        let mut child = Command::new(&self.program)
            .args(["subject", &self.suite])
            // What was whispered to the judge is not for its subject.
            .env_remove(WHISPERED)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(undecided)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(undecided(io::Error::other("it has no pipes")));
        };
        let stdin = BufWriter::new(stdin);
        let answers = BufReader::new(Patient { stdout, until: Instant::now() });
        let (mute, speaks) = (self.mute, PhantomData);
        Ok(Box::new(PipeLink::<P> { child, stdin, answers, mute, speaks }))
    }
}

/// A subject's output, for whose next byte nobody waits longer than this (on Unix; elsewhere the grader's own backstop has to
/// do). No thread reads it: it would be woken twice for each answer, which takes longer than most answers do.
struct Patient {
    stdout: ChildStdout,
    until: Instant,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        wait_for(&self.stdout, self.until)?;
        self.stdout.read(buffer)
    }
}

/// Waits until there is something to read, or the end of it.
#[cfg(unix)]
fn wait_for(stdout: &ChildStdout, until: Instant) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(stdout, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.map(drop).map_err(io::Error::from),
        }
    }
}

struct PipeLink<P: Protocol> {
    child: Child,
    stdin: BufWriter<ChildStdin>,
    answers: BufReader<Patient>,
    mute: bool,
    speaks: PhantomData<fn() -> P>,
}

impl<P: Protocol> Link<P> for PipeLink<P> {
    fn exchange(&mut self, input: P::Input) -> Outcome<Vec<P::Effect>> {
        // A broken pipe shows up as the end of the answers, with a better reason.
        let _ = write_frame(&mut self.stdin, &input);
        // The edge, and no verdict: a real process may hang in real time, and then nothing is decided.
        self.answers.get_mut().until = Instant::now() + ANSWER_BACKSTOP;
        match read_frame(&mut self.answers) {
            Ok(Some(Answer::Effects(_))) if self.mute => Ok(Vec::new()),
            Ok(Some(Answer::Effects(effects))) => Ok(effects),
            Ok(Some(Answer::Panicked { message, at })) => Err(Failure::Panicked { message, at }),
            Ok(None) => Err(self.ended()),
            Err(e) if e.kind() == io::ErrorKind::TimedOut => Err(Failure::Undecided {
                why: format!(
                    "the subject did not answer one input within {} s; an endless loop looks like this",
                    ANSWER_BACKSTOP.as_secs()
                ),
            }),
            Err(e) => Err(Failure::Ended {
                how: format!("the subject answered with bytes that are no answer ({e})"),
            }),
        }
    }
}

impl<P: Protocol> PipeLink<P> {
    fn ended(&mut self) -> Failure {
        // Its output is closed; give the process a moment to be gone, or make it go.
        for _ in 0..100 {
            if let Ok(Some(status)) = self.child.try_wait() {
                return describe_end(status);
            }
            // The edge, and no verdict: the subject is lost already, this is about the words. Real processes take real time.
            thread::sleep(Duration::from_millis(10));
        }
        Failure::Ended { how: "the subject closed its output before the judge said stop".into() }
    }
}

fn describe_end(status: std::process::ExitStatus) -> Failure {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        // Whoever starts the subject for us (a shell, a sandbox) tells its signal as a code above 128.
        let told =
            status.code().and_then(|code| code.checked_sub(128)).filter(|n| (1..=64).contains(n));
        match status.signal().or(told) {
            Some(6) => {
                return Failure::Ended {
                    how: "the subject's process aborted (SIGABRT); running out of its memory limit looks like this"
                        .into(),
                };
            }
            // 24 is SIGXCPU: a limit in seconds decides nothing.
            Some(24) => {
                return Failure::Undecided { why: "the subject used up its processor time".into() };
            }
            Some(signal) => {
                return Failure::Ended {
                    how: format!(
                        "the subject's process was ended by signal {signal} before the judge said stop"
                    ),
                };
            }
            None => {}
        }
    }
    Failure::Ended {
        how: format!(
            "the subject's process ended ({status}) before the judge said stop; something called exit()"
        ),
    }
}

impl<P: Protocol> Drop for PipeLink<P> {
    fn drop(&mut self) {
        // Already gone is fine: gone is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The subject's end of the pipe: answers frames on standard input until it ends.
///
/// # Errors
/// When the pipe breaks, or the judge sends what does not decode.
pub fn serve<P: Protocol, S: Subject<P>>(make: fn() -> S) -> io::Result<()> {
    let (input, output) = private_pipes()?;
    let (mut input, mut output) = (BufReader::new(input), BufWriter::new(output));
    let mut subject = None;
    while let Some(question) = read_frame::<P::Input>(&mut input)? {
        let answer = panics::catch(|| subject.get_or_insert_with(make).handle(question));
        match answer {
            Ok(effects) => write_frame(&mut output, &Answer::Effects(effects))?,
            Err(panics::Panic { message, at }) => {
                write_frame(&mut output, &Answer::<P::Effect>::Panicked { message, at })?;
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
fn private_pipes() -> io::Result<(std::fs::File, std::fs::File)> {
    use std::os::fd::AsFd;
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok((input.into(), output.into()))
}

// Elsewhere a `println!` in student code spoils a frame: the run fails, and says so.
#[cfg(not(unix))]
fn private_pipes() -> io::Result<(io::Stdin, io::Stdout)> {
    Ok((io::stdin(), io::stdout()))
}
