use std::path::PathBuf;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    Exit,
    control::Client,
    output::Output,
    revocations::{Row, lines},
};
use crate::config::units::Span;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("whose").args(["token_id", "session", "subject", "lift"])))]
pub(super) struct Args {
    /// The control socket of the lakegate that is to refuse the tokens (`listen.control`)
    #[arg(long, value_name = "SOCKET")]
    control: PathBuf,
    /// The issuer of the tokens, by its name in the configuration
    #[arg(long, required_unless_present = "lift", conflicts_with = "lift")]
    issuer: Option<String>,
    /// The token with this `jti`
    #[arg(long, value_name = "ID")]
    token_id: Option<String>,
    /// The tokens of the session with this `sid`
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The tokens of this subject that were issued until now, and those in which it acts for another
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Tokens that were issued before this time, such as 2026-01-31T12:00:00Z, or `now`: those of the subject, or all of the issuer
    #[arg(long, value_name = "TIME", conflicts_with_all = ["token_id", "session", "lift"])]
    not_before: Option<String>,
    /// All tokens of the subject, whenever they were issued; with `--for` or `--until`
    #[arg(long, requires = "subject", conflicts_with = "not_before")]
    block: bool,
    /// When it ends; by itself it lasts as long as a token of the issuer can
    #[arg(long, value_name = "TIME", conflicts_with_all = ["for", "lift"])]
    until: Option<String>,
    /// The same as a time from now, such as 30d
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with = "lift")]
    r#for: Option<u64>,
    /// Why, for whoever lists it
    #[arg(long, conflicts_with = "lift")]
    note: Option<String>,
    /// Take back the revocation with this id
    #[arg(long, value_name = "ID")]
    lift: Option<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    // Said here, since clap would name `--not-before` as what is missing: the one that logs everybody out.
    if [&args.token_id, &args.session, &args.subject, &args.lift, &args.not_before].into_iter().all(Option::is_none) {
        let whose = "say which tokens: `--token-id`, `--session` or `--subject`; `--not-before TIME` alone is for all tokens of the issuer";
        return Output::error(Exit::Invalid, whose);
    }
    let (method, target, body) = match &args.lift {
        Some(id) => {
            let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
            (Method::DELETE, format!("/v1/revocations/{id}"), String::new())
        }
        None => (Method::POST, "/v1/revocations".to_owned(), order(args).to_string()),
    };
    let answer = Client::connect(&args.control).and_then(|mut client| client.ask(method, &target, body.into()));
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Output::error(Exit::Failure, error),
    };
    let row: Row = match answer.read(&[StatusCode::OK, StatusCode::CREATED]) {
        Ok(row) => row,
        Err(exit) => return exit,
    };
    output.result(&row, || lines(&row));
    Exit::Yes
}

fn order(args: &Args) -> Value {
    let texts = [
        ("issuer", &args.issuer),
        ("token_id", &args.token_id),
        ("session", &args.session),
        ("subject", &args.subject),
        ("not_before", &args.not_before),
        ("until", &args.until),
        ("note", &args.note),
    ];
    let mut order: Map<String, Value> = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))).collect();
    order.extend(args.r#for.map(|seconds| ("for_s".to_owned(), json!(seconds))));
    order.extend(args.block.then(|| ("block".to_owned(), json!(true))));
    Value::Object(order)
}

fn seconds(text: &str) -> Result<u64, String> {
    Span::parse(text).map(|span| span.0.as_secs()).ok_or_else(|| "write a number and a unit, as `30d`".to_owned())
}
