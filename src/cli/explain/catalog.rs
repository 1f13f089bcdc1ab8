//! What a call is, without asking who makes it: action, level, resources.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, stdin},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{Args, Exit, Output};
use crate::{
    classify::{Catalog, CatalogFile, Classifier, Known, TargetConfig},
    clock::Clock,
    inquiry::{Line, Request},
    model::{Call, Environment, Fault, FieldValue, Intent, Name, NameError, Reason, Refusal, Target, TargetKind},
    net, normalize,
    reload::Compiler,
};

/// Who classifies: the configured targets, or, without a configuration, one workspace for whatever host is asked about.
enum Words {
    Configured(Box<(Classifier, normalize::Config)>),
    Bare(Arc<Catalog>),
}

pub(super) fn one(args: &Args, request: &Request, output: &mut Output) -> Exit {
    let words = match words(args) {
        Ok(words) => words,
        Err(faults) => return output.faults(&faults),
    };
    let (report, exit) = match words.classify(request, in_full) {
        Ok(report) => (report, Exit::Yes),
        Err(refusal) => (refused(&refusal), Exit::Denied),
    };
    output.result(&report, || lines(&report));
    exit
}

/// One line of JSON for each line of standard input, in order.
pub(super) fn batch(args: &Args, output: &mut Output) -> Exit {
    let words = match words(args) {
        Ok(words) => words,
        Err(faults) => return output.faults(&faults),
    };
    for (index, line) in stdin().lock().lines().enumerate() {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Output::error(Exit::Invalid, format_args!("line {}: {error}", index + 1)),
        };
        if line.trim().is_empty() {
            continue;
        }
        let request = serde_json::from_str::<Line>(&line).map_err(|error| error.to_string()).and_then(Request::try_from);
        match request {
            Ok(request) => Output::json(&words.classify(&request, |intent, _| known(intent)).unwrap_or_else(|refusal| refused(&refusal))),
            Err(error) => return Output::error(Exit::Invalid, format_args!("line {}: {error}", index + 1)),
        }
    }
    Exit::Yes
}

fn words(args: &Args) -> Result<Words, Vec<Fault>> {
    let Some(file) = &args.config else { return Ok(Words::Bare(Arc::new(Catalog::embedded()?))) };
    let broken = |message| vec![Fault { file: file.clone(), line: None, column: None, message, help: None }];
    let client = net::Client::new(&net::Config::default()).map_err(|error| broken(error.to_string()))?;
    let compiled = Compiler::new(file, client, Clock::default())?.compile(None)?;
    Ok(Words::Configured(Box::new((compiled.snapshot.classifier, compiled.snapshot.normalize))))
}

// === impl Words ===

impl Words {
    fn classify(&self, request: &Request, shown: fn(&Intent, Option<Known<'_>>) -> Value) -> Result<Value, Refusal> {
        let too_long = || Refusal::new(Reason::RequestMalformed, "the call is longer than any check");
        let raw = request.raw(None).ok_or_else(too_long)?;
        match self {
            Self::Configured(parts) => {
                let (classifier, config) = &**parts;
                let call = normalize::normalize(&raw, config)?;
                classifier.classify(&call).map(|intent| shown(&intent, classifier.entry(&call)))
            }
            Self::Bare(catalog) => {
                let call = normalize::normalize(&raw, &normalize::Config::default())?;
                let nowhere = || Refusal::new(Reason::HostUnknown, "the host cannot be that of a workspace");
                let target = target(&call).map_err(|_| nowhere())?;
                let api = if target.kind == TargetKind::Account { CatalogFile::ACCOUNT } else { CatalogFile::WORKSPACE };
                let target = TargetConfig { target: Arc::new(target), api: api.into(), hosts: vec![call.host.as_str().to_owned()] };
                let classifier = Classifier::new(Arc::clone(catalog), vec![target]).map_err(|_| nowhere())?;
                classifier.classify(&call).map(|intent| shown(&intent, classifier.entry(&call)))
            }
        }
    }
}

/// A workspace, or an account, named after the first label of its host; its ids are those that the call names, since there is nothing to hold them against.
fn target(call: &Call<'_>) -> Result<Target, NameError> {
    let label = call.host.as_str().split('.').next().unwrap_or_default();
    let segments = || call.path.segments.iter().map(|segment| segment.text.as_ref());
    let behind = |name: &str| segments().skip_while(|text| *text != name).nth(1);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let asked = call.query.pairs.iter().find(|(key, _)| key == "o").map(|(_, value)| value.as_ref());
    let workspace_id =
        call.headers.workspace_ids.first().copied().or(asked).or_else(|| behind("o")).or_else(|| segments().next().filter(|text| number(text)));
    let name = Name::parse(label).or_else(|_| Name::parse("workspace"))?;
    let kind = if label == "accounts" { TargetKind::Account } else { TargetKind::Workspace };
    let environment = (kind == TargetKind::Workspace).then(|| Environment(name.clone()));
    Ok(Target { kind, environment, name, workspace_id: workspace_id.map(Into::into), account_id: behind("accounts").map(Into::into) })
}

pub(super) fn known(intent: &Intent) -> Value {
    let resources: Vec<String> = intent.resources.iter().map(|resource| resource.entity.to_string()).collect();
    json!({"action": &*intent.action.name, "level": intent.action.level.as_str(), "resources": resources})
}

/// With what else a policy can say of it, and the entry that says so.
fn in_full(intent: &Intent, entry: Option<Known<'_>>) -> Value {
    let value = |value: &FieldValue| match value {
        FieldValue::Text(text) => json!(text),
        FieldValue::Long(number) => json!(number),
        FieldValue::Bool(truth) => json!(truth),
        FieldValue::Texts(texts) => json!(texts),
    };
    let groups: Vec<&str> = intent.action.groups().collect();
    let within: BTreeSet<String> = intent.resources.iter().flat_map(|resource| &resource.ancestors).map(ToString::to_string).collect();
    let fields: serde_json::Map<String, Value> = intent.fields.iter().map(|field| (field.name.to_string(), value(&field.value))).collect();
    let further = json!({"groups": groups, "within": within, "fields": fields, "scope": intent.scope.as_deref().unwrap_or(Intent::ALL_APIS), "entry": entry.map(|entry| entry.to_string())});
    match (known(intent), further) {
        (Value::Object(mut report), Value::Object(further)) => {
            report.extend(further);
            Value::Object(report)
        }
        (report, _) => report,
    }
}

fn refused(refusal: &Refusal) -> Value {
    json!({"reason": refusal.reason.code(), "detail": refusal.detail})
}

fn lines(report: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |value: &Value| value.as_array().map_or_else(|| text(value), |items| items.iter().map(text).collect::<Vec<_>>().join("\n           "));
    report.as_object().into_iter().flatten().map(|(name, value)| format!("{name:<11}{}", list(value))).collect::<Vec<_>>().join("\n")
}
