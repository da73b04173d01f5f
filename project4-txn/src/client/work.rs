//! Pieces of work: sent, answered, put to sleep, cut, given up.
//!
//! ```text
//!            keys grouped by region                  region error, or nothing came
//!   start --------------------------> at a store --------------------------------> asleep --> start
//!                                        | locked                                    (tries are counted)
//!                                        v
//!                  ask at the primary; clear the lock; start        (see `resolve.rs`)
//! ```

use proto::kvrpcpb::LockInfo;

use super::regions::Again;
use super::{Answer, Client, Effect, Key, Outcome, Phase, Request, Response};
use crate::TimeStamp;
use crate::mvcc::key::encode;

/// What a piece of work is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// The start timestamp.
    Begin,
    /// Read keys.
    Read,
    /// Lock keys.
    Prewrite,
    /// The commit timestamp.
    TimeToCommit,
    /// Commit the primary.
    CommitPrimary(TimeStamp),
    /// Commit the other keys of a transaction that has happened. In the background.
    CommitRest(TimeStamp, TimeStamp),
    /// Undo what a transaction that is given up may have written. In the background.
    Rollback(TimeStamp),
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The job itself.
    Job,
    /// A timestamp: it is the job, or the time at which a lock's owner is asked about.
    Timestamp,
    /// At this time: what became of the owner of the first lock?
    Check(TimeStamp),
    /// Finish the first lock: its owner has committed at this time, or (zero) was rolled back.
    Resolve(TimeStamp),
}

/// A piece of work.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// The call that it belongs to.
    call: u64,
    pub job: Job,
    pub keys: Vec<Key>,
    pub step: Step,
    /// The locks in its way.
    pub locks: Vec<LockInfo>,
    tries: u32,
    pause: u64,
}

impl Work {
    /// The same, with these locks in its way.
    pub fn met(self, locks: Vec<LockInfo>) -> Work {
        Work { locks, ..self }
    }

    fn is_in_background(&self) -> bool {
        matches!(self.job, Job::CommitRest(..) | Job::Rollback(_))
    }

    /// The keys that decide where the next request goes.
    fn route(&self) -> Vec<Key> {
        match (self.step, self.locks.first()) {
            (Step::Check(_), Some(lock)) => vec![lock.primary_lock.to_vec()],
            (Step::Resolve(_), Some(lock)) => vec![lock.key.to_vec()],
            _ => self.keys.clone(),
        }
    }
}

impl Client {
    /// Begins a job.
    pub(super) fn start(&mut self, job: Job, keys: Vec<Key>) {
        let step =
            if matches!(job, Job::Begin | Job::TimeToCommit) { Step::Timestamp } else { Step::Job };
        let pause = self.config.pauses.0;
        let work = Work { call: self.call, job, keys, step, locks: Vec::new(), tries: 0, pause };
        self.send(work);
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_stale(&self, work: &Work) -> bool {
        work.call != self.call && !work.is_in_background()
    }

    /// Sends what comes next, cut by region; asks for the regions that are not known.
    pub(super) fn send(&mut self, work: Work) {
        if work.step == Step::Timestamp {
            let id = self.ask(work, None);
            return self.effects.push(Effect::AskTimestamp { id });
        }
        let (parts, unknown) = self.regions.group(&work.route());
        for (known, keys) in parts {
            let part =
                if work.step == Step::Job { Work { keys, ..work.clone() } } else { work.clone() };
            let mut request = self.request(&part);
            request.set_context(known.context());
            let (store, region) = (known.leader.store_id, known.region.id);
            let id = self.ask(part, Some(region));
            self.effects.push(Effect::Send { id, store, request: Box::new(request) });
        }
        if let Some(first) = unknown.first() {
            let position = encode(first);
            let rest = if work.step == Step::Job { Work { keys: unknown, ..work } } else { work };
            let id = self.ask(rest, None);
            self.effects.push(Effect::AskRegion { id, position });
        }
    }

    fn ask(&mut self, work: Work, region: Option<u64>) -> u64 {
        self.next_id += 1;
        self.asked.insert(self.next_id, (work, region));
        self.next_id
    }

    /// The request of a part.
    fn request(&self, part: &Work) -> Request {
        match (part.step, part.job, part.locks.first()) {
            (Step::Check(at), _, Some(lock)) => self.check_request(lock, at),
            (Step::Resolve(fate), _, Some(lock)) => Self::resolve_request(lock, fate),
            (_, Job::CommitPrimary(at), _) => {
                Self::commit_request(self.txn.start_ts, at, &part.keys)
            }
            (_, Job::CommitRest(start, at), _) => Self::commit_request(start, at, &part.keys),
            (_, Job::Rollback(start), _) => Self::rollback_request(start, &part.keys),
            (_, Job::Prewrite, _) => self.prewrite_request(&part.keys),
            _ => self.read_request(&part.keys),
        }
    }

    /// An answer has come.
    pub(super) fn take(&mut self, mut work: Work, region: Option<u64>, answer: Answer) {
        match (answer, region) {
            (Answer::Timestamp(ts), None) if work.step == Step::Timestamp => match work.job {
                Job::Begin => {
                    self.txn.start_ts = ts;
                    self.phase = Phase::Active;
                    self.done(Outcome::Began(ts));
                }
                Job::TimeToCommit => self.commit_at(ts),
                _ => {
                    work.step = Step::Check(ts);
                    self.send(work);
                }
            },
            (Answer::Region(found, Some(leader)), None) => {
                self.regions.learn(*found, leader);
                self.send(work);
            }
            (Answer::Response(response), Some(region)) => match response.region_error() {
                None => self.respond(work, *response),
                Some(error) => match self.regions.refused(region, error) {
                    Again::AtOnce => self.again(work, 0),
                    Again::AfterAPause => self.pause(work),
                },
            },
            // Nothing came, or nothing that fits the question: the line is down, the leader gone, or unknown.
            (_, region) => {
                if let Some(region) = region {
                    self.regions.forget(region);
                    self.note_unsure(&work);
                }
                self.pause(work);
            }
        }
    }

    /// A store has answered, and not with a region error.
    fn respond(&mut self, work: Work, response: Response) {
        match (work.step, response) {
            (Step::Check(_), Response::CheckTxnStatus(response)) => self.checked(work, &response),
            (Step::Resolve(_), Response::ResolveLock(response)) => self.resolved(work, &response),
            (Step::Job, Response::BatchGet(response)) => self.have_read(work, &response),
            (Step::Job, Response::Prewrite(response)) => self.prewritten(work, &response),
            (Step::Job, Response::Commit(response)) => {
                // Of the others: the primary's commit decided, and whatever stands there now, somebody has finished it.
                if let Job::CommitPrimary(_) = work.job {
                    self.primary_committed(&response);
                }
            }
            // A rollback that is refused: others have decided about this transaction.
            (Step::Job, Response::BatchRollback(_)) => {}
            _ => {
                self.note_unsure(&work);
                self.pause(work);
            }
        }
    }

    /// What was sent may have committed the transaction, and there is no answer.
    fn note_unsure(&mut self, work: &Work) {
        let committing = matches!(work.job, Job::CommitPrimary(_))
            || (work.job == Job::Prewrite && self.in_one_phase(&work.keys));
        if work.step == Step::Job
            && committing
            && let Phase::Committing { unsure } | Phase::Prewriting { unsure, .. } = &mut self.phase
        {
            *unsure = true;
        }
    }

    /// Sends a piece of work again, later.
    pub(super) fn pause(&mut self, mut work: Work) {
        let pause = work.pause;
        work.pause = (pause * 2).min(self.config.pauses.1);
        self.again(work, pause);
    }

    /// Sends a piece of work again, after so many milliseconds; or gives it up.
    pub(super) fn again(&mut self, mut work: Work, pause: u64) {
        work.tries += 1;
        if work.tries >= self.config.tries {
            return self.give_up(&work);
        }
        if work.step != Step::Job
            && !matches!(work.job, Job::Begin | Job::TimeToCommit)
            && pause > 0
        {
            // Begins with the job: the lock may be gone by then.
            work.step = Step::Job;
            work.locks.clear();
        }
        if pause == 0 {
            self.send(work);
        } else {
            self.sleeping.push((self.now + pause, work));
        }
    }

    fn give_up(&mut self, work: &Work) {
        let why = match work.locks.first() {
            Some(lock) => format!("{} is locked by {}", lock.key.escape_ascii(), lock.lock_version),
            None => format!("there was no answer in {} tries", work.tries),
        };
        match &self.phase {
            _ if work.is_in_background() => {}
            Phase::Beginning => {
                self.end(Outcome::Failed(why));
            }
            Phase::Reading { .. } => {
                self.phase = Phase::Active;
                // Its other parts have nobody who waits for them.
                self.call += 1;
                self.done(Outcome::Failed(why));
            }
            Phase::Committing { unsure: true } | Phase::Prewriting { unsure: true, .. } => {
                self.end(Outcome::Unknown(why));
            }
            _ => self.abort(why),
        }
    }
}
