//! The vocabulary of the pipeline: plain types that every stage may name, each checked once at the door that makes it.

mod call;
mod caller;
mod entity;
mod facts;
mod fault;
mod form;
pub mod header;
mod host;
mod intent;
mod names;
mod raw;
mod reason;
mod secret;
mod spiffe;
mod spiffe_pattern;
mod target;
mod verdict;
mod vocabulary;

pub use call::{ApiPath, Body, BodyFault, Call, Headers, MediaType, Query, Repeated, Segment, Upgrade};
pub use caller::{Caller, Principal, PrincipalKind, Token};
pub use entity::{EntityRef, TypeName};
pub use facts::RequestFacts;
pub use fault::{Fault, Faults};
pub use form::{FormError, IdForm};
pub use host::{Host, HostError};
pub use intent::{Action, Field, FieldValue, Intent, Level, Mark, Resource};
pub use names::{DecisionId, Name, NameError};
pub use raw::{HeaderForm, RawCall, RawFields, Span};
pub use reason::{Reason, Refusal};
pub use secret::Secret;
pub use spiffe::{SpiffeError, SpiffeId};
pub use spiffe_pattern::SpiffePattern;
pub use target::{Environment, Target, TargetKind};
pub use verdict::{Allow, Answer, Deny, DenyStatus, HeaderEdit, Verdict};
pub use vocabulary::{ActionSpec, FieldKind, FieldSpec, TypeSpec, Vocabulary};
