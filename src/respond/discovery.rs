//! `GET /.well-known/databricks-config`, which every SDK asks before it asks for anything, and MLflow before every call.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    Scene,
    deny::header,
    headers::{Names, TrustHeader},
};
use crate::model::{Answer, HeaderEdit, Target, Verdict};

/// The answer for `target`: the fields that databricks-sdk 0.162.0 reads, as far as they are configured.
pub(super) fn answer(names: &Names, scene: &Scene<'_, '_>, target: &Target) -> Verdict {
    let host = scene.call.map_or("", |call| call.host.as_str());
    let mut body = Map::new();
    body.insert("oidc_endpoint".into(), Value::from(format!("https://{host}/oidc")));
    if let Some(id) = &target.account_id {
        body.insert("account_id".into(), Value::from(&**id));
    }
    if let Some(id) = &target.workspace_id {
        body.insert("workspace_id".into(), Value::from(&**id));
    }
    body.insert("cloud".into(), Value::from(cloud(host)));
    own(names, scene, &Value::Object(body))
}

/// An answer of lakegate's own.
pub(super) fn own(names: &Names, scene: &Scene<'_, '_>, body: &Value) -> Verdict {
    let headers = vec![
        header("content-type", "application/json"),
        header("cache-control", "no-store"),
        HeaderEdit { name: names.of(TrustHeader::Decision), value: Bytes::from(scene.decision.to_string()) },
    ];
    Verdict::Answer(Answer { decision: scene.decision, headers, body: body.to_string().into() })
}

/// The cloud as the SDKs tell it from the host.
fn cloud(host: &str) -> &'static str {
    if [".azuredatabricks.net", ".databricks.azure.us", ".databricks.azure.cn"].iter().any(|suffix| host.ends_with(suffix)) {
        "AZURE"
    } else if host.ends_with(".gcp.databricks.com") {
        "GCP"
    } else {
        "AWS"
    }
}
