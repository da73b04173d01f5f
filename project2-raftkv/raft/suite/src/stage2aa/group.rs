//! Elections of a whole group, told step by step.

use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::mail::heartbeat;
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Setup, World};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("group.rs":
        a_leader_needs_a_majority_of_the_group,
        leadership_can_go_round,
        a_split_vote_is_resolved_in_a_later_term,
        a_candidate_of_a_higher_term_deposes_the_leader,
        a_stray_candidate_comes_back_as_a_follower,
        a_group_elects_a_leader_by_itself,
    )
}

/// A leader needs the votes of a majority of the group, whoever of it is up (section 5.2).
///
/// Hint: a group's size is its configuration, not the number of those who answer.
fn a_leader_needs_a_majority_of_the_group(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [(u64, &[u64], bool); 6] = [
        (3, &[1, 2, 3], true),
        (3, &[1, 2], true),
        (3, &[1], false),
        (4, &[1, 4], false),
        (5, &[1, 4, 5], true),
        (5, &[1, 5], false),
    ];
    for (size, up, wins) in rows {
        let mut net = lab.net(up.iter().map(|id| Setup::new(*id, size)).collect())?;
        net.campaign(1)?;
        let why = format!("of {size} voters these are up: {up:?}; n1 campaigned in term 1");
        net.expect_role(1, if wins { Role::Leader } else { Role::Candidate }, &why)?;
        if net.status(1)?.term != 1 {
            let seen = notation::status(1, &net.status(1)?);
            return Err(Failure::broke("one campaign is one term", why, seen));
        }
    }
    Ok(())
}

/// Each node can be elected in turn, and each time the others follow: elections work from any state, not
/// only from a clean slate.
///
/// Hint: what of the last term must be forgotten when a new one begins?
fn leadership_can_go_round(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    for round in 0..3 {
        for candidate in 1..=3 {
            net.campaign(candidate)?;
            for id in 1..=3 {
                let role = if id == candidate { Role::Leader } else { Role::Follower };
                let why =
                    format!("n{candidate} campaigned (round {round}), and all have equal logs");
                net.expect_role(id, role, &why)?;
            }
        }
    }
    Ok(())
}

/// Two candidates split the vote: nobody leads that term. When one of them times out and campaigns again,
/// in a new term, it wins (section 5.2).
///
/// Hint: a refused candidate waits for its timeout, and raises the term.
fn a_split_vote_is_resolved_in_a_later_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.net(vec![Setup::new(2, 3), Setup::new(3, 3)])?;
    net.cut(2, 3);
    net.campaign(2)?;
    net.campaign(3)?;
    net.heal();
    for id in [2, 3] {
        net.expect_role(
            id,
            Role::Candidate,
            "n1 is down; n2 and n3 campaigned in term 1 at the same time",
        )?;
    }
    net.campaign(2)?;
    let why = "n2 and n3 split the vote of term 1; then n2 campaigned again, and all links work";
    net.expect_role(2, Role::Leader, why)?;
    net.expect_role(3, Role::Follower, why)?;
    let status = net.status(2)?;
    if status.term == 2 {
        return Ok(());
    }
    Err(Failure::broke(
        "the election after a split vote is not in the next term",
        why,
        notation::status(2, &status),
    ))
}

/// A node that does not hear its leader campaigns in a higher term. When its request gets through, the
/// leader steps down, although it did nothing wrong (section 5.1). PreVote, later, prevents that.
///
/// Hint: a vote request of a higher term makes a leader a follower, even if the vote is refused.
fn a_candidate_of_a_higher_term_deposes_the_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    net.campaign(1)?;
    net.expect_role(1, Role::Leader, "it campaigned in a group of three")?;
    net.isolate(3);
    for _ in 0..40 {
        net.tick(3)?;
    }
    net.expect_role(3, Role::Candidate, "it heard nothing for four election timeouts")?;
    net.expect_role(1, Role::Leader, "no message of n3 reached it")?;
    let before = net.status(3)?.term;
    net.heal();
    net.campaign(3)?;
    let why =
        format!("n3, cut off, campaigned up to term {before}; it is back, and campaigns once more");
    for id in 1..=3 {
        let status = net.status(id)?;
        if status.term <= before || (id == 1 && status.role == Role::Leader) {
            let seen = notation::status(id, &status);
            return Err(Failure::broke("a leader of an older term goes on leading", why, seen));
        }
    }
    Ok(())
}

/// A candidate that was cut off hears the leader of a later term again, and follows it in that term
/// (section 5.2).
///
/// Hint: a leader's word of a higher term sets the term, the role and the leader.
fn a_stray_candidate_comes_back_as_a_follower(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    net.campaign(1)?;
    net.isolate(3);
    for _ in 0..3 {
        net.campaign(2)?;
        net.campaign(1)?;
    }
    net.campaign(3)?;
    let term = net.status(1)?.term;
    net.heal();
    net.send(heartbeat(1, 3, term, 0))?;
    let why = format!(
        "n3 was a candidate of an old term, and heard a heartbeat of n1, which leads term {term}"
    );
    net.expect_role(3, Role::Follower, &why)?;
    let status = net.status(3)?;
    if (status.term, status.leader) == (term, 1) {
        return Ok(());
    }
    Err(Failure::broke(
        "a stray candidate does not follow the leader",
        why,
        notation::status(3, &status),
    ))
}

/// Left alone, a group has a leader soon, and keeps it: in a calm network there is no second election.
///
/// Hint: a leader's heartbeats must start the others' timeouts anew.
fn a_group_elects_a_leader_by_itself(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(5)?;
    let mut since = None;
    for tick in 0..400 {
        net.tick_all()?;
        let mut leaders = Vec::new();
        for id in net.ids() {
            let status = net.status(id)?;
            if status.role == Role::Leader {
                leaders.push((id, status.term));
            }
        }
        match (since, leaders.first()) {
            (None, Some(leader)) => since = Some((tick, *leader)),
            (Some((then, (id, term))), now) if now != Some(&(id, term)) => {
                return Err(Failure::broke(
                    "a leader is lost in a calm network",
                    format!(
                        "n{id} leads term {term} since tick {then}; no message was lost or late"
                    ),
                    format!("at tick {tick} these lead (node, term): {leaders:?}"),
                ));
            }
            _ => {}
        }
    }
    if since.is_some() {
        return Ok(());
    }
    Err(Failure::broke(
        "a group never elects a leader",
        "five nodes, election timeouts of 10 to 20 ticks, no message lost",
        "after 400 ticks nobody leads",
    ))
}
