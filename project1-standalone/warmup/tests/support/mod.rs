//! The board as a subject: plain values in, plain values out.

use sim::seam::Subject;
use warmup::{Board, Letter, Reply, Request};
use warmup_suite::protocol::{self, Input, NoticeBoard, Said};

/// A board that answers a judge.
#[derive(Default)]
pub struct Node(Board);

impl Subject<NoticeBoard> for Node {
    fn handle(&mut self, input: Input) -> Vec<protocol::Letter> {
        match input {
            Input::Join(client) => self.0.join(client),
            Input::Pin { from, name, text, until } => {
                self.0.step(from, Request::Pin { name, text, until });
            }
            Input::Read { from, name } => self.0.step(from, Request::Read { name }),
            Input::Remove { from, name } => self.0.step(from, Request::Remove { name }),
            Input::Tick(now) => self.0.tick(now),
            Input::TakeOutbox => return self.0.take_outbox().into_iter().map(letter).collect(),
        }
        Vec::new()
    }
}

fn letter(Letter { to, reply }: Letter) -> protocol::Letter {
    let said = match reply {
        Reply::Welcome => Said::Welcome,
        Reply::Pinned { replaced } => Said::Pinned { replaced },
        Reply::Text(text) => Said::Text(text),
        Reply::Removed(text) => Said::Removed(text),
        Reply::Expired { name } => Said::Expired { name },
    };
    protocol::Letter { to, said }
}
