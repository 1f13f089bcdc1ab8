//! What stands behind every connection: the check by the shortest way, health and reflection through tonic.

use std::{convert::Infallible, sync::Arc};

use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::Either;
use hyper::body::Incoming;
use tonic::service::Routes;
use tower::Service;

use super::{Decide, Health, check::Check, message::Reply, pulse::Pulse};
use crate::model::Proxy;

/// The gRPC service, as health and reflection name it.
pub(super) const SERVICE: &str = "envoy.service.auth.v3.Authorization";
const CHECK_PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Reflection's view of `proto/envoy`.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/envoy.bin"));

/// The services of the check port.
#[derive(Debug)]
pub(super) struct Front<D> {
    check: Check<D>,
    routes: Routes,
}

/// Health and reflection; whatever else is asked for is `UNIMPLEMENTED`.
pub(super) fn routes(health: &Health) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(Routes::new(health.service()).add_service(reflection).prepare())
}

// === impl Front ===

impl<D: Decide> Front<D> {
    pub(super) fn new(check: Check<D>, routes: Routes) -> Self {
        Self { check, routes }
    }

    pub(super) async fn call(
        &self,
        request: Request<Incoming>,
        pulse: &Pulse,
        proxy: Option<Arc<Proxy>>,
    ) -> Result<Response<Either<Reply, tonic::body::Body>>, Infallible> {
        if request.uri().path() == CHECK_PATH {
            let turn = pulse.turn();
            let mut response = Response::new(Either::Left(Reply::new(self.check.answer(request, proxy).await)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            drop(turn);
            return Ok(response);
        }
        // An axum router is always ready.
        Ok(self.routes.clone().call(request).await?.map(Either::Right))
    }
}
