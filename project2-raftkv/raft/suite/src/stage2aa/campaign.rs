//! Counting votes (section 5.2): a majority of the voters, each once, of this term.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{heartbeat, vote};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Node, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("campaign.rs":
        a_lone_node_elects_itself,
        a_majority_of_votes_makes_a_leader,
        a_vote_counts_once_a_voter,
        votes_of_an_earlier_campaign_do_not_count,
        a_vote_answer_of_an_older_term_does_not_count,
        votes_of_strangers_do_not_count,
        a_candidate_yields_to_the_leader_of_its_term,
        campaigning_again_does_not_depose_a_leader,
    )
}

// The size of the group, who answered what, who wins.
type Row = (u64, &'static [(u64, bool)], bool);

fn leads(node: &mut Node, expected: bool, why: &str) -> Outcome {
    let status = node.status()?;
    expect::that(
        (status.role == Role::Leader) == expected,
        if expected {
            "a candidate with a majority does not lead"
        } else {
            "a node leads without a majority"
        },
        why,
        format!("now: {}", notation::status(node.id, &status)),
    )
}

/// A group of one has its majority at once.
///
/// Hint: count your own vote as any other, then look whether you have won already.
fn a_lone_node_elects_itself(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 1))?;
    node.campaign()?;
    expect::role(&mut node, Role::Leader, 1, "it is the only voter, and campaigned")?;
    let mut node = lab.node(Setup::new(1, 1).term(6))?;
    node.ticks(2 * node.config().election_tick)?;
    expect::role(
        &mut node,
        Role::Leader,
        7,
        "it is the only voter, and its election timeout passed",
    )
}

/// A candidate wins an election if it receives votes from a majority of the servers for its term (section
/// 5.2). With fewer it waits, or gives up when it cannot win any more; it does not lead.
///
/// Hint: more than half of *all* voters, not of those who answered.
fn a_majority_of_votes_makes_a_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [Row; 14] = [
        (3, &[(2, true), (3, true)], true),
        (3, &[(2, true)], true),
        (3, &[(2, false), (3, true)], true),
        (5, &[(2, true), (3, true), (4, true), (5, true)], true),
        (5, &[(2, true), (3, true), (4, true)], true),
        (5, &[(2, true), (3, true)], true),
        (5, &[(2, false), (3, false), (4, true), (5, true)], true),
        (4, &[(2, true), (3, true)], true),
        (2, &[], false),
        (3, &[], false),
        (4, &[(2, true)], false),
        (5, &[(2, true)], false),
        (5, &[(2, false), (3, false), (4, true)], false),
        (5, &[(2, false), (3, false), (4, false), (5, true)], false),
    ];
    for (size, votes, wins) in rows {
        let mut node = lab.node(Setup::new(1, size))?;
        node.campaign()?;
        for &(from, granted) in votes {
            node.tell(vote(from, 1, 1, granted))?;
        }
        let told: Vec<String> = votes
            .iter()
            .map(|(from, granted)| {
                format!("n{from} {}", if *granted { "granted" } else { "refused" })
            })
            .collect();
        let why =
            format!("of {size} voters, n1 campaigned, and these answered: [{}]", told.join(", "));
        leads(&mut node, wins, &why)?;
        expect::status(&mut node, "in term 1", &why, |s| s.term == 1)?;
    }
    Ok(())
}

/// A vote that arrives twice is one vote: networks double messages. Counted twice, a candidate of five
/// would lead with two votes, and so could another one.
///
/// Hint: remember who granted, not how many.
fn a_vote_counts_once_a_voter(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 5))?;
    node.campaign()?;
    for _ in 0..5 {
        node.tell(vote(2, 1, 1, true))?;
    }
    leads(
        &mut node,
        false,
        "of five voters only n2 granted its vote; its answer arrived five times",
    )?;
    node.tell(vote(3, 1, 1, true))?;
    leads(&mut node, true, "of five voters n2 and n3 granted their votes")
}

/// Votes are for one campaign: who starts a new one starts with its own vote only.
///
/// Hint: `become_candidate` empties the record of votes.
fn votes_of_an_earlier_campaign_do_not_count(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 5))?;
    node.campaign()?;
    node.tell(vote(2, 1, 1, true))?;
    node.campaign()?;
    node.tell(vote(3, 1, 2, true))?;
    leads(&mut node, false, "n2 granted its vote in term 1, n3 in term 2: two of five in term 2")?;
    // A refusal of the last campaign is over, too.
    let mut node = lab.node(Setup::new(1, 3))?;
    node.campaign()?;
    node.tell(vote(2, 1, 1, false))?;
    node.campaign()?;
    node.tell(vote(2, 1, 2, true))?;
    leads(&mut node, true, "n2 refused in term 1, and granted its vote in term 2: two of three")
}

/// A late answer to an earlier campaign is no vote for this one. With it, two nodes could lead the same
/// term.
///
/// Hint: drop answers of older terms as you drop requests of older terms.
fn a_vote_answer_of_an_older_term_does_not_count(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(2))?;
    node.campaign()?;
    node.campaign()?;
    expect::role(&mut node, Role::Candidate, 4, "it campaigned in terms 3 and 4")?;
    node.tell(vote(2, 1, 3, true))?;
    node.tell(vote(3, 1, 3, true))?;
    leads(&mut node, false, "it campaigns in term 4; both votes that arrived were for term 3")?;
    node.tell(vote(3, 1, 4, true))?;
    leads(&mut node, true, "n3 granted its vote for term 4")
}

/// Only voters of the configuration count: a learner, or a node that was removed, may answer, too.
///
/// Hint: look the sender up before you count.
fn votes_of_strangers_do_not_count(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 5).learners(&[6]))?;
    node.campaign()?;
    for stranger in [6, 7, 8, 9, 10] {
        node.tell(vote(stranger, 1, 1, true))?;
    }
    let why = "the voters are n1 to n5, n6 is a learner; votes came from n6 to n10 only";
    leads(&mut node, false, why)
}

/// A candidate that hears from a leader of its own term, or a later one, recognises it and returns to
/// follower (section 5.2). If it went on, it would throw the elected leader down with its next term.
///
/// Hint: an append, a heartbeat or a snapshot of the own term comes from the winner.
fn a_candidate_yields_to_the_leader_of_its_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for term in [1, 2] {
        let word = heartbeat(2, 1, term, 0);
        let mut node = lab.node(Setup::new(1, 3))?;
        node.campaign()?;
        expect::role(&mut node, Role::Candidate, 1, "it campaigned, and nobody answered")?;
        let why = format!("it was a candidate in term 1, and heard {}", notation::message(&word));
        node.tell(word)?;
        expect::role(&mut node, Role::Follower, term, &why)?;
        expect::status(&mut node, "following n2", &why, |s| s.leader == 2)?;
    }
    Ok(())
}

/// A leader that is told to campaign (a late timer, an impatient operator) leads on, in its term.
///
/// Hint: `MsgHup` is nothing to a leader.
fn campaigning_again_does_not_depose_a_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for size in [1, 3] {
        let mut node = lab.node(Setup::new(1, size))?;
        node.campaign()?;
        node.tell(vote(2, 1, 1, true))?;
        node.campaign()?;
        expect::role(&mut node, Role::Leader, 1, "it led term 1, and was told to campaign")?;
    }
    Ok(())
}
