//! `Board::take_outbox`.

use sim::failure::Outcome;
use sim::harness::Test;

use super::{Asked, World, to};
use crate::protocol::{Input, NoticeBoard, Said};

pub(super) fn tests() -> Vec<Test<NoticeBoard>> {
    sim::tests!("outbox.rs": letters_leave_in_the_order_of_sending, a_letter_leaves_once)
}

/// `take_outbox` returns every letter, the oldest first.
///
/// Hint: the letters lie in the right order already; the question is how to get the vector out of `&mut self`.
fn letters_leave_in_the_order_of_sending(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    board.expect("an outbox in which nothing was put has letters", &[])?;
    board.say([7, 3, 5].map(Input::Join))?;
    let right = [7, 3, 5].map(|client| to(client, Said::Welcome));
    board.expect("the letters are not those that were sent, in their order", &right)
}

/// What was taken is gone: whoever takes the outbox again finds only what was sent since. A letter that leaves twice
/// is a message that is delivered twice, and the course is about what happens then.
///
/// Hint: a clone leaves the letters where they are.
fn a_letter_leaves_once(run: &mut World) -> Outcome {
    let mut board = Asked::start(run)?;
    board.say([Input::Join(1)])?;
    board.expect("the first letter is not there", &[to(1, Said::Welcome)])?;
    board.expect("a letter was taken, and it is still there", &[])?;
    board.say([Input::Join(2)])?;
    board.expect("the outbox has not what was sent since", &[to(2, Said::Welcome)])
}
