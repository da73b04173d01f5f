//! The monitors, fed with hand-made views: each rule is broken once, and called by its name.

use sim::cluster::dialect::{Ack, MessageInfo, Vote};
use sim::cluster::protocol::{EntryView, Inspected, Look, Member, RegionView, Role};
use sim::coverage::{self, Coverage};
use sim::monitors::Monitors;

#[derive(Default)]
struct Watch {
    monitors: Monitors,
    coverage: Coverage,
    time: u64,
}

// A peer of region 1 whose log is these terms, all durable.
fn peer(node: u64, role: Role, term: u64, log: &[u64], commit: u64) -> RegionView {
    let last = log.len() as u64;
    let entry =
        |(at, term): (usize, &u64)| EntryView { index: at as u64 + 1, term: *term, digest: *term };
    RegionView {
        region: 1,
        peer: node,
        role,
        term,
        commit,
        applied: commit,
        persisted: last,
        last,
        entries: log.iter().enumerate().map(entry).collect(),
        range: Some(Default::default()),
        voters: (1..=3).map(|n| Member { peer: n, store: n }).collect(),
        ..RegionView::default()
    }
}

fn leader(node: u64, term: u64, log: &[u64], commit: u64) -> RegionView {
    RegionView { leader: node, ..peer(node, Role::Leader, term, log, commit) }
}

fn follower(node: u64, term: u64, log: &[u64], commit: u64) -> RegionView {
    peer(node, Role::Follower, term, log, commit)
}

impl Watch {
    fn try_see(&mut self, views: Vec<RegionView>) -> Result<(), String> {
        self.time += 1000;
        let node = views[0].peer;
        let shown = Inspected { regions: views, removed: Vec::new() };
        let look = Look { all: true, ..Look::default() };
        self.monitors
            .observe(node, self.time, &look, &shown, &mut self.coverage)
            .map(drop)
            .map_err(|failure| failure.to_string())
    }

    fn dies(&mut self, node: u64) -> &mut Self {
        let shown = Inspected { regions: Vec::new(), removed: vec![1] };
        let look = Look { all: true, ..Look::default() };
        self.monitors.observe(node, self.time, &look, &shown, &mut self.coverage).unwrap();
        self
    }

    fn sees(&mut self, view: RegionView) -> &mut Self {
        self.try_see(vec![view]).unwrap();
        self
    }

    fn breaks(&mut self, view: RegionView, name: &str) {
        let failure = self.try_see(vec![view]).expect_err("this breaks a rule");
        assert!(failure.contains(name), "{name:?} is not what it says: {failure}");
    }

    fn crash(&mut self, node: u64) -> &mut Self {
        self.monitors.crashed(node);
        self.monitors.opened(node);
        self
    }
}

pub fn election_safety() {
    let mut watch = Watch::default();
    watch
        .sees(leader(1, 3, &[3], 0))
        .sees(leader(2, 4, &[4], 0))
        .breaks(leader(3, 3, &[3], 0), "Election Safety");
    // Not one that leads its own term again after a crash; still a different node.
    Watch::default().sees(leader(1, 3, &[3], 0)).sees(leader(1, 3, &[3, 3], 0));
}

pub fn leader_append_only() {
    let mut watch = Watch::default();
    watch.sees(leader(1, 3, &[1, 3, 3], 0)).breaks(leader(1, 3, &[1, 3], 0), "Leader Append-Only");
    let mut watch = Watch::default();
    watch
        .sees(leader(1, 3, &[1, 2, 3], 0))
        .breaks(leader(1, 3, &[1, 3, 3], 0), "Leader Append-Only");
    // A follower may.
    Watch::default().sees(follower(1, 3, &[1, 2], 1)).sees(follower(1, 4, &[1, 4], 1));
}

pub fn log_matching_by_content_and_by_predecessor() {
    let mut other = follower(2, 3, &[1, 3], 0);
    other.entries[1].digest = 99;
    Watch::default().sees(follower(1, 3, &[1, 3], 0)).breaks(other, "two different entries");
    Watch::default()
        .sees(follower(1, 3, &[1, 3], 0))
        .breaks(follower(2, 3, &[2, 3], 0), "after different ones");
}

pub fn leader_completeness() {
    let mut watch = Watch::default();
    watch
        .sees(follower(2, 2, &[1, 2], 1))
        .sees(follower(3, 2, &[1, 2], 1))
        .sees(leader(1, 2, &[1, 2], 2))
        .breaks(leader(2, 3, &[1, 3], 1), "Leader Completeness");
    // A stale leader of an older term need not have it.
    let mut watch = Watch::default();
    watch.sees(follower(2, 5, &[1, 5], 2)).sees(leader(3, 4, &[1, 4], 1));
}

pub fn state_machine_safety_of_entries_and_of_data() {
    Watch::default()
        .sees(follower(1, 3, &[1, 2], 2))
        .breaks(follower(2, 3, &[1, 3], 2), "different entries are committed");
    let with = |node, digest| RegionView { digest: Some(digest), ..follower(node, 3, &[1, 2], 2) };
    Watch::default().sees(with(1, 7)).sees(with(2, 7)).breaks(with(3, 8), "hold different data");
    let mut rewritten = follower(1, 4, &[1, 4], 2);
    rewritten.commit = 2;
    Watch::default().sees(follower(1, 3, &[1, 2], 2)).breaks(rewritten, "knew to be committed");
    let moved = |node| RegionView { epoch: (1, 2), ..follower(node, 3, &[1, 2], 2) };
    Watch::default()
        .sees(follower(1, 3, &[1, 2], 2))
        .breaks(moved(2), "disagree about their region");
}

pub fn commit_needs_a_majority_on_disk() {
    let lazy = |node| RegionView { persisted: 1, ..follower(node, 2, &[1, 2], 1) };
    let mut watch = Watch::default();
    watch.sees(lazy(2)).sees(lazy(3)).sees(leader(1, 2, &[1, 2], 1));
    watch.breaks(leader(1, 2, &[1, 2], 2), "no majority has on disk");
    let mut watch = Watch::default();
    watch.sees(lazy(2)).sees(follower(3, 2, &[1, 2], 1)).sees(leader(1, 2, &[1, 2], 1));
    watch.sees(leader(1, 2, &[1, 2], 2));
    // One that had it, and has died since, counts as long as the leader takes it for a member; one that had not does not.
    let mut watch = Watch::default();
    watch.sees(lazy(2)).sees(follower(3, 2, &[1, 2], 1)).sees(leader(1, 2, &[1, 2], 1)).dies(3);
    watch.sees(leader(1, 2, &[1, 2], 2));
    let mut watch = Watch::default();
    watch.sees(lazy(2)).sees(lazy(3)).sees(leader(1, 2, &[1, 2], 1)).dies(3);
    watch.breaks(leader(1, 2, &[1, 2], 2), "no majority has on disk");
    // Figure 8: the entry is of an older term.
    let mut watch = Watch::default();
    watch.sees(follower(2, 4, &[1, 2], 1)).sees(leader(1, 4, &[1, 2, 4], 1));
    watch.breaks(leader(1, 4, &[1, 2, 4], 2), "figure 8");
    // Benefit of doubt: what a crashed store holds is not known.
    let mut watch = Watch::default();
    watch.sees(lazy(2)).sees(lazy(3)).sees(leader(1, 2, &[1, 2], 1)).crash(2);
    watch.sees(leader(1, 2, &[1, 2], 2));
}

pub fn indexes_never_fall() {
    Watch::default()
        .sees(follower(1, 3, &[1, 1], 2))
        .breaks(follower(1, 3, &[1, 1], 1), "commit index of n1 fell");
    Watch::default()
        .sees(follower(1, 3, &[1], 1))
        .breaks(follower(1, 2, &[1], 1), "term of n1 fell");
    let at = |applied| RegionView { applied, ..follower(1, 3, &[1, 1], 2) };
    Watch::default().sees(at(2)).breaks(at(1), "applied index of n1 fell");
    // After a restart commit and applied may be behind.
    Watch::default().sees(follower(1, 3, &[1, 1], 2)).crash(1).sees(follower(1, 3, &[1, 1], 0));
    let voted = |vote| RegionView { vote, ..follower(1, 3, &[1], 1) };
    Watch::default().sees(voted(2)).breaks(voted(3), "changed its vote");
}

pub fn one_peer_is_sane() {
    let base = || follower(1, 3, &[1, 2, 3], 2);
    Watch::default().breaks(RegionView { commit: 4, ..base() }, "commit <= last");
    Watch::default().breaks(RegionView { applied: 3, ..base() }, "applied <= commit");
    Watch::default().breaks(RegionView { persisted: 1, ..base() }, "R1");
    let mut hole = base();
    hole.entries.remove(1);
    Watch::default().breaks(hole, "has a hole");
    Watch::default().breaks(follower(1, 3, &[2, 1, 3], 0), "terms in the log");
    Watch::default().breaks(follower(1, 3, &[1, 4], 0), "of a term that it does not know");
}

pub fn a_vote_is_given_once_even_over_a_crash() {
    let vote = |candidate| MessageInfo {
        region: 1,
        vote: Some(Vote { term: 3, candidate }),
        ..MessageInfo::default()
    };
    let mut watch = Watch::default();
    watch.monitors.sent(1, 10, &vote(2)).unwrap();
    watch.monitors.sent(1, 20, &vote(2)).unwrap();
    watch.crash(1);
    let failure = watch.monitors.sent(1, 30, &vote(3)).unwrap_err().to_string();
    assert!(failure.contains("two votes in one term"), "{failure}");
    let mut watch = Watch::default();
    watch.sees(RegionView { vote: 2, ..follower(1, 3, &[1], 0) });
    watch.monitors.sent(1, 10, &vote(2)).unwrap();
    watch.crash(1).breaks(follower(1, 2, &[1], 0), "forgot its vote");
}

pub fn acknowledged_and_durable_entries_survive() {
    let ack =
        MessageInfo { region: 1, ack: Some(Ack { term: 3, index: 3 }), ..MessageInfo::default() };
    let lazy = |last: &[u64]| RegionView { persisted: 1, ..follower(1, 3, last, 0) };
    let mut watch = Watch::default();
    watch.sees(lazy(&[1, 3, 3]));
    watch.monitors.sent(1, 10, &ack).unwrap();
    watch.crash(1).breaks(lazy(&[1, 3]), "had acknowledged");
    Watch::default()
        .sees(follower(1, 3, &[1, 3, 3], 0))
        .crash(1)
        .breaks(follower(1, 3, &[1, 3], 0), "reported as durable");
    // What a newer leader overwrote may be gone.
    Watch::default().sees(follower(1, 3, &[1, 3, 3], 0)).crash(1).sees(follower(1, 4, &[1, 4], 0));
}

pub fn the_dead_stay_dead() {
    let had = || follower(1, 3, &[1, 3], 1);
    Watch::default().sees(had()).dies(1).breaks(had(), "lives again");
    // The crash came before its death was durable: it is there as if nothing had been.
    Watch::default().sees(had()).dies(1).crash(1).sees(had()).sees(follower(1, 4, &[1, 3], 2));
    Watch::default().sees(had()).dies(1).crash(1).breaks(follower(1, 3, &[1], 1), "as durable");
    // It was not there when its node began to live again: then it is gone for good.
    let mut watch = Watch::default();
    let other = RegionView { region: 2, range: None, ..had() };
    watch.sees(had()).dies(1).crash(1).sees(other).breaks(had(), "lives again");
}

pub fn snapshots_and_compactions_are_no_violations() {
    let compacted = |node, truncated: (u64, u64), log: &[u64], commit: u64| {
        let mut view = follower(node, 3, log, commit);
        view.entries.iter_mut().for_each(|e| e.index += truncated.0);
        view.truncated = truncated;
        view.before = truncated.1;
        (view.last, view.persisted) = (view.last + truncated.0, view.last + truncated.0);
        view
    };
    let mut watch = Watch::default();
    watch
        .sees(follower(1, 3, &[1, 2, 3], 3))
        .sees(compacted(1, (2, 2), &[3], 3))
        .sees(follower(2, 3, &[1], 1))
        .sees(compacted(2, (3, 3), &[], 3));
    assert_eq!(watch.coverage.count(coverage::COMPACTIONS), 1);
    assert_eq!(watch.coverage.count(coverage::SNAPSHOTS), 1);
    watch.breaks(compacted(3, (3, 2), &[], 3), "different entries are committed");
}

pub fn regions_do_not_overlap_and_leave_no_gap() {
    let region = |region, start: &str, end: &str| RegionView {
        region,
        range: Some((start.as_bytes().to_vec().into(), end.as_bytes().to_vec().into())),
        ..leader(1, 2, &[1], 1)
    };
    let mut watch = Watch::default();
    watch.try_see(vec![region(1, "", "m"), region(2, "m", "")]).unwrap();
    watch.monitors.covers_all_keys().unwrap();
    let failure = watch.try_see(vec![RegionView { applied: 0, commit: 0, ..region(3, "k", "n") }]);
    assert!(failure.unwrap_err().contains("overlap"));
    let mut watch = Watch::default();
    let failure = watch.try_see(vec![region(1, "", "k"), region(2, "m", "")]);
    assert!(failure.unwrap_err().contains("gap"));
    let mut watch = Watch::default();
    watch.try_see(vec![region(1, "", "m")]).unwrap();
    assert!(watch.monitors.covers_all_keys().unwrap_err().to_string().contains("gap"));
}
