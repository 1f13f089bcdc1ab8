//! gRPC health (`grpc.health.v1`), for Kubernetes probes and for Envoy's active health checks.

use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthMethods, HealthServer},
    server::{HealthReporter, HealthService},
};

use super::front::SERVICE;

/// What the check port says about itself, as a whole (`""`) and for the authorization service. Clones say the same.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
}

// === impl Health ===

impl Health {
    /// `NOT_SERVING` until told otherwise: a server that is not ready must not be asked.
    pub(super) async fn new() -> Self {
        let health = Self { reporter: HealthReporter::new() };
        health.set(false).await;
        health
    }

    pub async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", SERVICE] {
            self.reporter.set_service_status(service, status).await;
        }
    }

    pub(super) fn service(&self) -> HealthServer<impl HealthMethods> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}
