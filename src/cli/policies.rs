use std::{
    cmp::Reverse,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Exit,
    control::{Client, Unanswered},
    output::Output,
};
use crate::{
    authz::{Effect, Filter, Page},
    clock::Clock,
    config::units::Span,
    model::Fault,
    net,
    pipeline::Snapshot,
    reload::Compiler,
    text::quoted,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only the policy with this id, with its text
    #[arg(conflicts_with_all = ["prefix", "effect", "unused", "idle", "sort"])]
    id: Option<String>,
    /// The configuration file whose policies are listed, served or not; they have no hits then
    #[arg(long, required_unless_present = "control")]
    config: Option<PathBuf>,
    /// The control socket of the lakegate whose policies are listed (`listen.control`)
    #[arg(long, value_name = "SOCKET", conflicts_with = "config")]
    control: Option<PathBuf>,
    /// Only those whose ids begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Only those that permit, or that forbid
    #[arg(long, value_enum)]
    effect: Option<Word>,
    /// Only those that determined no call since this lakegate serves them
    #[arg(long, requires = "control")]
    unused: bool,
    /// Only those that are served for so long, such as 30d, and determined no call in it
    #[arg(long, value_name = "TIME", requires = "control", value_parser = span)]
    idle: Option<u64>,
    /// In which order: of the ids, or of the most hits, or of the last hit, the longest ago first
    #[arg(long, value_enum, default_value_t = Sort::Id)]
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Word {
    Permit,
    Forbid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    Id,
    Hits,
    LastHit,
}

/// A policy as the control listener lists it.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    id: String,
    effect: String,
    file: String,
    line: usize,
    principal: String,
    action: String,
    resource: String,
    hits: Option<u64>,
    last_hit: Option<String>,
    /// Reason, owner, and whatever else is known of it.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// Policies as they are printed.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    served: usize,
    policies: Vec<Row>,
    #[serde(skip_serializing)]
    next: Option<String>,
}

/// Why there is no list.
enum Failed {
    Faults(Vec<Fault>),
    Error(String),
    Told(Exit),
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let done = match (&args.id, &args.control) {
        (Some(id), Some(socket)) => asked(socket, id).map(|policy| output.result(&policy, || text(&policy))),
        (Some(id), None) => written(args, id).map(|policy| output.result(&policy, || text(&policy))),
        (None, _) => list(args).map(|list| output.result(&list, || lines(&list))),
    };
    match done {
        Ok(()) => Exit::Yes,
        Err(Failed::Faults(faults)) => output.faults(&faults),
        Err(Failed::Error(error)) => Output::error(Exit::Failure, error),
        Err(Failed::Told(exit)) => exit,
    }
}

fn list(args: &Args) -> Result<List, Failed> {
    let mut list = match &args.control {
        Some(socket) => served(args, Client::connect(socket)?)?,
        None => compiled(args)?,
    };
    match args.sort {
        Sort::Id => {}
        Sort::Hits => list.policies.sort_by_key(|row| Reverse(row.hits)),
        // RFC 3339 in UTC: in the order of the time
        Sort::LastHit => list.policies.sort_by(|one, other| one.last_hit.cmp(&other.last_hit)),
    }
    Ok(list)
}

/// Every page of what a running lakegate serves.
fn served(args: &Args, mut client: Client) -> Result<List, Failed> {
    let mut all: Option<List> = None;
    loop {
        let after = all.as_ref().and_then(|list| list.next.as_deref());
        let answer = client.ask(Method::GET, &target(args, after), Bytes::new())?;
        let page: List = answer.read(&[StatusCode::OK]).map_err(Failed::Told)?;
        let more = page.next.is_some();
        match &mut all {
            None => all = Some(page),
            // a set that was published meanwhile is told of as far as it has not passed by
            Some(all) => {
                all.policies.extend(page.policies);
                (all.generation, all.served, all.next) = (page.generation, page.served, page.next);
            }
        }
        if let Some(all) = all.take_if(|_| !more) {
            return Ok(all);
        }
    }
}

fn target(args: &Args, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new("/v1/policies?limit=1000".to_owned());
    let pairs = [
        ("prefix", args.prefix.clone()),
        ("effect", args.effect.map(|word| word.as_str().to_owned())),
        ("unused", args.unused.then(|| "true".to_owned())),
        ("idle_s", args.idle.map(|seconds| seconds.to_string())),
        ("after", after.map(str::to_owned)),
    ];
    for (key, value) in pairs {
        if let Some(value) = value {
            query.append_pair(key, &value);
        }
    }
    query.finish()
}

fn asked(socket: &Path, id: &str) -> Result<Value, Failed> {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    // a path has no `+` for a blank
    let answer = Client::connect(socket)?.ask(Method::GET, &format!("/v1/policies/{}", id.replace('+', "%20")), Bytes::new())?;
    answer.read(&[StatusCode::OK]).map_err(Failed::Told)
}

/// The policies of a configuration that need not be served.
fn compiled(args: &Args) -> Result<List, Failed> {
    let effect = args.effect.map(|word| match word {
        Word::Permit => Effect::Permit,
        Word::Forbid => Effect::Forbid,
    });
    let filter = Filter { prefix: args.prefix.clone().unwrap_or_default(), effect, ..Filter::default() };
    let snapshot = snapshot(args)?;
    let Page { policies, next } = snapshot.authorizer.page(&filter, None, usize::MAX);
    let row = |policy| serde_json::to_value(policy).and_then(serde_json::from_value).map_err(|error| Failed::Error(error.to_string()));
    let policies = policies.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(List { generation: None, served: snapshot.authorizer.policy_count(), policies, next })
}

fn written(args: &Args, id: &str) -> Result<Value, Failed> {
    let unknown = || Failed::Told(Output::error(Exit::Invalid, format_args!("there is no policy with the id {}", quoted(id))));
    let (policy, text) = snapshot(args)?.authorizer.listed_policy(id).ok_or_else(unknown)?;
    let mut policy = serde_json::to_value(policy).map_err(|error| Failed::Error(error.to_string()))?;
    if let Some(members) = policy.as_object_mut() {
        members.insert("text".to_owned(), text.into());
    }
    Ok(policy)
}

fn snapshot(args: &Args) -> Result<Snapshot, Failed> {
    let file = args.config.as_deref().unwrap_or(Path::new("lakegate.yaml"));
    let client = net::Client::new(&net::Config::default()).map_err(|error| Failed::Error(error.to_string()))?;
    let compiled = Compiler::new(file, client, Clock::default()).and_then(|compiler| compiler.compile(None));
    compiled.map(|compiled| compiled.snapshot).map_err(Failed::Faults)
}

/// A line for each policy, the columns under their names.
fn lines(list: &List) -> String {
    let hits = |row: &Row| row.hits.map_or_else(|| "-".to_owned(), |hits| hits.to_string());
    let width = |of: &dyn Fn(&Row) -> usize, name: &str| list.policies.iter().map(of).chain([name.len()]).max().unwrap_or_default();
    let (ids, counts) = (width(&|row| row.id.len(), "id"), width(&|row| hits(row).len(), "hits"));
    let mut text = format!("{:<6}  {:>counts$}  {:<20}  {:<ids$}  policy\n", "effect", "hits", "last hit", "id");
    for row in &list.policies {
        let Row { id, effect, file, line, principal, action, resource, last_hit, .. } = row;
        let (count, when) = (hits(row), last_hit.as_deref().unwrap_or("-"));
        let _ = writeln!(text, "{effect:<6}  {count:>counts$}  {when:<20}  {id:<ids$}  {file}:{line} ({principal}, {action}, {resource})");
    }
    let of = if list.generation.is_some() { "served" } else { "written" };
    let _ = write!(text, "{} of {} policies {of}", list.policies.len(), list.served);
    text
}

fn text(policy: &Value) -> String {
    let members = policy.as_object().into_iter().flatten().filter(|(name, value)| *name != "text" && !value.is_null());
    let line = |(name, value): (&String, &Value)| format!("{name:<10} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let text = policy.get("text").and_then(Value::as_str).map(|text| format!("\n{text}"));
    members.map(line).chain(text).collect::<Vec<_>>().join("\n")
}

/// Seconds.
fn span(text: &str) -> Result<u64, String> {
    Span::parse(text).map(|span| span.0.as_secs()).ok_or_else(|| "write a whole number and `s`, `m`, `h` or `d`, such as `30d`".to_owned())
}

// === impl Word ===

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        }
    }
}

// === impl Failed ===

impl From<Unanswered> for Failed {
    fn from(unanswered: Unanswered) -> Self {
        Self::Error(unanswered.to_string())
    }
}
