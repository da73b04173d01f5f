//! Every command, on many replicas, against maps.

use std::cell::RefCell;
use std::rc::Rc;

use multiraft_suite::stage3b::pd::{Pd, Wish};
use prost::Message;
use proto::errorpb;
use proto::kvrpcpb::{Context, RawGetRequest};
use sim::cluster::faults::{Cut, Fault, Who};
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::{MS, SECOND};
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::Op;
use sim::rng::Rng;
use sim::world::World;

use crate::stage4c::model::{Model, step, transactions};
use crate::stage4d::config::Town;
use crate::stage4d::oracle::{COMMANDER, Oracle, Order};
use crate::world::{Answers, Responds};

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("commands.rs":
        commands_over_raft_do_what_maps_would,
        commands_survive_leaders_and_power_cuts,
    )
}

/// What every response says in its first field.
#[derive(Clone, PartialEq, prost::Message)]
struct RegionErrorOnly {
    #[prost(message, optional, tag = "1")]
    region_error: Option<errorpb::Error>,
}

/// Three replicas.
struct Replicas<'w, 'a> {
    world: World<'w, 'a>,
    pd: Rc<RefCell<Pd>>,
    order: Rc<RefCell<Order>>,
    rng: Rng,
}

impl<'w, 'a> Replicas<'w, 'a> {
    fn new(run: &'w mut Run<'a, Cluster>) -> Outcome<Self> {
        let (pd, order) = (Rc::new(RefCell::new(Pd::new())), Rc::<RefCell<Order>>::default());
        let rng = Rng::fork(run.seed, "commands");
        let dialect = Oracle::beside(pd.clone()).commanded_by(order.clone());
        let mut setup = Town { doors: 0, ..Town::small() }.setup();
        setup.clients.timeout = SECOND;
        setup.clients.deadline = 800 * MS;
        let world = World::new(run, setup, Box::new(dialect))?;
        Ok(Replicas { world, pd, order, rng })
    }

    /// Sends a command to whoever leads; nothing if there is no answer, or it is a region error.
    fn attempt<Q: Responds>(&mut self, request: &Q) -> Outcome<Option<Q::Response>> {
        let found = self.pd.borrow().find(b"").map(|(region, leader)| (region.clone(), leader));
        let Some((region, leader)) = found else { return Ok(None) };
        let context = Context {
            region_id: region.id,
            region_epoch: region.region_epoch,
            peer: Some(leader),
            ..Default::default()
        };
        // All requests have their context in field 1, and what comes later in a message counts.
        let mut bytes = request.encode_to_vec();
        let later = RawGetRequest { context: Some(context), ..Default::default() };
        bytes.extend(later.encode_to_vec());
        self.order.borrow_mut().command = Some((Q::METHOD.into(), bytes));
        self.order.borrow_mut().answered = None;
        self.world.call(COMMANDER, Op::Get(b"~command".to_vec()), leader.store_id)?;
        let Some(bytes) = self.order.borrow_mut().answered.take() else { return Ok(None) };
        let nonsense = |e: prost::DecodeError| {
            Failure::broke(
                "an answer is no message",
                format!("it answers {}", Q::METHOD),
                e.to_string(),
            )
        };
        if RegionErrorOnly::decode(&bytes[..]).map_err(nonsense)?.region_error.is_some() {
            return Ok(None);
        }
        Q::Response::decode(&bytes[..]).map(Some).map_err(nonsense)
    }
}

impl Answers for Replicas<'_, '_> {
    /// Sends it until there is an answer: every command may come twice.
    fn answered<Q: Responds>(&mut self, request: &Q) -> Outcome<Q::Response> {
        for _ in 0..60 {
            if let Some(response) = self.attempt(request)? {
                return Ok(response);
            }
            self.world.run_for(100 * MS)?;
        }
        Err(Failure::broke(
            "a command is not answered",
            format!(
                "{} was sent sixty times, to whom the scheduler takes for the leader",
                Q::METHOD
            ),
            "there was no answer, or a region error each time",
        ))
    }

    fn luck(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn holds(&mut self) -> Outcome<String> {
        Ok("the leader has applied all commands before".into())
    }
}

/// A sequence of commands on three replicas, some of them twice: each answer is what simple maps give. All that a command has
/// written is there for the next one, and what it has refused is not.
fn commands_over_raft_do_what_maps_would(run: &mut Run<'_, Cluster>) -> Outcome {
    commands(run, |_| Ok(()))
}

/// The same while leaders hand over and the power is cut: a command that was computed under one leader is never written under
/// the next, and whoever gets no answer sends it again, and finds it done or does it now. Two keys of one command are locked
/// together or not at all.
fn commands_survive_leaders_and_power_cuts(run: &mut Run<'_, Cluster>) -> Outcome {
    commands(run, |replicas| {
        match replicas.rng.below(6) {
            0 => {
                let store = 1 + replicas.rng.below(3) as u64;
                replicas.pd.borrow_mut().wish(b"", Wish::Lead(store));
            }
            1 => {
                let lasts = 100 * MS + replicas.rng.below(400) as u64 * MS;
                replicas.world.fault(Fault::Crash(Who::Leader, Cut::Power), Some(lasts))?;
            }
            _ => {}
        }
        Ok(())
    })
}

fn commands(
    run: &mut Run<'_, Cluster>,
    mut before: impl FnMut(&mut Replicas<'_, '_>) -> Outcome,
) -> Outcome {
    let mut replicas = Replicas::new(run)?;
    let (mut model, mut story) = (Model::default(), Vec::new());
    let txns = transactions(&mut replicas.rng);
    for _ in 0..40 {
        before(&mut replicas)?;
        step(&mut replicas, &mut model, &txns, &mut story)?;
    }
    replicas.world.run_for(2 * SECOND)?;
    replicas.world.compare_replicas()
}
