//! The official client calls every method of our services, in memory.
//!
//! A call's address is a path, `/tikvpb.Tikv/KvGet`, that each side has made from the names in its
//! own `.proto` files. The client (tonic 0.10) builds a request; `Bridge` carries the path over to
//! our service (tonic 0.14), whose stub answers with the name of the method it was reached by. A
//! path that our service does not know is answered UNIMPLEMENTED by tonic itself. That both sides
//! agree on what is a stream, and of what, is a matter of types: the table would not compile.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use official::tonic::body::BoxBody;
use official::tonic::codegen::{Service, empty_body, http as http_02};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, http as http_1};

include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// A channel of the official client that ends in a service of ours, without a network. It carries
/// the path there and the status back; the messages are for `trip` to compare.
struct Bridge<S>(S);

impl<S> Service<http_02::Request<BoxBody>> for Bridge<S>
where
    S: Service<
            http_1::Request<Body>,
            Response = http_1::Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        >,
{
    type Response = http_02::Response<BoxBody>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http_02::Request<BoxBody>) -> Self::Future {
        // An empty message in gRPC's frame is five zero bytes.
        let mut ours = http_1::Request::new(Body::new("\0\0\0\0\0".to_owned()));
        *ours.method_mut() = http_1::Method::POST;
        *ours.uri_mut() = request.uri().path().parse().expect("a path is a URI");
        let answer = self.0.call(ours);
        Pin::from(Box::new(async move {
            let answer = answer.await?;
            // An error has no body: its status is in the headers.
            let mut theirs = http_02::Response::new(empty_body());
            for (name, value) in answer.headers() {
                theirs.headers_mut().insert(
                    http_02::HeaderName::from_bytes(name.as_str().as_bytes()).expect("a name"),
                    http_02::HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
                );
            }
            Ok(theirs)
        }))
    }
}
