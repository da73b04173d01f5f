//! A batch of changes as the content of a log entry, and back.
//!
//! The bytes are TiKV's: a `raft_cmdpb.RaftCmdRequest` with a header (what the proposer believed) and either data
//! commands or one admin command. All data commands of one request happen together or not at all; so the way back
//! either gives the whole batch or says why none of it can be applied, and says the same on every replica.

use prost::Message as _;
use proto::metapb::Region;
use proto::raft_cmdpb::{
    AdminRequest, CmdType, DeleteRangeRequest, DeleteRequest, PutRequest, RaftCmdRequest,
    RaftRequestHeader, Request,
};
use standalone::Modify;
use standalone::engine::parse_cf;
use standalone::keys::KeyRange;

use crate::error::Refusal;
use crate::region;

/// The largest entry that is proposed, in bytes: TiKV's default. A larger one would hold up everybody behind it.
pub const MAX_ENTRY_LEN: usize = 8 << 20;

/// A request that writes `batch`.
pub fn write_request(header: RaftRequestHeader, batch: Vec<Modify>) -> Box<RaftCmdRequest> {
    Box::new(RaftCmdRequest {
        header: Some(header),
        requests: batch.into_iter().map(request).collect(),
        ..Default::default()
    })
}

/// A request that changes the region itself.
pub fn admin_request(header: RaftRequestHeader, admin: AdminRequest) -> Box<RaftCmdRequest> {
    Box::new(RaftCmdRequest {
        header: Some(header),
        admin_request: Some(admin),
        ..Default::default()
    })
}

fn request(modify: Modify) -> Request {
    match modify {
        Modify::Put { cf, key, value } => Request {
            cmd_type: CmdType::Put.into(),
            put: Some(PutRequest { cf: cf.into(), key: key.into(), value: value.into() }),
            ..Default::default()
        },
        Modify::Delete { cf, key } => Request {
            cmd_type: CmdType::Delete.into(),
            delete: Some(DeleteRequest { cf: cf.into(), key: key.into() }),
            ..Default::default()
        },
        Modify::DeleteRange { cf, range } => Request {
            cmd_type: CmdType::DeleteRange.into(),
            delete_range: Some(DeleteRangeRequest {
                cf: cf.into(),
                start_key: range.start.into(),
                end_key: range.end.into(),
                notify_only: false,
            }),
            ..Default::default()
        },
    }
}

/// The batch that these data commands stand for.
///
/// # Errors
/// [`Refusal::Invalid`] for an unknown column family or command: the same on every replica.
pub fn batch(requests: &[Request]) -> Result<Vec<Modify>, Refusal> {
    requests.iter().map(modify).collect()
}

fn modify(request: &Request) -> Result<Modify, Refusal> {
    let cf = |name: &str| parse_cf(name).map_err(|error| Refusal::Invalid(error.to_string()));
    match (request.cmd_type(), &request.put, &request.delete, &request.delete_range) {
        (CmdType::Put, Some(put), ..) => {
            Ok(Modify::Put { cf: cf(&put.cf)?, key: put.key.to_vec(), value: put.value.to_vec() })
        }
        (CmdType::Delete, _, Some(delete), _) => {
            Ok(Modify::Delete { cf: cf(&delete.cf)?, key: delete.key.to_vec() })
        }
        (CmdType::DeleteRange, .., Some(delete)) => Ok(Modify::DeleteRange {
            cf: cf(&delete.cf)?,
            range: KeyRange { start: delete.start_key.to_vec(), end: delete.end_key.to_vec() },
        }),
        (kind, ..) => Err(Refusal::Invalid(format!("{kind:?} is no command for a log entry"))),
    }
}

/// Refuses keys that are not in the region, and cuts ranges to it: a client sends the bounds of its whole range to
/// each region in turn.
///
/// # Errors
/// `KeyNotInRegion`.
pub fn fit(request: &mut RaftCmdRequest, region: &Region) -> Result<(), Refusal> {
    for request in &mut request.requests {
        if let Some(put) = &request.put {
            region::check_key(region, &put.key)?;
        }
        if let Some(delete) = &request.delete {
            region::check_key(region, &delete.key)?;
        }
        if let Some(delete) = &mut request.delete_range {
            let asked = KeyRange { start: delete.start_key.to_vec(), end: delete.end_key.to_vec() };
            let cut = region::clamp(region, &asked);
            (delete.start_key, delete.end_key) = (cut.start.into(), cut.end.into());
        }
    }
    Ok(())
}

/// The content of a log entry.
///
/// # Errors
/// [`Refusal::Invalid`] for a request over [`MAX_ENTRY_LEN`].
pub fn encode(request: &RaftCmdRequest) -> Result<Vec<u8>, Refusal> {
    let len = request.encoded_len();
    if len > MAX_ENTRY_LEN {
        return Err(Refusal::Invalid(format!(
            "the request makes a log entry of {len} bytes, the limit is {MAX_ENTRY_LEN}: split it"
        )));
    }
    Ok(request.encode_to_vec())
}
