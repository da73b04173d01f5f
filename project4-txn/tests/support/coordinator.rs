//! The subject of stage 4D's parts: a client that the judge holds all strings of.

use prost::Message;
use serde_bytes::ByteBuf;
use sim::seam::Subject;
use txn::client::{Answer, Client, Config, Effect as Wanted, Outcome as Over, Response};
use txn_suite::parts4d::protocol::{Coordinator, Effect, Input, Outcome, What};

/// A client, once it was opened.
#[derive(Default)]
pub struct Desk {
    client: Option<Client>,
}

impl Subject<Coordinator> for Desk {
    fn handle(&mut self, Input { now, what }: Input) -> Vec<Effect> {
        if let What::Open(settings) = what {
            self.client = Some(Client::new(Config {
                lock_ttl: settings.lock_ttl,
                one_pc: settings.one_pc,
                tries: settings.tries,
                pauses: settings.pauses,
            }));
            return Vec::new();
        }
        let Some(client) = &mut self.client else {
            panic!("the judge asks a client that it did not open")
        };
        match what {
            What::Open(_) => unreachable!("handled above"),
            What::Begin => client.begin(now),
            What::Get(keys) => client.get(&keys, now),
            What::Put(key, value) => client.put(key, value),
            What::Delete(key) => client.delete(key),
            What::Commit => client.commit(now),
            What::Timestamp(id, ts) => client.answered(id, Answer::Timestamp(ts.into()), now),
            What::Region(id, region, leader) => {
                let region = Box::new(decode(&region));
                client.answered(id, Answer::Region(region, Some(decode(&leader))), now);
            }
            What::Response(id, method, bytes) => {
                let response = Response::decode(&method, &bytes);
                let response = response.expect("the judge's responses are whole");
                client.answered(id, Answer::Response(Box::new(response)), now);
            }
            What::Nothing(id) => client.answered(id, Answer::Nothing, now),
            What::Tick => client.tick(now),
        }
        let wakes_at = client.wakes_at();
        let effects = client.take_effects().into_iter().map(effect);
        effects.chain([Effect::WakesAt(wakes_at)]).collect()
    }
}

fn effect(wanted: Wanted) -> Effect {
    match wanted {
        Wanted::AskTimestamp { id } => Effect::AskTimestamp(id),
        Wanted::AskRegion { id, position } => Effect::AskRegion(id, position),
        Wanted::Send { id, store, request } => {
            Effect::Send(id, store, request.method().into(), request.encode().into())
        }
        Wanted::Done(over) => Effect::Done(match over {
            Over::Began(ts) => Outcome::Began(ts.get()),
            Over::Read(found) => Outcome::Read(found),
            Over::Committed(ts) => Outcome::Committed(ts.get()),
            Over::Aborted(why) => Outcome::Aborted(why),
            Over::Unknown(why) => Outcome::Unknown(why),
            Over::Failed(why) => Outcome::Failed(why),
        }),
    }
}

fn decode<M: Message + Default>(bytes: &ByteBuf) -> M {
    M::decode(&bytes[..]).expect("the judge's messages are whole")
}
