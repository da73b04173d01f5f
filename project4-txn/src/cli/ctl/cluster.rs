//! Regions, stores, and what is done about them.

use std::collections::BTreeMap;
use std::num::IntErrorKind;

use proto::kvrpcpb::SplitRegionRequest;
use proto::metapb::{Peer, PeerRole, Region};
use proto::pdpb::GetRegionResponse;
use txn::mvcc::key;

use super::super::http;
use super::super::show::{bytes, say, show};
use super::Session;
use crate::AnyError;

impl Session {
    pub(super) async fn region(&self, wanted: Option<&str>, raw: bool) -> Result<(), AnyError> {
        let Some(wanted) = wanted else {
            for found in self.regions().await? {
                say(describe(&found))?;
            }
            return Ok(());
        };
        let found = match wanted.parse::<u64>() {
            Ok(id) if !raw => self.client.pd().region_by_id(id).await?,
            Err(why) if !raw && *why.kind() == IntErrorKind::PosOverflow => {
                return Err(
                    format!("no region has the id {wanted}: {} is the largest", u64::MAX).into()
                );
            }
            _ if raw => self.client.pd().region_at(&bytes(wanted)?).await?,
            _ => self.client.pd().region_at(&key::encode(&bytes(wanted)?)).await?,
        };
        if found.region.is_none() {
            return Err(format!("there is no region {wanted}: `region` alone shows all").into());
        }
        say(describe(&found))?;
        Ok(())
    }

    /// All of them, in order.
    async fn regions(&self) -> Result<Vec<GetRegionResponse>, AnyError> {
        let mut regions = Vec::new();
        let mut from = Vec::new();
        loop {
            let found = self.client.pd().region_at(&from).await?;
            let Some(region) = &found.region else {
                return Err("the scheduler knows no region yet: try again in a moment".into());
            };
            let next = region.end_key.to_vec();
            if !next.is_empty() && next <= from {
                return Err(
                    format!("PD says that region {} ends before it begins", region.id).into()
                );
            }
            from = next;
            regions.push(found);
            if from.is_empty() {
                return Ok(regions);
            }
        }
    }

    pub(super) async fn stores(&self) -> Result<(), AnyError> {
        let (mut peers, mut leaders) = (BTreeMap::new(), BTreeMap::new());
        for found in self.regions().await? {
            for peer in found.region.iter().flat_map(|region| &region.peers) {
                *peers.entry(peer.store_id).or_insert(0) += 1;
            }
            *leaders.entry(found.leader.map_or(0, |leader| leader.store_id)).or_insert(0) += 1;
        }
        for store in self.client.pd().stores().await? {
            let of = |counts: &BTreeMap<u64, u32>| counts.get(&store.id).copied().unwrap_or(0);
            say(format_args!(
                "store {}  {}  {}  regions {}, leads {}",
                store.id,
                store.address,
                store.state().as_str_name(),
                of(&peers),
                of(&leaders)
            ))?;
        }
        Ok(())
    }

    pub(super) async fn split(&self, at: Vec<u8>) -> Result<(), AnyError> {
        let position = key::encode(&at);
        let request = SplitRegionRequest { split_keys: vec![at.into()], ..Default::default() };
        let answer = self.client.ask(&position, request).await?;
        for region in answer.regions {
            say(format_args!(
                "{}",
                describe(&GetRegionResponse { region: Some(region), ..Default::default() })
            ))?;
        }
        Ok(())
    }

    pub(super) async fn plan(&self, what: &str, region: u64, store: u64) -> Result<(), AnyError> {
        let path = format!("/regions/{region}/{what}/{store}");
        let asked = http::ask("POST", &self.status, &path, None).await;
        let said =
            asked.map_err(|why| format!("{what} {region} {store} was not taken up: {why}"))?;
        say(said)?;
        Ok(())
    }

    /// What only a playground does. Its page has the token that it takes.
    pub(super) async fn play(&self, path: &str) -> Result<(), AnyError> {
        let page = http::ask("GET", &self.status, "/", None).await?;
        let token = page
            .split_once("name=\"token\" content=\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(token, _)| token)
            .filter(|token| !token.is_empty())
            .ok_or_else(|| {
                format!(
                    "the status pages at {} are no playground's: elsewhere, a store is ended where it was started",
                    self.status
                )
            })?;
        let token = format!("x-tinykv-token: {token}");
        let said =
            http::ask("POST", &self.status, &format!("/control/{path}"), Some(&token)).await?;
        say(said)?;
        Ok(())
    }

    pub(super) async fn tso(&self) -> Result<(), AnyError> {
        let ts = self.client.timestamp().await?;
        say(format_args!(
            "{ts} ({} ms since 1970, and {})",
            ts.physical(),
            ts.get() & ((1 << 18) - 1)
        ))?;
        Ok(())
    }
}

fn describe(found: &GetRegionResponse) -> String {
    let none = Region::default();
    let region = found.region.as_ref().unwrap_or(&none);
    let epoch = region.region_epoch.unwrap_or_default();
    let leader = found.leader.map_or(0, |peer| peer.store_id);
    let peer = |peer: &Peer| {
        let star = if peer.store_id == leader { " leads" } else { "" };
        let learns = if peer.role() == PeerRole::Learner { " learns" } else { "" };
        format!("{} on store {}{star}{learns}", peer.id, peer.store_id)
    };
    let peers: Vec<String> = region.peers.iter().map(peer).collect();
    format!(
        "region {}  [{}, {})  epoch {}:{}  peers {}",
        region.id,
        bound(&region.start_key, "start"),
        bound(&region.end_key, "end"),
        epoch.conf_ver,
        epoch.version,
        peers.join(", ")
    )
}

/// A region's bound as the key that it encodes.
fn bound(position: &[u8], none: &str) -> String {
    match position {
        [] => none.to_owned(),
        encoded => key::decode(encoded).map_or_else(|_| show(encoded), |(key, _)| show(&key)),
    }
}
