//! A trace for tests whose world keeps none: what was said to the subject, and what it did, word by word.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

use crate::failure::Outcome;
use crate::link::Link;
use crate::seam::Protocol;
use crate::trace::{Event, Trace};

/// Long values are cut: a trace is read by people.
const WIDTH: usize = 240;

/// What was spoken in a run so far. Time stands still: each exchange is a step.
#[derive(Clone)]
pub(super) struct Spoken(Rc<RefCell<(Trace, u64)>>);

impl Spoken {
    pub fn new(seed: u64) -> Self {
        let mut trace = Trace::new(true);
        let clock = Some("step".to_owned());
        trace.line(0, || Event::Start { trace: 1, seed, clock, nodes: vec![1], clients: vec![] });
        Spoken(Rc::new(RefCell::new((trace, 0))))
    }

    fn line(&self, event: Event) {
        let (trace, step) = &mut *self.0.borrow_mut();
        *step += 1;
        trace.line(*step * 1_000, || event);
    }

    /// Listens to a subject that was just started: its `life`, counted from 1.
    pub fn listen<P: Protocol>(&self, link: Box<dyn Link<P>>, life: u64) -> Box<dyn Link<P>> {
        self.line(Event::Open { n: 1, life });
        Box::new(Heard { link, spoken: self.clone() })
    }

    pub fn into_trace(self) -> Trace {
        self.0.take().0
    }
}

struct Heard<P: Protocol> {
    link: Box<dyn Link<P>>,
    spoken: Spoken,
}

impl<P: Protocol> Link<P> for Heard<P> {
    fn exchange(&mut self, input: P::Input) -> Outcome<Vec<P::Effect>> {
        let said = short(&input);
        let answer = self.link.exchange(input);
        let effects = match &answer {
            Ok(effects) => effects.iter().map(short).collect(),
            Err(failure) => vec![failure.what()],
        };
        self.spoken.line(Event::Exchange { n: 1, input: said, effects });
        answer
    }
}

fn short(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}
