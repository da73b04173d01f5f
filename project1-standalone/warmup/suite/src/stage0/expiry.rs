//! `Board::tick`.

use sim::failure::Outcome;
use sim::harness::Test;

use super::{Asked, World, pin, read, to};
use crate::protocol::{Input, NoticeBoard, Said};

pub(super) fn tests() -> Vec<Test<NoticeBoard>> {
    sim::tests!("expiry.rs":
        a_notice_is_taken_down_when_its_time_is_over,
        authors_are_told_in_the_order_of_the_names,
    )
}

fn expired(client: u64, name: &str) -> crate::protocol::Letter {
    to(client, Said::Expired { name: name.to_owned() })
}

/// A notice that is over at second 10 is there at 9 and gone at 10.
///
/// Hint: a loop over the map holds it borrowed, so collect the names first, and remove afterwards.
fn a_notice_is_taken_down_when_its_time_is_over(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    board.say([pin(1, "bike", "for sale", 10), pin(2, "flat", "to let", 11), Input::TakeOutbox])?;
    board.say([Input::Tick(9), read(3, "bike")])?;
    let text = Said::Text(Some("for sale".to_owned()));
    board.expect("at second 9 a notice until 10 is not there any more", &[to(3, text)])?;
    board.say([Input::Tick(10)])?;
    board.expect("at second 10 a notice until 10 is not over", &[expired(1, "bike")])?;
    board.say([read(3, "bike"), read(3, "flat")])?;
    let right = [to(3, Said::Text(None)), to(3, Said::Text(Some("to let".to_owned())))];
    board.expect("what is over can still be read, or what is not over cannot", &right)
}

/// Each author is told once, and several at one tick in the order of the names: the order of a `BTreeMap`, the same
/// in each run.
fn authors_are_told_in_the_order_of_the_names(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    let (mut right, mut later) = (Vec::new(), 0);
    for number in 0..20 {
        let (author, until) = (board.draw(9), 1 + board.draw(20));
        let name = format!("notice {number:02}");
        board.say([pin(author, &name, "", until), Input::TakeOutbox])?;
        if until <= 10 {
            right.push(expired(author, &name));
        } else {
            later += 1;
        }
    }
    board.say([Input::Tick(10)])?;
    board.expect(
        "not everybody whose notice was over was told, in the order of the names",
        &right,
    )?;
    board.say([Input::Tick(10)])?;
    board.expect("somebody was told twice", &[])?;
    board.say([Input::Tick(20)])?;
    let told = board.ask(Input::TakeOutbox)?.len();
    sim::failure::expect_eq(|| "a later tick does not take the rest down".into(), &later, &told)
}
