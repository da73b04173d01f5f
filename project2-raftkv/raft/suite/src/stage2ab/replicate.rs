//! A leader and its followers (section 5.3): it appends, it sends, it counts.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail;
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("replicate.rs":
        a_new_leader_opens_its_term_with_an_empty_entry,
        a_proposal_is_appended_and_sent,
        an_entry_on_a_majority_is_committed,
        a_lone_node_commits_by_itself,
        committing_an_entry_commits_all_before_it,
        the_commit_index_reaches_the_followers,
        a_leader_commits_by_counting_only_entries_of_its_term,
        a_leader_knows_its_own_progress,
    )
}

/// A leader adds an empty entry of its own term at the start of its term (section 8), and sends it: only
/// entries of its own term can be committed by counting, and everything before is committed with it.
///
/// Hint: `become_leader` appends an entry without data; then broadcast.
fn a_new_leader_opens_its_term_with_an_empty_entry(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (log, term) in [(&[][..], 1), (&[1, 1, 2], 3)] {
        let setup = Setup::new(1, 3).log(log);
        let mut puppets = Puppets::like(&setup, &[2, 3]);
        let mut node = lab.node(setup)?;
        let sent = puppets.elect(&mut node)?;
        let why = format!("its log was {}, and it was elected in term {term}", notation::log(log));
        let last = log.len() as u64 + 1;
        expect::log(&mut node, &[log, &[term]].concat(), &why)?;
        let entry = node.disk.written().entry(last).cloned().unwrap_or_default();
        expect::that(
            entry.data.is_empty(),
            "the first entry of a term is not empty",
            &why,
            format!(
                "{} has data {}",
                notation::at(last, entry.term),
                sim::failure::show(&entry.data)
            ),
        )?;
        for to in [2, 3] {
            let expected = format!("an Append with {} to n{to}", notation::at(last, term));
            expect::some(&sent, &expected, &why, |m| {
                m.to == to && m.entries.iter().any(|e| (e.index, e.term) == (last, term))
            })?;
        }
    }
    Ok(())
}

/// "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel
/// to each of the other servers", with index and term of the entry before it (section 5.3). Nobody has
/// acknowledged it yet, so it is not committed.
///
/// Hint: give the entry the next index and your term; append; broadcast.
fn a_proposal_is_appended_and_sent(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3]);
    let mut node = lab.node(Setup::new(1, 3))?;
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 2)?;
    let mut sent = node.offer(b"some data")?;
    // A leader may wait for the next heartbeat, or its answer.
    sent.extend(puppets.beats(&mut node, 1)?);
    let why = "it leads n2 and n3 in term 1, its log was [1@1], and \"some data\" was proposed";
    expect::log(&mut node, &[1, 1], why)?;
    for to in [2, 3] {
        let m = expect::some(&sent, &format!("an Append with 2@1 to n{to}"), why, |m| {
            m.to == to && m.entries.iter().any(|e| e.index == 2)
        })?;
        let at = m.entries.iter().find(|e| e.index == 2).cloned().unwrap_or_default();
        let first = m.entries.first().map_or(0, |e| e.index);
        let base = u64::from(m.index != 0);
        expect::that(
            at.data == b"some data"[..]
                && m.index + 1 == first
                && m.log_term == base
                && m.term == 1,
            "an append does not name what comes before its entries, or carries something else",
            why,
            format!("{}, data {}", notation::message(m), sim::failure::show(&at.data)),
        )?;
    }
    Ok(())
}

/// "A log entry is committed once the leader that created the entry has replicated it on a majority of the
/// servers" (section 5.3); the leader then applies it.
///
/// Hint: sort the match indexes, your own among them: which one have more than half reached?
fn an_entry_on_a_majority_is_committed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [(u64, &[u64], bool); 11] = [
        (2, &[], false),
        (2, &[2], true),
        (3, &[], false),
        (3, &[2], true),
        (3, &[2, 3], true),
        (4, &[3], false),
        (4, &[3, 4], true),
        (5, &[], false),
        (5, &[2], false),
        (5, &[2, 4], true),
        (5, &[2, 3, 4, 5], true),
    ];
    for (size, storing, committed) in rows {
        let mut puppets = Puppets::new(&(2..=size).collect::<Vec<_>>());
        let mut node = lab.node(Setup::new(1, size))?;
        puppets.elect(&mut node)?;
        puppets.beats(&mut node, 2)?;
        expect::commit(&mut node, 1, "all stored the first entry of its term")?;
        puppets.only(storing);
        let sent = node.offer(b"some data")?;
        puppets.talk(&mut node, sent)?;
        puppets.beats(&mut node, 2)?;
        let why = format!("of {size} voters, the leader n1 and {storing:?} have stored 2@1");
        expect::commit(&mut node, if committed { 2 } else { 1 }, &why)?;
        let seen: Vec<u64> = node.executed.iter().map(|entry| entry.index).collect();
        let expected: &[u64] = if committed { &[1, 2] } else { &[1] };
        expect::that(
            seen == expected,
            "the leader does not apply what it committed",
            why,
            format!("it applied {seen:?}"),
        )?;
    }
    Ok(())
}

/// A group of one commits what it has on disk.
///
/// Hint: look at the commit index again when your own write is durable.
fn a_lone_node_commits_by_itself(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 1))?;
    node.campaign()?;
    node.offer(b"one")?;
    node.offer(b"two")?;
    expect::commit(&mut node, 3, "the only voter was elected, and two proposals are on its disk")?;
    let data: Vec<&[u8]> = node.executed.iter().map(|entry| &entry.data[..]).collect();
    expect::that(
        data == [&b""[..], b"one", b"two"],
        "a lone node does not apply what it committed",
        "it was elected, and \"one\" and \"two\" were proposed",
        format!("it applied {}", notation::entries(&node.executed)),
    )
}

/// When a leader commits an entry, it commits all that precede it, including entries created by previous
/// leaders (section 5.3), and applies them in log order.
///
/// Hint: the commit index is one number; everything up to it is handed out.
fn committing_an_entry_commits_all_before_it(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for log in [&[][..], &[2], &[1, 2], &[1], &[1, 1, 2, 2]] {
        let setup = Setup::new(1, 3).log(log).term(2);
        let mut puppets = Puppets::new(&[2, 3]);
        let mut node = lab.node(setup)?;
        puppets.elect(&mut node)?;
        let sent = node.offer(b"some data")?;
        puppets.talk(&mut node, sent)?;
        puppets.beats(&mut node, 3)?;
        let why = format!(
            "its log was {}, it leads term 3, and all stored a proposal",
            notation::log(log)
        );
        expect::commit(&mut node, log.len() as u64 + 2, &why)?;
        let seen: Vec<u64> = node.executed.iter().map(|entry| entry.term).collect();
        expect::that(
            seen == [log, &[3, 3]].concat(),
            "the leader does not apply everything up to the commit index",
            why,
            format!("it applied {}", notation::entries(&node.executed)),
        )?;
    }
    Ok(())
}

/// "The leader keeps track of the highest index it knows to be committed, and it includes that index in
/// future AppendEntries RPCs (including heartbeats) so that the other servers eventually find out"
/// (section 5.3).
///
/// Hint: a heartbeat tells a follower no more than what it is known to have.
fn the_commit_index_reaches_the_followers(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3]);
    let mut node = lab.node(Setup::new(1, 3))?;
    puppets.elect(&mut node)?;
    for data in [b"one", b"two"] {
        let sent = node.offer(data)?;
        puppets.talk(&mut node, sent)?;
    }
    puppets.beats(&mut node, 3)?;
    for id in [2, 3] {
        expect::that(
            puppets.commit(id) == 3,
            "a follower never learns what is committed",
            "all three nodes have stored 3 entries, and three heartbeat intervals went by",
            format!("the messages to n{id} told it that {} is committed", puppets.commit(id)),
        )?;
    }
    Ok(())
}

/// Only log entries from the leader's current term are committed by counting replicas (section 5.4.2). An
/// entry of an earlier term may be on a majority and still be overwritten: that is figure 8.
///
/// Hint: before you move the commit index, look at the term of the entry that it would move to.
fn a_leader_commits_by_counting_only_entries_of_its_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (answered, expected) in [(1, 0), (2, 0), (3, 3)] {
        let setup = Setup::new(1, 2).log(&[1, 2]).term(2);
        let mut node = lab.node(setup)?;
        node.campaign()?;
        node.tell(mail::vote(2, 1, 3, true))?;
        expect::role(&mut node, Role::Leader, 3, "n2 granted its vote")?;
        node.offer(b"some data")?;
        let why = format!(
            "of two voters, the leader of term 3 has [1@1 2@2 3..4@3]; n2 acknowledged up to {answered}"
        );
        node.tell(mail::accepted(2, 1, 3, answered))?;
        expect::commit(&mut node, expected, &why)?;
    }
    Ok(())
}
/// A leader counts itself as a follower that is always up to date: its own match is the last entry that is
/// durable on its own disk, its own next comes after it.
///
/// Hint: update your own progress when your write is durable.
fn a_leader_knows_its_own_progress(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3]);
    let mut node = lab.node(Setup::new(1, 3))?;
    puppets.elect(&mut node)?;
    for last in 1..=5 {
        let why = format!("it leads, and its disk holds everything up to {last}");
        expect::status(&mut node, &format!("at match {last} for itself"), &why, |s| {
            let own = s.progress.iter().find(|(id, _, _)| *id == 1);
            s.last_index == last
                && own.is_some_and(|(_, matched, next)| *matched == last && *next > last)
        })?;
        node.offer(b"some data")?;
    }
    Ok(())
}
