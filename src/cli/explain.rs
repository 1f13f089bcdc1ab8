//! Why a call is allowed or denied, stage by stage; or, with `--catalog`, only what a call is. It ends in a report, never in a permit.

mod catalog;
mod served;
mod stages;

use std::path::{Path, PathBuf};

use super::{Exit, output::Output};
use crate::inquiry::Request;
pub(super) use stages::{Failed, Offline, caller, compiled, read_token, rights, runtime};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file; with `--catalog` it may be left out
    #[arg(long, required_unless_present_any = ["catalog", "control"])]
    config: Option<PathBuf>,
    /// Ask the lakegate that runs, by what it serves now: its control socket (`listen.control`)
    #[arg(long, value_name = "SOCKET", conflicts_with_all = ["config", "catalog", "batch", "token_file"])]
    control: Option<PathBuf>,
    /// Say only what the call is: action, level, resources
    #[arg(long)]
    catalog: bool,
    /// Read one call a line from standard input: {"method","url","headers","body"}
    #[arg(long, requires = "catalog", conflicts_with_all = ["call", "method", "url"])]
    batch: bool,
    /// METHOD URL [BODY], for `--catalog`
    #[arg(num_args = 2..=3, value_names = ["METHOD", "URL", "BODY"], conflicts_with_all = ["method", "url", "body"])]
    call: Vec<String>,
    #[arg(long, required_unless_present_any = ["call", "batch"])]
    method: Option<String>,
    /// https://<host>/<path>?<query>
    #[arg(long, required_unless_present_any = ["call", "batch"])]
    url: Option<String>,
    /// A header of the call, `name: value`; may be repeated
    #[arg(long = "header")]
    headers: Vec<String>,
    #[arg(long, allow_hyphen_values = true)]
    body: Option<String>,
    /// The SPIFFE ID of the calling workload
    #[arg(long)]
    peer: Option<String>,
    /// The file that holds the caller's token
    #[arg(long, conflicts_with = "claims")]
    token_file: Option<PathBuf>,
    /// A JSON file with the claims of a token that nobody has; believed without a signature
    #[arg(long)]
    claims: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    if args.batch {
        return catalog::batch(args, output);
    }
    if let Some(socket) = &args.control {
        return served::run(args, socket, output);
    }
    let request = match request(args) {
        Ok(request) => request,
        Err(error) => return Output::error(Exit::Invalid, error),
    };
    if args.catalog { catalog::one(args, &request, output) } else { stages::run(args, request, output) }
}

// === impl Args ===

impl Args {
    /// A call to be explained by the files of `config`.
    pub(super) fn of_call(config: &Path, call: [&str; 2], body: Option<&str>, asker: Offline<'_>) -> Self {
        Self {
            config: Some(config.to_owned()),
            control: None,
            catalog: false,
            batch: false,
            call: call.into_iter().chain(body).map(str::to_owned).collect(),
            method: None,
            url: None,
            headers: Vec::new(),
            body: None,
            peer: asker.peer.map(str::to_owned),
            token_file: asker.token_file.map(Path::to_owned),
            claims: asker.claims.map(Path::to_owned),
        }
    }
}

/// Method, URL and body.
fn call(args: &Args) -> (String, String, Option<String>) {
    match args.call.as_slice() {
        [method, url] => (method.clone(), url.clone(), None),
        [method, url, body] => (method.clone(), url.clone(), Some(body.clone())),
        _ => (args.method.clone().unwrap_or_default(), args.url.clone().unwrap_or_default(), args.body.clone()),
    }
}

fn request(args: &Args) -> Result<Request, String> {
    let (method, url, body) = call(args);
    let headers: Result<Vec<_>, _> = args.headers.iter().map(|text| header(text)).collect();
    Request::new(method, &url, headers?, body)
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("`{}` is no header: write `name: value`", text.escape_debug()))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}
