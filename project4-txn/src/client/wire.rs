//! The messages that a client exchanges with stores, as one type for each direction.

use prost::Message as _;
use proto::errorpb;
use proto::kvrpcpb::{self, Context};

macro_rules! calls {
    ($($name:ident $method:literal $request:ident $response:ident;)+) => {
        /// What a client asks of a store.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "the names are those of the RPCs")]
        pub enum Request {
            $($name(kvrpcpb::$request),)+
        }

        /// What a store answers.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "the names are those of the RPCs")]
        pub enum Response {
            $($name(kvrpcpb::$response),)+
        }

        impl Request {
            /// The RPC's name in `tikvpb.Tikv`.
            pub fn method(&self) -> &'static str {
                match self {
                    $(Request::$name(_) => $method,)+
                }
            }

            /// The encoded message.
            pub fn encode(&self) -> Vec<u8> {
                match self {
                    $(Request::$name(request) => request.encode_to_vec(),)+
                }
            }

            /// Whom it is for: a region, as it was, and a peer of it.
            pub fn context(&self) -> Context {
                let context = match self {
                    $(Request::$name(request) => &request.context,)+
                };
                context.clone().unwrap_or_default()
            }

            pub(super) fn set_context(&mut self, context: Context) {
                match self {
                    $(Request::$name(request) => request.context = Some(context),)+
                }
            }
        }

        impl Response {
            /// The response to an RPC, by its name; `None` if it is none, or another RPC.
            pub fn decode(method: &str, bytes: &[u8]) -> Option<Response> {
                match method {
                    $($method => kvrpcpb::$response::decode(bytes).ok().map(Response::$name),)+
                    _ => None,
                }
            }

            /// Why the store has done nothing, if it is the region's fault.
            pub fn region_error(&self) -> Option<&errorpb::Error> {
                match self {
                    $(Response::$name(response) => response.region_error.as_ref(),)+
                }
            }
        }
    };
}

calls! {
    BatchGet "KvBatchGet" BatchGetRequest BatchGetResponse;
    Prewrite "KvPrewrite" PrewriteRequest PrewriteResponse;
    Commit "KvCommit" CommitRequest CommitResponse;
    BatchRollback "KvBatchRollback" BatchRollbackRequest BatchRollbackResponse;
    CheckTxnStatus "KvCheckTxnStatus" CheckTxnStatusRequest CheckTxnStatusResponse;
    ResolveLock "KvResolveLock" ResolveLockRequest ResolveLockResponse;
}
