//! Whether a call would be allowed, and what a caller may do: asked of the service by the caller, or worked out from the files of a configuration.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Exit, asking::Asker, explain, output::Output, told};

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 it would be allowed, 2 it would be refused, 1 failure, 3 invalid input.")]
pub(super) struct Args {
    /// METHOD URL [BODY]; with --list the URL of the host alone
    #[arg(num_args = 0..=3, value_names = ["METHOD", "URL", "BODY"])]
    call: Vec<String>,
    /// List what you may do, as far as policies say so without a call at hand
    #[arg(long)]
    list: bool,
    /// The content type of the body, where it is not application/json
    #[arg(long, conflicts_with_all = ["list", "config"])]
    content_type: Option<String>,
    #[command(flatten)]
    asker: Asker,
    /// For operators: work it out from this configuration, without asking anybody
    #[arg(long, conflicts_with_all = ["mesh", "workspace_id"])]
    config: Option<PathBuf>,
    /// With --config: the SPIFFE ID of the workload that would call
    #[arg(long, requires = "config")]
    peer: Option<String>,
    /// With --config: a JSON file with the claims of a token that nobody has
    #[arg(long, requires = "config", conflicts_with = "token_file")]
    claims: Option<PathBuf>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let call: Vec<&str> = args.call.iter().map(String::as_str).collect();
    match (args.list, &args.config, call.as_slice()) {
        (true, None, [url]) => match args.asker.ask(url, "rights", None, output) {
            Ok(rights) => print_rights(&rights, output),
            Err(exit) => exit,
        },
        (true, Some(config), []) => match explain::rights(config, offline(args)) {
            Ok(rights) => print_rights(&json!(rights), output),
            Err(failed) => failed.tell(output),
        },
        (false, None, [method, url]) => ask(args, method, url, None, output),
        (false, None, [method, url, body]) => ask(args, method, url, Some(body), output),
        (false, Some(config), [method, url, body @ ..]) => {
            explain::run(&explain::Args::of_call(config, [method, url], body.first().copied(), offline(args)), output)
        }
        (true, _, _) => Output::error(Exit::Invalid, "write `lakegate can-i --list https://<host>`, or `--list --config <file>` without a host"),
        _ => Output::error(Exit::Invalid, "write `lakegate can-i METHOD https://<host>/<path> [BODY]`"),
    }
}

fn ask(args: &Args, method: &str, url: &str, body: Option<&str>, output: &mut Output) -> Exit {
    let host_ends = url.find("://").and_then(|at| Some(at + 3 + url.get(at + 3..)?.find('/')?));
    let (base, path) = host_ends.and_then(|at| url.split_at_checked(at)).unwrap_or((url, "/"));
    let mut question = json!({"method": method, "path": path});
    if let (Some(body), Some(question)) = (body, question.as_object_mut()) {
        question.insert("body".to_owned(), body.into());
        question.extend(args.content_type.as_deref().map(|media| ("content_type".to_owned(), media.into())));
    }
    match args.asker.ask(base, "can-i", Some(question.to_string().into()), output) {
        Ok(answer) => {
            output.result(&answer, || [told::lines(&answer), told::conditions(&answer)].concat().join("\n"));
            let word = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
            Exit::of(word("decision"), word("reason"))
        }
        Err(exit) => exit,
    }
}

fn offline(args: &Args) -> explain::Offline<'_> {
    explain::Offline { peer: args.peer.as_deref(), token_file: args.asker.token_file(), claims: args.claims.as_deref() }
}

fn print_rights(rights: &Value, output: &mut Output) -> Exit {
    output.result(rights, || {
        let mut out = vec![format!("{:<10} {}", "principal", told::text(rights, "principal"))];
        for (name, key) in [("may", "permits"), ("unless", "forbids")] {
            for right in told::items(rights, key) {
                let scope = ["action", "resource"].map(|key| told::text(right, key)).join(", ");
                out.push(format!("{name:<10} {scope}"));
                out.push(format!("  policy   {}", ["policy", "reason"].map(|key| told::text(right, key)).join("  ").trim()));
                out.push(format!("  as       {}", told::text(right, "principal")));
                let conditions = told::items(right, "conditions").filter_map(Value::as_str);
                out.extend(conditions.map(|condition| format!("  if       {}", told::plain(condition))));
            }
        }
        if let Some(left_out @ 1..) = rights.get("left_out").and_then(Value::as_u64) {
            out.push(format!("{left_out} more policies speak of this caller; there is no room for them here"));
        }
        out.join("\n")
    });
    Exit::Yes
}
