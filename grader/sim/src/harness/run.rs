//! One run of one test: its seed, its subjects, and what is found out on the way.

use crate::cluster::digest::Hasher;
use crate::cluster::protocol::Micros;
use crate::coverage::Coverage;
use crate::failure::{Failure, Outcome};
use crate::link::{Launch, Link};
use crate::rng::Rng;
use crate::seam::Protocol;
use crate::trace::Trace;

use super::spoken::Spoken;

/// What a test gets: its seed, a generator, and a way to start subjects.
pub struct Run<'a, P: Protocol> {
    /// The name of the test.
    pub test: String,
    /// The seed of this run.
    pub seed: u64,
    /// The generator of this run.
    pub rng: Rng,
    launch: &'a dyn Launch<P>,
    pub(super) record: bool,
    pub(super) shrink: bool,
    findings: Findings,
    /// What subjects were told and did, while traces are kept.
    spoken: Option<Spoken>,
    lives: u64,
}

/// What a run found out besides its verdict.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Inputs that subjects had, over all worlds of the test.
    pub inputs: u64,
    /// Virtual time, over all worlds of the test.
    pub virtual_us: Micros,
    /// The trace of the last world.
    pub trace: Trace,
    /// A hash over all worlds.
    pub hash: Option<u64>,
    /// What was exercised.
    pub coverage: Coverage,
    /// The shortest plan that still fails, for people.
    pub shrunk: Option<String>,
}

impl<'a, P: Protocol> Run<'a, P> {
    /// A run outside the test programs: for tests of the simulator, examples and tools.
    pub fn new(seed: u64, name: &str, launch: &'a dyn Launch<P>) -> Self {
        let rng = Rng::fork(seed, name);
        Run {
            test: name.to_owned(),
            seed,
            rng,
            launch,
            record: false,
            shrink: false,
            findings: Findings::default(),
            spoken: None,
            lives: 0,
        }
    }

    /// Keeps traces, and makes failing plans shorter before they are shown.
    #[must_use]
    pub fn thorough(mut self) -> Self {
        (self.record, self.shrink) = (true, true);
        self
    }

    /// Whether a failing plan is to be made shorter.
    pub fn shrinking(&self) -> bool {
        self.shrink
    }

    /// Does something that leaves no trace in the findings but the inputs that it took: a run beside this one.
    pub fn aside<T>(&mut self, record: bool, work: impl FnOnce(&mut Self) -> T) -> (T, Findings) {
        let kept = (std::mem::take(&mut self.findings), self.record, self.rng.clone());
        self.record = record;
        let result = work(self);
        let found = std::mem::replace(&mut self.findings, kept.0);
        self.findings.inputs += found.inputs;
        (self.record, self.rng) = (kept.1, kept.2);
        (result, found)
    }

    /// Notes the shortest plan that still fails, and what its run found: that run is told, so its inputs count, not those of
    /// all the runs that it took to find it.
    pub fn shrunk(&mut self, plan: String, found: Findings) {
        self.findings.shrunk = Some(plan);
        self.findings.trace = found.trace;
        (self.findings.inputs, self.findings.virtual_us) = (found.inputs, found.virtual_us);
    }

    /// Starts a fresh subject. Starting another after dropping the first is a restart.
    ///
    /// # Errors
    /// As [`Launch::launch`].
    pub fn start(&mut self) -> Outcome<Box<dyn Link<P>>> {
        let link = self.launch.launch()?;
        if !self.record {
            return Ok(link);
        }
        self.lives += 1;
        let spoken = self.spoken.get_or_insert_with(|| Spoken::new(self.seed));
        Ok(spoken.listen(link, self.lives))
    }

    /// Counts one input; worlds call it for each, reports print the sum.
    pub fn count_input(&mut self) {
        self.findings.inputs += 1;
    }

    /// Whether worlds are to keep their traces, not only hashes.
    pub fn recording(&self) -> bool {
        self.record
    }

    /// A world ends: its virtual time, its trace, and what it exercised.
    pub fn deposit(&mut self, virtual_us: Micros, trace: Trace, coverage: &Coverage) {
        let mut hash = Hasher::default();
        hash.number(self.findings.hash.unwrap_or_default());
        hash.number(trace.hash());
        self.findings.hash = Some(hash.finish());
        self.findings.virtual_us += virtual_us;
        self.findings.coverage.merge(coverage);
        self.findings.trace = trace;
    }

    /// What was found so far.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    pub(super) fn into_findings(mut self, failure: Option<&Failure>) -> Findings {
        // A world's own trace says more than its conversations.
        if self.findings.trace.lines().is_empty()
            && let Some(spoken) = self.spoken.take()
        {
            self.findings.trace = spoken.into_trace();
        }
        if let Some(failure) = failure {
            self.findings.trace.close(failure);
        }
        self.findings
    }
}
