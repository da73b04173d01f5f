//! Plans: their steps, how they go on and end, and which are taken up.

use std::collections::BTreeSet;

use prost::Message;
use proto::eraftpb::ConfChangeType;
use proto::metapb::{Peer, PeerRole};
use proto::pdpb::{GetOperatorRequest, OperatorStatus, RegionHeartbeatResponse};
use sim::failure::{Failure, Outcome, expect_eq};
use sim::harness::Test;

use super::fake::obey;
use super::protocol::{Change, Effect, Input, Scheduler, Settings, Step};
use super::world::{Pd, Shape, World, nonsense, peer_id, told};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("operator.rs":
        a_step_is_done_when_the_region_shows_it,
        an_order_says_what_to_whom_and_when,
        an_operator_passes_the_steps_that_are_done,
        an_operator_ends_when_it_takes_too_long,
        an_operator_ends_when_others_change_the_peers,
        an_operator_ends_when_its_step_has_an_obstacle,
        a_plan_is_carried_out_step_by_step,
        an_order_is_given_again_until_it_is_followed,
        a_region_has_one_operator,
        a_plan_for_an_older_region_is_not_taken_up,
        a_store_is_given_no_more_than_its_limit,
        regions_are_scattered,
    )
}

fn eight() -> Shape {
    Shape::new(8, "c", "f").on(&[1, 2, 3]).at(3, 5)
}

/// A step is done when the region looks like it, and a new peer must have caught up: a group with a peer that has no data
/// is one failure nearer to a standstill.
///
/// Hint: compare the peer's id, too; an earlier peer on that store is another one.
fn a_step_is_done_when_the_region_shows_it(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let learner = eight().with_learner(4, 900);
    let mut voter = learner.clone();
    voter.peers[3].set_role(PeerRole::Voter);
    let cases = [
        (Step::AddLearner(4, 900), eight(), false),
        (Step::AddLearner(4, 900), learner.clone(), true),
        (Step::AddLearner(4, 900), learner.clone().pending_on(4), false),
        (Step::AddLearner(4, 901), learner.clone(), false),
        (Step::AddLearner(4, 900), voter.clone(), true),
        (Step::Promote(4, 900), learner.clone(), false),
        (Step::Promote(4, 900), voter.clone(), true),
        (Step::AddPeer(4, 900), learner, false),
        (Step::AddPeer(4, 900), voter.clone(), true),
        (Step::AddPeer(4, 900), voter.pending_on(4), false),
        (Step::Transfer(2), eight(), false),
        (Step::Transfer(2), eight().led_from(2), true),
        (Step::Remove(3), eight(), false),
        (Step::Remove(3), eight().on(&[1, 2]), true),
    ];
    for (step, shape, wanted) in cases {
        let (done, _) = look(&mut pd, step, &shape)?;
        let pending = &shape.pending;
        expect_eq(
            || format!("whether {step:?} is done in {shape}, pending on {pending:?}"),
            &wanted,
            &done,
        )?;
    }
    Ok(())
}

fn look(pd: &mut Pd, step: Step, shape: &Shape) -> Outcome<(bool, RegionHeartbeatResponse)> {
    let Effect::Looked(done, order) =
        pd.ask(Input::Look(step, shape.beat().encode_to_vec().into()))?
    else {
        return Err(nonsense("to a look at a step"));
    };
    let order =
        RegionHeartbeatResponse::decode(&order[..]).map_err(|e| nonsense(&e.to_string()))?;
    Ok((done, order))
}

/// An order carries the region's id and epoch and its leader, and one thing to do: a peer to add (as a learner, or as a
/// voter, which is also how a learner is promoted), the very peer to remove, or the peer to lead.
///
/// Hint: a leader that gets an order for another epoch ignores it.
fn an_order_says_what_to_whom_and_when(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let shape = eight().with_learner(4, 900).led_from(2);
    let peer = |id, store_id, role: PeerRole| Peer { id, store_id, role: role.into() };
    let add = ConfChangeType::AddNode;
    let cases = [
        (
            Step::AddLearner(5, 901),
            Some((ConfChangeType::AddLearnerNode, peer(901, 5, PeerRole::Learner))),
        ),
        (Step::AddPeer(5, 901), Some((add, peer(901, 5, PeerRole::Voter)))),
        (Step::Promote(4, 900), Some((add, peer(900, 4, PeerRole::Voter)))),
        (
            Step::Remove(3),
            Some((ConfChangeType::RemoveNode, peer(peer_id(8, 3), 3, PeerRole::Voter))),
        ),
        (Step::Transfer(1), None),
    ];
    for (step, wanted) in cases {
        let (_, order) = look(&mut pd, step, &shape)?;
        let change = order.change_peer.map(|c| (c.change_type(), c.peer.unwrap_or_default()));
        expect_eq(|| format!("the change of peers in the order of {step:?}"), &wanted, &change)?;
        let to = order.transfer_leader.and_then(|transfer| transfer.peer);
        let heir = shape.peer_on(1).filter(|_| wanted.is_none());
        expect_eq(|| format!("the new leader in the order of {step:?}"), &heir, &to)?;
        let head = (order.region_id, order.region_epoch, order.target_peer);
        let right = (8, shape.region().region_epoch, shape.peer_on(2));
        expect_eq(|| format!("region, epoch and leader in the order of {step:?}"), &right, &head)?;
    }
    Ok(())
}

const MOVE: [Step; 4] =
    [Step::AddLearner(4, 900), Step::Promote(4, 900), Step::Transfer(4), Step::Remove(1)];

// The states of region 8 while `MOVE` goes on; it was planned at conf_ver 5.
fn moving() -> [Shape; 5] {
    let learner = eight().with_learner(4, 900).at(3, 6);
    let mut voter = learner.clone().at(3, 7);
    voter.peers[3].set_role(PeerRole::Voter);
    let led = voter.clone().led_from(4);
    let mut gone = led.clone().at(3, 8);
    gone.peers.remove(0);
    [eight(), learner, voter, led, gone]
}

type Advanced = (u64, Result<String, OperatorStatus>);

fn advance(pd: &mut Pd, steps: &[Step], at: u64, shape: &Shape, now: u64) -> Outcome<Advanced> {
    let region = shape.beat().encode_to_vec().into();
    let (steps, conf_ver) = (steps.to_vec(), 5);
    let ask = Input::Advance { steps, at, conf_ver, started: 1000, region, now, timeout: 10_000 };
    let Effect::Advanced(at, next) = pd.ask(ask)? else {
        return Err(nonsense("to a look at an operator"));
    };
    let next = match next {
        Ok(order) => {
            let order = RegionHeartbeatResponse::decode(&order[..]);
            Ok(told(&order.map_err(|e| nonsense(&e.to_string()))?))
        }
        Err(status) => Err(OperatorStatus::try_from(status).map_err(|e| nonsense(&e.to_string()))?),
    };
    Ok((at, next))
}

/// An operator passes every step that is done, also several at one look, and orders the first that is not. When all are
/// done it has succeeded, even if its time is up.
///
/// Hint: a loop, not an if.
fn an_operator_passes_the_steps_that_are_done(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let orders = ["r8: add learner 900 on s4", "r8: add 900 on s4", "r8: transfer to 900 on s4"];
    for (at, shape) in moving().iter().enumerate() {
        let at = at as u64;
        let wanted = match at {
            0..3 => Ok(orders[usize::try_from(at).unwrap_or(0)].to_owned()),
            3 => Ok(format!("r8: remove {} on s1", peer_id(8, 1))),
            _ => Err(OperatorStatus::Success),
        };
        for before in 0..=at {
            let seen = advance(&mut pd, &MOVE, before, shape, 2000)?;
            let what = || format!("what comes after step {before}, when the region is {shape}");
            expect_eq(what, &(at, wanted.clone()), &seen)?;
        }
    }
    let late = advance(&mut pd, &MOVE, 0, &moving()[4], 1_000_000)?;
    expect_eq(|| "an operator that is done, late".into(), &(4, Err(OperatorStatus::Success)), &late)
}

/// An operator that is not done when its time is up ends as a timeout; before, it goes on.
fn an_operator_ends_when_it_takes_too_long(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    for (at, shape) in moving().iter().take(4).enumerate() {
        let (_, next) = advance(&mut pd, &MOVE, 0, shape, 11_000)?;
        expect_eq(
            || format!("whether step {at} goes on after 10 s of 10 s"),
            &true,
            &next.is_ok(),
        )?;
        let (_, next) = advance(&mut pd, &MOVE, 0, shape, 11_001)?;
        expect_eq(
            || format!("step {at} after more than 10 s"),
            &Err(OperatorStatus::Timeout),
            &next,
        )?;
    }
    Ok(())
}

/// If the region's peers have changed by more than the operator's own steps account for, somebody else has changed them
/// too: the plan was made for another region and ends. Its own changes do not end it, a change of the version (a split)
/// does not, and a peer that is there but has not caught up has changed the peers already.
///
/// Hint: `Step::has_changed_peers` of all steps up to the present one.
fn an_operator_ends_when_others_change_the_peers(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    for shape in moving().into_iter().take(4) {
        let foreign = Shape { conf_ver: shape.conf_ver + 1, ..shape.clone() };
        let (_, next) = advance(&mut pd, &MOVE, 0, &foreign, 2000)?;
        let wanted = Err(OperatorStatus::Cancel);
        expect_eq(|| format!("an operator of conf_ver 5 that meets {foreign}"), &wanted, &next)?;
        let split = Shape { version: 9, ..shape };
        let (_, next) = advance(&mut pd, &MOVE, 0, &split, 2000)?;
        expect_eq(|| format!("whether an operator goes on in {split}"), &true, &next.is_ok())?;
    }
    let pending = moving()[1].clone().pending_on(4);
    let (at, next) = advance(&mut pd, &MOVE, 0, &pending, 2000)?;
    expect_eq(|| "an operator whose learner is far behind".into(), &(0, true), &(at, next.is_ok()))
}

/// A step that the region cannot take ends the operator: a peer on a store that has another one, a transfer to a peer that
/// lags, the removal of the leader.
fn an_operator_ends_when_its_step_has_an_obstacle(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let cases = [
        (Step::AddLearner(3, 900), eight()),
        (Step::Promote(4, 900), eight()),
        (Step::Transfer(2), eight().pending_on(2)),
        (Step::Transfer(4), eight().with_learner(4, 900).at(3, 5)),
        (Step::Remove(1), eight()),
    ];
    for (step, shape) in cases {
        let (_, next) = advance(&mut pd, &[step], 0, &shape, 2000)?;
        expect_eq(|| format!("{step:?} of {shape}"), &Err(OperatorStatus::Cancel), &next)?;
    }
    Ok(())
}

fn started<'w, 'a>(run: &'w mut World<'a>, settings: Settings) -> Outcome<Pd<'w, 'a>> {
    let mut pd = Pd::start(run, settings)?;
    pd.open_with_tail(6)?;
    pd.beat(&eight())?;
    pd.take_orders();
    Ok(pd)
}

fn expect_taken(pd: &mut Pd, changes: Vec<Change>) -> Outcome {
    let what = format!("{changes:?}");
    pd.plan(8, changes)?.map_err(|why| {
        Failure::broke(
            "a plan was not taken up",
            format!("region 8 is {}; plan: {what}", eight()),
            why,
        )
    })
}

fn expect_refused(pd: &mut Pd, changes: Vec<Change>, why: &str) -> Outcome {
    let what = format!("{changes:?}");
    match pd.plan(8, changes)? {
        Err(_) => Ok(()),
        Ok(()) => Err(Failure::broke("a plan was taken up that must not be", why, what)),
    }
}

fn status(pd: &mut Pd) -> Outcome<OperatorStatus> {
    Ok(pd.done(GetOperatorRequest { region_id: 8, ..Default::default() })?.status())
}

/// A plan to move a leader's peer: a learner is added, caught up, promoted, made the leader; only then the old peer goes.
/// The first order comes at once, each next one with the report that shows the step before; then it is over, and
/// GetOperator says SUCCESS.
fn a_plan_is_carried_out_step_by_step(run: &mut World) -> Outcome {
    let mut pd = started(run, Settings::default())?;
    expect_taken(&mut pd, vec![Change::Move(1, 4)])?;
    let alive = BTreeSet::from([1, 2, 3, 4]);
    let mut shape = eight();
    let mut seen = Vec::new();
    for _ in 0..12 {
        let orders = pd.take_orders();
        let Some(order) = orders.last() else { break };
        expect_eq(
            || "GetOperator's status under way".into(),
            &OperatorStatus::Running,
            &status(&mut pd)?,
        )?;
        let what = told(order)
            .split(' ')
            .skip(1)
            .filter(|w| w.parse::<u64>().is_err())
            .collect::<Vec<_>>()
            .join(" ");
        if seen.last() != Some(&what) {
            seen.push(what);
        }
        obey(&mut shape, order, &alive)?;
        pd.beat(&shape)?;
        if !shape.pending.is_empty() {
            shape.pending.clear();
            pd.beat(&shape)?;
        }
    }
    let wanted = ["add learner on s4", "add on s4", "transfer to on s4", "remove on s1"];
    expect_eq(
        || "the orders of a move from s1 to s4".into(),
        &wanted.map(String::from).to_vec(),
        &seen,
    )?;
    expect_eq(
        || "GetOperator's status at the end".into(),
        &OperatorStatus::Success,
        &status(&mut pd)?,
    )
}

/// An order may be lost. It is given again with the next report, and after a few seconds without one, until the operator
/// ends; a plan that only moves leadership ends after ten seconds.
fn an_order_is_given_again_until_it_is_followed(run: &mut World) -> Outcome {
    let mut pd = started(run, Settings::default())?;
    expect_taken(&mut pd, vec![Change::Add(4)])?;
    let first = pd.take_orders();
    pd.beat(&eight())?;
    let again = pd.take_orders();
    expect_eq(|| "the order that comes with a report".into(), &first, &again)?;
    let mut later = Vec::new();
    for _ in 0..10 {
        pd.wait(1000)?;
        later.extend(pd.take_orders());
    }
    if later.first() != first.first() {
        return Err(Failure::broke(
            "an order that was lost is not given again",
            format!("ordered once: {}", first.first().map_or_else(String::new, told)),
            "for ten seconds the region did not report, and nothing was ordered",
        ));
    }
    pd.wait(600_000)?;
    expect_eq(
        || "GetOperator's status after ten minutes".into(),
        &OperatorStatus::Timeout,
        &status(&mut pd)?,
    )
}

/// A region has one operator at a time; the second plan is refused, as long as it is not more urgent. When the first has
/// ended there is room again.
fn a_region_has_one_operator(run: &mut World) -> Outcome {
    let mut pd = started(run, Settings::default())?;
    expect_taken(&mut pd, vec![Change::Transfer(2)])?;
    expect_refused(&mut pd, vec![Change::Move(1, 4)], "region 8 has an operator under way")?;
    pd.beat(&eight().led_from(2))?;
    expect_taken(&mut pd, vec![Change::Move(1, 4)])
}

/// A plan for a region that has no known leader, or nothing to do, is not taken up.
fn a_plan_for_an_older_region_is_not_taken_up(run: &mut World) -> Outcome {
    let mut pd = started(run, Settings::default())?;
    expect_refused(&mut pd, Vec::new(), "there is nothing to do")?;
    pd.remove_store(6)?;
    pd.crash()?;
    expect_refused(
        &mut pd,
        vec![Change::Transfer(2)],
        "after a restart, no leader of region 8 has reported yet",
    )?;
    pd.beat(&eight())?;
    expect_taken(&mut pd, vec![Change::Transfer(2)])
}

/// A store gets at most `store_limit` peers a minute, and loses at most as many; time gives it more. A plan that one store
/// has no room for takes nothing from the other's limit.
///
/// Hint: ask all stores before you take from any.
fn a_store_is_given_no_more_than_its_limit(run: &mut World) -> Outcome {
    let mut pd = started(run, Settings { store_limit: 4, ..Settings::default() })?;
    let regions: Vec<Shape> = (20..30)
        .map(|id| Shape::new(id, &format!("k{id}"), &format!("k{id}x")).on(&[1, 2, 3]).at(3, 1))
        .collect();
    for shape in &regions {
        pd.beat(shape)?;
    }
    let mut given = [0, 0];
    for (minute, given) in given.iter_mut().enumerate() {
        for (nth, shape) in regions.iter().enumerate() {
            // The first five from s1, the others from s2: what s4 has no room for must not cost s2 anything.
            let from = if nth < 5 { 1 } else { 2 };
            let taken = pd.plan(shape.id, vec![Change::Move(from, 4)])?.is_ok();
            *given += usize::from(taken);
            if minute == 0 && from == 2 {
                let what = || "whether s4, which has no room for more from s1, has some for s2's";
                expect_eq(|| what().into(), &false, &taken)?;
            }
        }
        if minute == 0 {
            let other = pd.plan(29, vec![Change::Move(2, 5)])?;
            expect_eq(|| "whether s2 can still lose a peer, to s5".into(), &true, &other.is_ok())?;
            for _ in 0..60 {
                pd.wait(1000)?;
            }
        }
    }
    pd.take_orders();
    if given[0] >= 1 && given[0] <= 4 && given[1] >= 1 && given[1] <= 4 {
        return Ok(());
    }
    Err(Failure::broke(
        "a store's limit was not kept, or never filled up again",
        "s4 may be given 4 peers a minute",
        format!("it was given {} at once, and {} a minute later", given[0], given[1]),
    ))
}

/// Regions that lie all on the same three stores are spread by ScatterRegion over all that there are.
fn regions_are_scattered(run: &mut World) -> Outcome {
    let mut pd = started(run, Settings::default())?;
    let regions = (20..32)
        .map(|id| Shape::new(id, &format!("k{id}"), &format!("k{id}x")).on(&[1, 2, 3]).at(3, 1));
    let mut fake = super::fake::Fake::new(6, regions);
    fake.second(&mut pd)?;
    let answer = pd.done(proto::pdpb::ScatterRegionRequest {
        regions_id: fake.regions.keys().copied().collect(),
        ..Default::default()
    })?;
    expect_eq(|| "the percentage that was started".into(), &100, &answer.finished_percentage)?;
    for order in pd.take_orders() {
        fake.follow(&order)?;
    }
    fake.settle(&mut pd, 10, 300)?;
    for (what, spread) in [("peers", fake.peers(6)), ("leaders", fake.leaders(6))] {
        let (most, least) = (spread.values().max(), spread.values().min());
        if most.zip(least).is_none_or(|(most, least)| most - least > 2) {
            return Err(Failure::broke(
                format!("the {what} of scattered regions are not spread"),
                "12 regions with 3 peers each, on 6 stores",
                format!("{what} by store: {spread:?}"),
            ));
        }
    }
    Ok(())
}
