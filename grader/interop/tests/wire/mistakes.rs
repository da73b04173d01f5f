//! The comparisons are no rubber stamps: mistakes made on purpose are found, and named.

use interop::pair::Pair;
use interop::{ONLY_OURS, official, ours, schema, trip};
use prost_reflect::DescriptorPool;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto,
};

/// Each of these mistakes, made in our own description, is found.
#[test]
fn in_a_description() {
    // What the finding must say, and how to earn it.
    type Mistake = (&'static str, fn(&mut FileDescriptorSet));
    let mistakes: [Mistake; 11] = [
        ("message kvrpcpb.GetRequest, field 40", |set| {
            field(set, "kvrpcpb.GetRequest", "key").number = Some(40);
        }),
        ("message metapb.RegionEpoch, field 1", |set| {
            field(set, "metapb.RegionEpoch", "conf_ver").name = Some("configuration".into());
        }),
        ("message pdpb.Timestamp, field 1", |set| {
            field(set, "pdpb.Timestamp", "physical").set_type(Type::Uint64);
        }),
        ("message eraftpb.Entry, field 4", |set| {
            field(set, "eraftpb.Entry", "data").set_type(Type::String);
        }),
        ("message eraftpb.ConfState, field 1", |set| {
            field(set, "eraftpb.ConfState", "voters").set_label(Label::Optional);
        }),
        ("message tikvpb.BatchRaftMessage, field 1", |set| {
            field(set, "tikvpb.BatchRaftMessage", "msgs").type_name =
                Some(".raft_serverpb.SnapshotChunk".into());
        }),
        ("message raft_serverpb.KeyValue: ours leaves out `bytes value = 2`", |set| {
            message(set, "raft_serverpb.KeyValue").field.pop();
        }),
        ("message errorpb.Extra", |set| {
            let extra = DescriptorProto { name: Some("Extra".into()), ..Default::default() };
            file(set, "errorpb").message_type.push(extra);
        }),
        ("enum metapb.PeerRole: ours says DemotingVoter = 4", |set| {
            let mut kinds = file(set, "metapb").enum_type.iter_mut();
            let role = kinds.find(|kind| kind.name() == "PeerRole").unwrap();
            role.value[3].number = Some(4);
        }),
        ("method tikvpb.Tikv.Raft", |set| method(set, "Raft").client_streaming = None),
        ("method tikvpb.Tikv.KvPessimisticRollback", |set| {
            method(set, "KVPessimisticRollback").name = Some("KvPessimisticRollback".into());
        }),
    ];
    for (expected, mistake) in mistakes {
        let mut set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        mistake(&mut set);
        let pool = DescriptorPool::from_file_descriptor_set(set).unwrap();
        let findings = schema::compare(&pool, &official(), ONLY_OURS);
        assert!(
            findings.iter().any(|finding| finding.contains(expected)),
            "not found: {expected}; findings: {findings:#?}"
        );
    }
}

/// Two types that are not the same message are told apart by their bytes or, if these are the same,
/// by the names that they give to them.
#[test]
fn in_a_type() {
    use official::{kvrpcpb as k, metapb as m, pdpb as p, raft_serverpb as r};
    use proto::{kvrpcpb, metapb, pdpb, raft_serverpb};

    // The difference, the number of a field that shows it, and the two types.
    let pairs = [
        (
            "a field is unknown",
            "field 6",
            Pair::of::<kvrpcpb::RawPutRequest, k::RawDeleteRequest>("kvrpcpb.RawPutRequest"),
        ),
        (
            "another wire type",
            "field 1",
            Pair::of::<kvrpcpb::KeyRange, k::TxnInfo>("kvrpcpb.KeyRange"),
        ),
        (
            "32 bits for 64",
            "field 2",
            Pair::of::<pdpb::GetGcSafePointResponse, p::GetGcSafePointV2Request>(
                "pdpb.GetGCSafePointResponse",
            ),
        ),
        (
            "text for bytes",
            "field 2",
            Pair::of::<raft_serverpb::KeyValue, m::StoreLabel>("raft_serverpb.KeyValue"),
        ),
        (
            "one for many",
            "field 2",
            Pair::of::<kvrpcpb::RawBatchGetRequest, k::RawGetRequest>("kvrpcpb.RawBatchGetRequest"),
        ),
        (
            "other names",
            "field 1",
            Pair::of::<metapb::RegionEpoch, r::RaftTruncatedState>("metapb.RegionEpoch"),
        ),
    ];
    for (difference, field, pair) in pairs {
        let message = ours().get_message_by_name(pair.name).unwrap();
        let theirs = official().get_message_by_name(pair.name).unwrap();
        let findings = trip::check(&pair, &message, &theirs);
        assert!(
            findings.iter().any(|finding| finding.contains(field)),
            "{difference}: not found at {field}; findings: {findings:#?}"
        );
    }
}

fn file<'a>(set: &'a mut FileDescriptorSet, package: &str) -> &'a mut FileDescriptorProto {
    set.file.iter_mut().find(|file| file.package() == package).unwrap()
}

fn message<'a>(set: &'a mut FileDescriptorSet, full_name: &str) -> &'a mut DescriptorProto {
    let (package, name) = full_name.split_once('.').unwrap();
    // A package may consist of several files.
    let files = set.file.iter_mut().filter(|file| file.package() == package);
    files.flat_map(|file| &mut file.message_type).find(|message| message.name() == name).unwrap()
}

fn field<'a>(
    set: &'a mut FileDescriptorSet,
    full_name: &str,
    name: &str,
) -> &'a mut FieldDescriptorProto {
    message(set, full_name).field.iter_mut().find(|field| field.name() == name).unwrap()
}

fn method<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut MethodDescriptorProto {
    let tikv = &mut file(set, "tikvpb").service[0];
    tikv.method.iter_mut().find(|method| method.name() == name).unwrap()
}
