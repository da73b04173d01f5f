//! What the judge says to the parts of a store, one at a time, and what they say back.
//!
//! The world of `sim` drives a whole store. That is too much at once for somebody who has written the first of ten
//! functions; so here the parts are asked directly, in the order in which they are built: the log's file, the storage
//! of a peer, a peer with its node, the data. All of them lie on two files, whose writes and syncs come back as
//! effects, so that the judge can cut the power here as well.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim::disk::DiskOp;
use sim::seam::Protocol;

/// The vocabulary.
pub struct Parts;

impl Protocol for Parts {
    type Input = Input;
    type Effect = Effect;
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum File {
    /// `kv.redb`
    Kv,
    /// `raft.redb`
    Log,
}

/// A log entry; without data it is the mark of a new leader.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Its command.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// `RaftLocalState`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The term.
    pub term: u64,
    /// Who has the vote; 0: nobody.
    pub vote: u64,
    /// The commit index.
    pub commit: u64,
    /// The last index.
    pub last: u64,
}

/// `RaftApplyState`; an index is followed by its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyState {
    /// Everything up to here is in the data.
    pub applied: u64,
    /// The log starts behind this entry.
    pub truncated: (u64, u64),
    /// The last entry that is known to be committed.
    pub commit: (u64, u64),
}

/// `LogOp`, of a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// These entries end the log.
    Append(u64, Vec<Entry>),
    /// The region's state.
    State(u64, State),
    /// Entries up to this index may go.
    Compact(u64, u64),
    /// All goes.
    Clear(u64),
}

/// What a client's request says about where it wants to go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The region.
    pub region: u64,
    /// Peer and store.
    pub peer: Option<(u64, u64)>,
    /// `conf_ver` and `version`.
    pub epoch: Option<(u64, u64)>,
    /// 0: any.
    pub term: u64,
}

/// What the judge says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Input {
    /// Open the two files with these bytes (none: new ones).
    Open {
        /// `kv.redb`
        #[serde(with = "serde_bytes")]
        kv: Vec<u8>,
        /// `raft.redb`
        #[serde(with = "serde_bytes")]
        log: Vec<u8>,
    },
    /// `LogStore::commit`
    Commit {
        /// What.
        ops: Vec<Op>,
        /// Durably.
        sync: bool,
    },
    /// `LogStore::entries` of a region.
    ReadLog(u64, u64, u64, u64),
    /// `LogStore::state` of region 1.
    ReadState,
    /// `peer_storage::create`, for the first region with these members.
    Create(Vec<u64>),
    /// Puts an apply state into the data, as an earlier life might have left it.
    PutApplyState(ApplyState),
    /// Puts the copy of the raft state there which an installed snapshot leaves.
    PutCopy(State),
    /// Notes that the peer is being filled by a snapshot.
    PutApplying,
    /// `peer_storage::open`
    OpenStorage,
    /// `PeerStorage::append` into a batch that is committed now, or with the next that is.
    Append {
        /// The entries.
        entries: Vec<Entry>,
        /// Term, vote, commit.
        hard: Option<(u64, u64, u64)>,
        /// Whether to commit the batch, durably.
        commit: bool,
    },
    /// `Storage::entries`
    Entries(u64, u64, u64),
    /// `Storage::term`
    Term(u64),
    /// A node on the opened storage, and a peer round it; this is its id.
    StartPeer {
        /// The peer, and its store.
        me: u64,
        /// The most bytes that may wait uncommitted.
        max_uncommitted: u64,
    },
    /// The node campaigns.
    Campaign,
    /// `Peer::tick`, so many times, at this time.
    Tick(u64, u64),
    /// `Peer::step` with this encoded `RaftMessage`.
    Step(ByteBuf),
    /// `Peer::propose`: puts of these keys and values.
    Propose {
        /// Names the request.
        number: u32,
        /// Where to.
        header: Header,
        /// User keys, and values.
        puts: Vec<(Vec<u8>, ByteBuf)>,
        /// Until when.
        deadline: u64,
    },
    /// `Peer::read`
    Read {
        /// Names the request.
        number: u32,
        /// Where to.
        header: Header,
        /// Until when.
        deadline: u64,
    },
    /// `Peer::handle_ready`, once.
    Ready,
    /// Commits what the rounds so far want in the log, durably.
    CommitRound,
    /// `Peer::on_persisted`
    Persisted(u64),
    /// `Apply::apply`, and the commit of its batch.
    Apply(Vec<Entry>),
    /// `Peer::on_applied`: all these entries (index, term) were applied.
    Applied(Vec<(u64, u64)>),
    /// The value of a user's raw key in `default`.
    Get(Vec<u8>),
    /// `Peer::on_compacted`
    Compacted(u64, u64),
    /// `Peer::log_gc`
    LogGc {
        /// The limit in entries.
        entries: u64,
        /// The limit in bytes.
        bytes: u64,
        /// Up to where the data is durable.
        durable: u64,
    },
    /// `SnapSource::build`; the source is kept.
    Build(usize),
    /// The parts of the kept source.
    BuiltParts,
    /// Stages these parts' bodies as they come from the network, durably.
    Stage(Vec<ByteBuf>),
    /// `Install::run`
    Install {
        /// The encoded snapshot.
        label: ByteBuf,
        /// The raft state that belongs to it.
        state: State,
        /// Up to so many bytes at once.
        at_once: u64,
        /// How many are staged.
        bytes: u64,
    },
    /// `snapshot::resume`
    Resume,
    /// Everything that a peer has in the data's file.
    Dump,
}

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// `Refusal::is_definite`
    pub definite: bool,
    /// The encoded region error, if it is one.
    pub region_error: Option<ByteBuf>,
    /// Whether it is `Refusal::Later`.
    pub later: bool,
    /// Its text.
    pub text: String,
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// The write is done.
    Written,
    /// It may read this region, in this term.
    Granted(u64, u64),
    /// It was refused.
    Refused(Refused),
    /// Its callback was dropped without an answer.
    Abandoned,
}

/// What a peer wanted done, and how it stands afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// `handle_ready`: there was a Ready.
    pub more: bool,
    /// Encoded `RaftMessage`s, to be sent at once.
    pub sent: Vec<ByteBuf>,
    /// To be written to the log.
    pub ops: Vec<Op>,
    /// Durably.
    pub sync: bool,
    /// The last Ready that this makes durable.
    pub ready: Option<u64>,
    /// To be applied.
    pub apply: Vec<Entry>,
    /// Who was told what.
    pub told: Vec<(u32, Told)>,
    /// The peer.
    pub leads: bool,
    /// Its term.
    pub term: u64,
    /// The last index of its log.
    pub last: u64,
    /// What it knows to be committed.
    pub commit: u64,
    /// `Peer::persisted`
    pub persisted: u64,
    /// `Peer::applied`
    pub applied: u64,
}

/// A storage that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The raft state, as the storage says it.
    pub state: State,
    /// The first index of the log.
    pub first: u64,
    /// Its last index.
    pub last: u64,
    /// How far the data is.
    pub apply: ApplyState,
}

/// What became of applied entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// `applied_index`
    pub applied: u64,
    /// Index, term, and the refusal of each that was refused.
    pub entries: Vec<(u64, u64, Option<Refused>)>,
    /// Where admin commands have cut the log.
    pub cuts: Vec<(u64, u64)>,
}

/// A pair of the data: the place of its column family (`default`, `lock`, `write`), engine key, value.
pub type Pair = (u8, ByteBuf, ByteBuf);

/// What a peer has in the data's file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// Its data.
    pub pairs: Vec<Pair>,
    /// `Normal`, `Applying`, ..., or empty.
    pub peer: String,
    /// How far its data is.
    pub apply: Option<ApplyState>,
    /// The copy of the raft state.
    pub copy: Option<State>,
    /// How many parts are staged.
    pub staged: usize,
}

impl std::fmt::Debug for Dump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} peer, {:?}, copy {:?}, ", self.peer, self.apply, self.copy)?;
        write!(f, "{} parts staged, data:{}", self.staged, show_pairs(&self.pairs))
    }
}

/// Pairs for people: ` default ra=1 lock ra=2`.
pub fn show_pairs(pairs: &[Pair]) -> String {
    let one = |(cf, key, value): &Pair| {
        let cf = ["default", "lock", "write"].get(usize::from(*cf)).unwrap_or(&"?");
        format!(" {cf} {}={}", key.escape_ascii(), value.escape_ascii())
    };
    pairs.iter().map(one).collect()
}

/// An error that stops a store, as text.
pub type Stop = String;

/// What the parts say.
#[derive(Debug, Serialize, Deserialize)]
pub enum Effect {
    /// This happened to a file, before what follows in the list.
    Disk(File, DiskOp),
    /// An [`Input`] that gives nothing was carried out.
    Done(Result<(), Stop>),
    /// Entries.
    Entries(Result<Vec<Entry>, Stop>),
    /// A raft state.
    State(Result<Option<State>, Stop>),
    /// A storage was opened.
    Opened(Result<Opened, Stop>),
    /// A term.
    Term(Result<u64, Stop>),
    /// A request was taken, or not.
    Taken(Result<(), Refused>),
    /// A round.
    Round(Box<Round>),
    /// Entries were applied.
    Outcome(Result<Outcome, Stop>),
    /// A value.
    Value(Option<ByteBuf>),
    /// `log_gc`: encoded header and command.
    Cut(Option<(ByteBuf, ByteBuf)>),
    /// A snapshot: its encoded label.
    Built(Result<ByteBuf, Stop>),
    /// Encoded parts.
    Parts(Result<Vec<ByteBuf>, Stop>),
    /// What there is.
    Dump(Dump),
}
