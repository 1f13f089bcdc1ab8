//! From what is written to single cases: every row, every caller and every request of each.

use std::{collections::HashSet, path::Path, sync::Arc};

use super::{
    caller::{Who, Wrong},
    files::Source,
    names::{Ground, Names, misfit},
    raw::{self, CallerText, Callers, Decision, RequestText, Requests},
    when::When,
};
use crate::{
    config::{Document, KeyPath},
    inquiry::Request,
    model::{Fault, Reason},
    text::{nearest, quoted},
};

/// One call, and what is to be decided about it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
    pub(super) caller: Arc<Who>,
    pub(super) request: Arc<Request>,
    pub(super) time_ms: i64,
    pub(super) expected: Expected,
}

#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) decision: Decision,
    /// `None` of a denial: policies deny.
    pub(super) reason: Option<&'static str>,
    /// Sorted; `None` where it does not matter which.
    pub(super) policies: Option<Vec<String>>,
    pub(super) detail: Option<String>,
}

/// 2026-01-01T12:00:00Z: when calls are made of which it is not said. Always the same, so that a test says the same tomorrow.
const NOON_MS: i64 = 1_767_268_800_000;

/// Every case of `source`; its faults, and those of the files it uses, are added to `faults`.
pub(super) fn read(source: &Source, ground: &Ground<'_>, faults: &mut Vec<Fault>) -> Vec<Case> {
    let Some(document) = source.documents.first() else { return Vec::new() };
    let mut reading = Reading {
        document,
        names: Names::new(source, ground, faults),
        ground,
        file: document.file().into(),
        time_ms: NOON_MS,
        faults,
        cases: Vec::new(),
        taken: HashSet::new(),
    };
    let root = KeyPath::default();
    if let Some(time) = &document.content.time {
        reading.time_ms = reading.time(time, &root.key("time"));
    }
    for (index, case) in document.content.cases.iter().flatten().enumerate() {
        let at = root.key("cases").item(index);
        if case.name.is_none() {
            reading.fault(&at, "the case has no `name`", "say in a few words what it shows");
        }
        reading.case(case, "", &at);
    }
    reading.cases
}

struct Reading<'r> {
    document: &'r Document<raw::File>,
    names: Names<'r>,
    ground: &'r Ground<'r>,
    file: Arc<Path>,
    /// When calls are made of which the case does not say it.
    time_ms: i64,
    faults: &'r mut Vec<Fault>,
    cases: Vec<Case>,
    /// The names of the cases so far.
    taken: HashSet<String>,
}

// === impl Reading ===

impl Reading<'_> {
    /// Of a case and those in it; `outer` is the name of what it is in.
    fn case(&mut self, case: &raw::Case, outer: &str, at: &KeyPath) {
        let name = match (&case.name, outer) {
            (Some(name), "") => name.clone(),
            (Some(name), outer) => format!("{outer}: {name}"),
            (None, outer) => outer.to_owned(),
        };
        if name.chars().any(char::is_control) {
            self.fault(&at.key("name"), "the name holds a control character", "write it in one line");
        }
        let Some(rows) = &case.each else { return self.single(case, &name, at) };
        if rows.is_empty() {
            self.fault(&at.key("each"), "there is nothing in `each`", "write a case, or remove it");
        }
        for (index, row) in rows.iter().enumerate() {
            let at = at.key("each").item(index);
            // A row without a name is known by what it says itself.
            let label = if row.name.is_none() && row.each.is_none() { label(row, index) } else { None };
            let inner = label.map_or_else(|| name.clone(), |label| format!("{name}: {label}"));
            self.case(&row.clone().within(case), &inner, &at);
        }
    }

    fn single(&mut self, case: &raw::Case, name: &str, at: &KeyPath) {
        let callers = self.callers(case, at);
        let requests = self.requests(case, at);
        let time_ms = case.time.as_ref().map_or(self.time_ms, |time| self.time(time, &at.key("time")));
        let Some(expected) = self.expected(case, at) else { return };
        let line = self.document.line(at);
        for (caller, who) in &callers {
            for (call, request) in &requests {
                let labels = [caller, call].into_iter().flatten().map(String::as_str);
                let name = self.unique([name].into_iter().chain(labels).collect::<Vec<_>>().join(", "), line);
                let (caller, request, file) = (Arc::clone(who), Arc::clone(request), Arc::clone(&self.file));
                self.cases.push(Case { name, file, line, caller, request, time_ms, expected: expected.clone() });
            }
        }
    }

    /// `name`, or what tells it from that of another case: of two with one name, what shows the results shows the one that passed.
    fn unique(&mut self, name: String, line: usize) -> String {
        let others = (1..).map(|number| if number == 1 { format!("{name} (line {line})") } else { format!("{name} (line {line}, {number})") });
        let free = [name.clone()].into_iter().chain(others).find(|name| !self.taken.contains(name)).unwrap_or(name);
        self.taken.insert(free.clone());
        free
    }

    /// With what tells them apart, where there are several.
    fn callers(&mut self, case: &raw::Case, at: &KeyPath) -> Vec<(Option<String>, Arc<Who>)> {
        let at = at.key("caller");
        let one = |caller: &Callers| match caller {
            Callers::Named(name) => Some(CallerText::Named(name.clone())),
            Callers::Full(caller) => Some(CallerText::Full(caller.clone())),
            Callers::Several(_) => None,
        };
        let texts: Vec<(Option<String>, CallerText, KeyPath)> = match &case.caller {
            None => {
                self.fault(&at, "the case does not say who calls", "write `caller:` with the name of one");
                return Vec::new();
            }
            Some(Callers::Several(texts)) => {
                texts.iter().enumerate().map(|(index, text)| (Some(caller_label(text, index)), text.clone(), at.item(index))).collect()
            }
            Some(single) => one(single).map(|text| (None, text, at.clone())).into_iter().collect(),
        };
        if texts.is_empty() {
            self.fault(&at, "the list names nobody", "write the name of a caller");
        }
        let known = texts.into_iter().filter_map(|(label, text, at)| Some((label, self.known(self.names.caller(&text), &at)?)));
        known.collect()
    }

    fn requests(&mut self, case: &raw::Case, at: &KeyPath) -> Vec<(Option<String>, Arc<Request>)> {
        let at = at.key("request");
        let texts: Vec<(Option<String>, RequestText, KeyPath)> = match &case.request {
            None => {
                self.fault(&at, "the case does not say what is called", "write `request: <method> <target>:/<path>`");
                return Vec::new();
            }
            Some(Requests::Text(text)) => vec![(None, RequestText::Text(text.clone()), at.clone())],
            Some(Requests::Full(request)) => vec![(None, RequestText::Full(request.clone()), at.clone())],
            Some(Requests::Several(texts)) => {
                texts.iter().enumerate().map(|(index, text)| (Some(request_label(text).to_owned()), text.clone(), at.item(index))).collect()
            }
        };
        if texts.is_empty() {
            self.fault(&at, "the list names no request", "write one");
        }
        texts.into_iter().filter_map(|(label, text, at)| Some((label, self.known(self.names.request(&text), &at)?))).collect()
    }

    fn known<T>(&mut self, found: Result<T, Wrong>, at: &KeyPath) -> Option<T> {
        match found {
            Ok(found) => return Some(found),
            Err(wrong) if wrong.message.is_empty() => {}
            Err(wrong) => self.faults.push(misfit(self.document, at, wrong)),
        }
        None
    }

    fn time(&mut self, text: &str, at: &KeyPath) -> i64 {
        match (text, When::parse(text)) {
            ("now", _) => self.ground.now_ms,
            (_, Some(When::At(ms))) => ms,
            _ => {
                self.fault(at, format!("{} is not a time", quoted(text)), "write it as `2026-06-01T09:30:00Z`, or `now`");
                self.time_ms
            }
        }
    }

    fn expected(&mut self, case: &raw::Case, at: &KeyPath) -> Option<Expected> {
        let Some(decision) = case.decision else {
            self.fault(&at.key("decision"), "the case does not say what is decided", "write `decision: allow` or `decision: deny`");
            return None;
        };
        let denies = decision == Decision::Deny;
        for (key, said) in [("reason", case.reason.is_some()), ("detail", case.detail.is_some())] {
            if said && !denies {
                self.fault(&at.key(key), format!("only a denial has a `{key}`"), format!("remove `{key}`"));
            }
        }
        if case.detail.as_ref().is_some_and(|detail| detail.trim().is_empty()) {
            self.fault(&at.key("detail"), "every answer holds an empty `detail`", "write a part of what the caller reads, or remove it");
        }
        let codes = || Reason::ALL.into_iter().map(Reason::code);
        let reason = case.reason.as_deref().and_then(|text| {
            let code = codes().find(|code| *code == text);
            if code.is_none() {
                let near = nearest(text, codes()).map_or_else(|| "docs/reasons.md lists them".to_owned(), |word| format!("did you mean `{word}`?"));
                self.fault(&at.key("reason"), format!("no reason is called {}", quoted(text)), near);
            }
            code
        });
        for (index, id) in case.policies.iter().flatten().enumerate().filter(|(_, id)| !self.ground.policies.contains(*id)) {
            let near = nearest(id, self.ground.policies.iter().map(String::as_str));
            let help = near.map_or_else(|| "it is what the policy says in `@id`".to_owned(), |word| format!("did you mean `{word}`?"));
            self.fault(&at.key("policies").item(index), format!("no policy has the id {}", quoted(id)), help);
        }
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        Some(Expected { decision, reason, policies: case.policies.clone().map(sorted), detail: case.detail.clone() })
    }

    fn fault(&mut self, at: &KeyPath, message: impl Into<String>, help: impl Into<String>) {
        self.faults.push(self.document.fault(at, message, Some(help.into())));
    }
}

/// What a row without a name says itself of caller, request and time.
fn label(row: &raw::Case, index: usize) -> Option<String> {
    let caller = row.caller.as_ref().and_then(|caller| match caller {
        Callers::Named(name) => Some(name.clone()),
        Callers::Full(caller) => Some(caller_label(&CallerText::Full(caller.clone()), index)),
        Callers::Several(_) => None,
    });
    let request = row.request.as_ref().and_then(|request| match request {
        Requests::Text(text) => Some(text.clone()),
        Requests::Full(request) => Some(request.call.clone()),
        Requests::Several(_) => None,
    });
    let said: Vec<String> = [caller, request, row.time.clone()].into_iter().flatten().collect();
    let several = matches!(row.caller, Some(Callers::Several(_))) || matches!(row.request, Some(Requests::Several(_)));
    match said.is_empty() {
        false => Some(said.join(", ")),
        true if several => None,
        true => Some(format!("row {}", index + 1)),
    }
}

/// The name of a caller, or what can be said of one in full.
fn caller_label(caller: &CallerText, index: usize) -> String {
    match caller {
        CallerText::Named(name) => name.clone(),
        CallerText::Full(caller) => {
            let like = caller.like.as_ref().map(|name| format!("{name} but for {}", caller.said().join(" and ")));
            let own = caller.user.clone().or_else(|| caller.service_principal.clone());
            like.or(own).or_else(|| caller.peer.clone()).unwrap_or_else(|| format!("caller {}", index + 1))
        }
    }
}

fn request_label(request: &RequestText) -> &str {
    match request {
        RequestText::Text(text) => text,
        RequestText::Full(request) => &request.call,
    }
}
