//! `Board::step`.

use sim::failure::Outcome;
use sim::harness::Test;

use super::{Asked, World, pin, read, remove, to};
use crate::protocol::{NoticeBoard, Said};

pub(super) fn tests() -> Vec<Test<NoticeBoard>> {
    sim::tests!("requests.rs":
        a_pinned_notice_can_be_read,
        a_second_pin_takes_the_place_of_the_first,
        a_removed_notice_is_gone,
        each_request_gets_one_reply,
    )
}

fn text(text: &str) -> Said {
    Said::Text(Some(text.to_owned()))
}

/// After a `Pin` everybody reads the text, as often as they like; a name that nobody pinned has none.
///
/// Hint: `get` lends you the notice; the reply needs a text of its own.
fn a_pinned_notice_can_be_read(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    board.say([pin(1, "bike", "for sale", 99)])?;
    board.expect("a pin is not answered rightly", &[to(1, Said::Pinned { replaced: false })])?;
    board.say([read(2, "bike"), read(3, "bike"), read(2, "bik")])?;
    let right = [to(2, text("for sale")), to(3, text("for sale")), to(2, Said::Text(None))];
    board.expect("a notice cannot be read as it was pinned", &right)
}

/// One name has one notice. A `Pin` of a name that is there replaces the old text, and says so.
///
/// Hint: what does `insert` return?
fn a_second_pin_takes_the_place_of_the_first(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    board.say([pin(1, "bike", "for sale", 99), pin(2, "bike", "stolen", 99), read(3, "bike")])?;
    let right = [
        to(1, Said::Pinned { replaced: false }),
        to(2, Said::Pinned { replaced: true }),
        to(3, text("stolen")),
    ];
    board.expect("the second notice of a name is not the one that counts", &right)
}

/// `Remove` answers what the notice said, and afterwards there is none. Removing what is not there is no error.
fn a_removed_notice_is_gone(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    board.say([
        pin(1, "bike", "for sale", 99),
        remove(2, "bike"),
        read(1, "bike"),
        remove(2, "bike"),
    ])?;
    let right = [
        to(1, Said::Pinned { replaced: false }),
        to(2, Said::Removed(Some("for sale".to_owned()))),
        to(1, Said::Text(None)),
        to(2, Said::Removed(None)),
    ];
    board.expect("a notice that was taken down is still there", &right)
}

/// Exactly one reply for each request, to the client that asked, in the order of asking. A request that is forgotten
/// leaves somebody waiting for ever.
fn each_request_gets_one_reply(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    let mut right = Vec::new();
    for _ in 0..40 {
        let client = board.draw(5);
        let name = format!("nobody pinned {}", board.draw(9));
        if board.draw(2) == 0 {
            board.say([read(client, &name)])?;
            right.push(to(client, Said::Text(None)));
        } else {
            board.say([remove(client, &name)])?;
            right.push(to(client, Said::Removed(None)));
        }
    }
    board.expect("the replies are not one for each request, to who asked", &right)
}
