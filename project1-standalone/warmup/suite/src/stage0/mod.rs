//! Stage 0: the outbox first, since nothing can be seen without it; then requests; then time.

mod expiry;
mod outbox;
mod requests;

use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::link::Link;

use crate::protocol::{Input, Letter, NoticeBoard, Said};

/// The tests, in course order.
pub fn tests() -> Vec<Test<NoticeBoard>> {
    [outbox::tests(), requests::tests(), expiry::tests()].into_iter().flatten().collect()
}

/// What a test gets.
type World<'a> = Run<'a, NoticeBoard>;

/// A board that can be asked, and the run that counts what it was asked.
struct Asked<'r, 'l> {
    run: &'r mut World<'l>,
    link: Box<dyn Link<NoticeBoard>>,
}

impl<'r, 'l> Asked<'r, 'l> {
    fn start(run: &'r mut World<'l>) -> Outcome<Self> {
        let link = run.start()?;
        Ok(Asked { run, link })
    }

    /// A number below `bound`.
    fn draw(&mut self, bound: u64) -> u64 {
        self.run.rng.next_u64() % bound
    }

    fn ask(&mut self, input: Input) -> Outcome<Vec<Letter>> {
        self.run.count_input();
        self.link.exchange(input)
    }

    /// Says all of these to the board, in order.
    fn say(&mut self, inputs: impl IntoIterator<Item = Input>) -> Outcome {
        inputs.into_iter().try_for_each(|input| self.ask(input).map(drop))
    }

    /// Takes the outbox, and compares.
    fn expect(&mut self, why: &str, right: &[Letter]) -> Outcome {
        let seen = self.ask(Input::TakeOutbox)?;
        if seen == right {
            return Ok(());
        }
        Err(Failure::broke(
            why,
            format!("right would be {}", show(right)),
            format!("the outbox has {}", show(&seen)),
        ))
    }
}

fn show(letters: &[Letter]) -> String {
    let one = |letter: &Letter| format!("to {}: {:?}", letter.to, letter.said);
    match letters {
        [] => "nothing".to_owned(),
        all => all.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

fn to(client: u64, said: Said) -> Letter {
    Letter { to: client, said }
}

fn pin(from: u64, name: &str, text: &str, until: u64) -> Input {
    Input::Pin { from, name: name.to_owned(), text: text.to_owned(), until }
}

fn read(from: u64, name: &str) -> Input {
    Input::Read { from, name: name.to_owned() }
}

fn remove(from: u64, name: &str) -> Input {
    Input::Remove { from, name: name.to_owned() }
}
