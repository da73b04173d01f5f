//! What the tests of single nodes expect, and how they say what they saw instead.

use proto::eraftpb::{Message, MessageType};
use sim::failure::{Failure, Outcome};

use crate::mail::{self, Mail};
use crate::notation;
use crate::protocol::{Role, Status};
use crate::world::Node;

/// Passes if `ok`; else what broke, and two facts.
///
/// # Errors
/// When `ok` is false.
pub fn that(
    ok: bool,
    what: impl Into<String>,
    fact: impl Into<String>,
    seen: impl Into<String>,
) -> Outcome {
    if ok { Ok(()) } else { Err(Failure::broke(what, fact, seen)) }
}

/// What the node says of itself must satisfy `ok`, which is `expected` in words.
///
/// # Errors
/// When it does not, or the node fails; the same holds for everything below.
pub fn status(
    node: &mut Node<'_>,
    expected: &str,
    why: &str,
    ok: impl FnOnce(&Status) -> bool,
) -> Outcome {
    let seen = node.status()?;
    let text = notation::status(node.id, &seen);
    let text = format!("it says: {text}, vote {}", notation::node(seen.vote));
    that(ok(&seen), format!("n{} is not {expected}", node.id), why, text)
}

/// It must have this role, in this term.
///
/// # Errors
/// As [`status`].
pub fn role(node: &mut Node<'_>, role: Role, term: u64, why: &str) -> Outcome {
    let expected = format!("a {} in term {term}", notation::role(role));
    status(node, &expected, why, |s| s.role == role && s.term == term)
}

/// It must know exactly this index to be committed.
///
/// # Errors
/// As [`status`].
pub fn commit(node: &mut Node<'_>, index: u64, why: &str) -> Outcome {
    let expected = format!("at commit index {index}");
    status(node, &expected, why, |s| s.committed == index)
}

/// Its log must have these terms from its first entry on, and end there; on its disk, too.
///
/// # Errors
/// As [`status`].
pub fn log(node: &mut Node<'_>, terms: &[u64], why: &str) -> Outcome {
    let base = node.disk.written().truncated.0;
    let last = node.status()?.last_index;
    let shown = node.log(base + 1, last + 1)?.map_err(|why| {
        Failure::broke(
            "a node does not show its own log",
            format!("n{} says that its log ends at {last}", node.id),
            format!("asked for {}..={last}, it answers: {why}", base + 1),
        )
    })?;
    let wanted = notation::entries(&mail::entries(base + 1, terms));
    for (place, seen) in [("shows", &shown), ("has told its disk", &node.disk.written().entries)] {
        that(
            seen.iter().map(|entry| entry.term).eq(terms.iter().copied()),
            format!("the log of n{} is not {wanted}", node.id),
            why,
            format!("it {place} {}", notation::entries(seen)),
        )?;
    }
    Ok(())
}

/// Of these mails none may be of this kind.
///
/// # Errors
/// When one is.
pub fn none(mails: &[Mail], kind: MessageType, why: &str) -> Outcome {
    let found = mails.iter().find(|mail| mail.kind() == kind);
    that(
        found.is_none(),
        format!("{} was sent, and must not be", in_words(kind)),
        why,
        format!("sent: {}", found.map_or_else(String::new, Mail::show)),
    )
}

/// What `Vote` alone leaves open: who asks, or who answers.
fn in_words(kind: MessageType) -> String {
    match kind {
        MessageType::MsgRequestVote => "a request for votes (Vote)".into(),
        kind => notation::kind(kind).into(),
    }
}

/// Of these mails exactly one must be of this kind; that one.
///
/// # Errors
/// When there is none, or are several.
pub fn one<'m>(mails: &'m [Mail], kind: MessageType, why: &str) -> Outcome<&'m Message> {
    let found = mail::of_kind(mails, kind);
    that(
        found.len() == 1,
        format!("exactly one {} should have been sent", notation::kind(kind)),
        why,
        format!("sent: {}", mail::show_all(mails)),
    )?;
    Ok(found[0])
}

/// Of these mails at least one must satisfy `ok`, which is `expected` in words; the first that does.
///
/// # Errors
/// When none does.
pub fn some<'m>(
    mails: &'m [Mail],
    expected: &str,
    why: &str,
    ok: impl Fn(&Message) -> bool,
) -> Outcome<&'m Message> {
    mails.iter().map(|mail| &mail.msg).find(|m| ok(m)).ok_or_else(|| {
        let sent = format!("sent: {}", mail::show_all(mails));
        Failure::broke(format!("{expected} should have been sent"), why, sent)
    })
}
