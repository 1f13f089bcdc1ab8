//! What every check is compared with: the least that answers Envoy, made as one makes it, of tonic and generated types.

use std::net::{Ipv4Addr, SocketAddr};

use envoy_types::{
    ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse, HttpResponse, OkHttpResponse},
    pb::google::rpc::Status,
};
use tonic::{Request, Response, async_trait, transport::Server};

use super::Outcome;

/// Allows everything.
#[derive(Debug)]
struct AllowAll;

#[async_trait]
impl Authorization for AllowAll {
    async fn check(&self, _: Request<CheckRequest>) -> Result<Response<CheckResponse>, tonic::Status> {
        Ok(Response::new(CheckResponse {
            status: Some(Status::default()),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
            ..CheckResponse::default()
        }))
    }
}

/// Serves on loopback until the process is ended.
pub(crate) async fn serve(port: u16) -> Outcome<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok(Server::builder().add_service(AuthorizationServer::new(AllowAll)).serve(address).await?)
}
