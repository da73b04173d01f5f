//! Figure 8, frame by frame: five nodes, and a network that delivers what the story needs.

use sim::cluster::protocol::Role;
use sim::history::Op;

use crate::toy::raft::Raft;
use crate::toy::wal::Record;
use crate::toy::{Bug, Config, Entry, Message};

struct Node {
    raft: Raft,
    disk: Vec<Record>,
}

/// Five nodes; node `n` is at `n - 1`.
struct Group {
    nodes: Vec<Node>,
    config: Config,
}

/// Which messages arrive, and how they look then.
type Network = fn(&mut Message) -> bool;

fn everything(_: &mut Message) -> bool {
    true
}

fn votes(m: &mut Message) -> bool {
    matches!(m, Message::RequestVote { .. } | Message::Vote { .. })
}

/// What is of term 4 does not get through: as if the leader had sent less at a time, and the rest were late. Nor
/// does anybody hear what is committed.
fn nothing_of_term_4(m: &mut Message) -> bool {
    if let Message::Append { entries, commit, .. } = m {
        *commit = 0;
        entries.retain(|entry| entry.term < 4);
    }
    true
}

impl Group {
    fn new(bug: Bug) -> Self {
        let config = Config { members: (1..=5).collect(), bug, inline: true };
        let start = |id| Node { raft: Raft::new(id, config.clone(), id, vec![]), disk: vec![] };
        Group { nodes: (1..=5).map(start).collect(), config }
    }

    fn node(&mut self, id: u64) -> &mut Node {
        &mut self.nodes[usize::try_from(id).unwrap() - 1]
    }

    /// Crashes a node, and starts it from its disk.
    fn restart(&mut self, id: u64) {
        let config = self.config.clone();
        let node = self.node(id);
        node.raft = Raft::new(id, config, id, node.disk.clone());
    }

    /// Lets time pass at one node that nobody hears, until it runs for this term; then the votes of `voters` come in.
    fn elect(&mut self, id: u64, term: u64, voters: &[u64]) {
        let raft = &mut self.node(id).raft;
        while raft.term < term {
            (raft.now, raft.after) = (vec![], vec![]);
            raft.tick();
        }
        self.exchange(&[voters, &[id]].concat(), votes);
        assert_eq!(self.node(id).raft.role, Role::Leader, "the story needs it");
    }

    /// Everybody writes to disk, and these nodes talk to each other for a while.
    fn exchange(&mut self, among: &[u64], network: Network) {
        for _ in 0..20 {
            let mut sent = Vec::new();
            for id in 1..=5 {
                let node = self.node(id);
                node.disk.append(&mut node.raft.unwritten);
                let last = node.raft.last();
                let term = node.raft.term_of(last).unwrap();
                node.raft.written(Some((last, term)));
                let (now, after) = (&mut node.raft.now, &mut node.raft.after);
                sent.extend(now.drain(..).chain(after.drain(..)).map(|(to, m)| (id, to, m)));
            }
            sent.retain(|(from, to, _)| among.contains(from) && among.contains(to));
            if sent.is_empty() {
                return;
            }
            for (from, to, mut m) in sent {
                if network(&mut m) {
                    self.node(to).raft.step(from, m);
                }
            }
        }
    }

    /// The leader's next heartbeat goes out, and whatever follows from it.
    fn beat(&mut self, leader: u64, among: &[u64], network: Network) {
        for _ in 0..2 {
            self.node(leader).raft.tick();
        }
        self.exchange(among, network);
    }

    fn show(&self, down: &[u64]) {
        for node in &self.nodes {
            let raft = &node.raft;
            let log: Vec<String> = (1..=raft.last())
                .map(|index| format!("{index}@{}", raft.term_of(index).unwrap_or(0)))
                .collect();
            let what = match raft.role {
                _ if down.contains(&raft.id) => "down".to_owned(),
                Role::Leader if raft.commit > 0 => {
                    format!("leads term {}: committed up to {}", raft.term, raft.commit)
                }
                Role::Leader => format!("leads term {}", raft.term),
                _ => String::new(),
            };
            println!("{}", format!("      n{}  {:<20}  {what}", raft.id, log.join(" ")).trim_end());
        }
        println!();
    }
}

/// Plays the story; the answer is whether the write was acknowledged, and whether it is still there at the end.
fn play(bug: Bug, tell: bool) -> (bool, bool) {
    let say = |text: &str| {
        if tell {
            println!("{text}\n");
        }
    };
    let show = |group: &Group, down: &[u64]| {
        if tell {
            group.show(down);
        }
    };
    let mut group = Group::new(bug);
    group.elect(1, 1, &[2, 3]);
    group.beat(1, &[1, 2, 3, 4, 5], everything);

    group.restart(1);
    group.elect(1, 2, &[2, 3]);
    group
        .node(1)
        .raft
        .propose(Entry { term: 2, command: Some(Op::Put(b"x".to_vec(), b"1".to_vec())) });
    group.beat(1, &[1, 2], everything);
    say(
        "  (a) n1 leads term 2. A client asks it to write x=1: that is 3@2, the entry with index 3 of term 2.\n      It reaches n2 only.",
    );
    show(&group, &[]);

    group.elect(5, 3, &[3, 4]);
    say(
        "  (b) n1 crashes. n5 is elected for term 3 by n3 and n4, which have never heard of x=1. It writes the\n      first entry of its term, 2@3, and crashes before it can send it.",
    );
    show(&group, &[1]);

    group.restart(1);
    group.elect(1, 4, &[2, 3]);
    for _ in 0..4 {
        group.beat(1, &[1, 2, 3], nothing_of_term_4);
    }
    let acknowledged = group.node(1).raft.commit >= 3;
    say(
        "  (c) n1 is back, and is elected for term 4. It sends what it has to n3, so 3@2 is now on n1, n2 and n3:\n      a majority of five. Its own entry of term 4 has reached nobody yet.",
    );
    show(&group, &[5]);
    say(if acknowledged {
        "      n1 counts three copies of 3@2, takes it for committed, and tells the client: x=1 is written."
    } else {
        "      n1 counts three copies of 3@2, sees that it is of an earlier term, and waits."
    });

    group.restart(5);
    group.elect(5, 5, &[2, 3, 4]);
    for _ in 0..6 {
        group.beat(5, &[2, 3, 4, 5], everything);
    }
    say(
        "  (d) n1 crashes again. n5 comes back and runs for term 5. Its last entry is of term 3; those of n2, n3 and\n      n4 are older, so they vote for it, as they must. It makes their logs like its own.",
    );
    show(&group, &[1]);

    let x = Op::Put(b"x".to_vec(), b"1".to_vec());
    let has = |entry: &Entry| entry.command.as_ref() == Some(&x);
    let kept = group.nodes[1..].iter().any(|node| node.raft.log.iter().any(has));
    (acknowledged, kept)
}

/// Tells the story.
pub fn tell() {
    println!("Figure 8 of the Raft paper, with a leader that commits whatever a majority has.\n");
    let (acknowledged, kept) = play(Bug::Figure8, true);
    assert!(acknowledged && !kept, "the broken leader loses the write");
    println!(
        "  The client was told that x=1 is written, and no node that is up has it any more. Every step was"
    );
    println!(
        "  allowed but one: being on a majority is not enough for an entry of an earlier term, since a log that"
    );
    println!(
        "  ends in a later term can still win. Only when an entry of the leader's *own* term is on a majority can"
    );
    println!(
        "  nobody without it be elected; and with it, everything before is committed (section 5.4.2).\n"
    );
    let (acknowledged, _) = play(Bug::None, false);
    assert!(!acknowledged, "a correct leader waits");
    println!(
        "  The same story with a correct leader: at (c) it says nothing, and so at (d) nobody was lied to.\n"
    );
}
