//! Where a permit says with which credential its calls go on, in place of the mode of their target.

use super::{
    Broker, Manner, Wanted,
    config::{Mode, Subject},
};
use crate::{
    authz::{Ordered, Permit},
    model::{Reason, Refusal, Target},
};

/// What `strip` has of every target.
static STRIP: Mode = Mode::Strip;

// === impl Broker ===

impl Broker {
    /// Whether a permit may say `ordered` for calls to `target`.
    ///
    /// # Errors
    /// Why not: no policy sends the caller's token where the target would not, and none has a principal whom nobody vouches for.
    pub fn takes(&self, target: &Target, ordered: &Ordered) -> Result<(), &'static str> {
        // Without a mode nothing goes there anyway.
        self.config.modes.get(&(target.kind, target.name.clone())).map_or(Ok(()), |mode| in_place_of(mode, ordered).map(|_| ()))
    }

    /// How the permitted call goes on, and as whom.
    pub(super) fn permitted<'p>(
        &'p self,
        permit: &'p Permit,
        wanted: &Wanted<'p>,
        manner: &mut Option<Manner>,
    ) -> Result<(&'p Mode, Wanted<'p>), Refusal> {
        let wanted = Wanted { permitted_until: permit.until_ms().map(|until| until.div_euclid(1000)), ..*wanted };
        let way = self.way(permit.target(), permit.ordered(), &wanted, manner);
        way.map_err(|refusal| match refusal.reason {
            Reason::CredentialConflict => Refusal { policies: permit.policies().to_vec(), ..refusal },
            _ => refusal,
        })
    }

    /// How a call to `target` goes on of which its permits say `ordered`, and as whom.
    pub(super) fn way<'p>(
        &'p self,
        target: &Target,
        ordered: Option<&'p Ordered>,
        wanted: &Wanted<'p>,
        manner: &mut Option<Manner>,
    ) -> Result<(&'p Mode, Wanted<'p>), Refusal> {
        *manner = ordered.map(Manner::ordered);
        let mode = self.mode(target)?;
        let (mode, principal) = match ordered {
            None => (mode, None),
            Some(ordered) => {
                let mode = in_place_of(mode, ordered).map_err(|why| {
                    let Target { kind, name, .. } = target;
                    let kind = kind.type_name().to_lowercase();
                    let detail =
                        format!("its permit says `@credentials(\"{ordered}\")`, and of {kind} `{name}` {why}; ask whoever runs lakegate to bring the two together");
                    Refusal::new(Reason::CredentialConflict, detail)
                })?;
                (mode, if let Ordered::ServicePrincipal(id) = ordered { Some(id) } else { None })
            }
        };
        let wanted = Wanted { principal, ..*wanted };
        *manner = Some(Manner::of(mode, &wanted));
        Ok((mode, wanted))
    }
}

/// The mode in which `ordered` is done.
fn in_place_of<'m>(mode: &'m Mode, ordered: &Ordered) -> Result<&'m Mode, &'static str> {
    let vouches = |mode: &Mode| matches!(mode, Mode::Exchange(exchange) if exchange.subject.is_asserted());
    match (ordered, mode) {
        (Ordered::Strip, _) => Ok(&STRIP),
        (Ordered::Passthrough, Mode::Passthrough) => Ok(mode),
        (Ordered::ServicePrincipal(_), mode) if vouches(mode) => Ok(mode),
        (Ordered::Passthrough, _) => Err("the caller's token is never sent, since its `credentials` have another mode than `passthrough`"),
        (Ordered::ServicePrincipal(_), _) => {
            Err("no token is issued for lakegate's word: that takes `mode: service-principal`, or `mode: exchange` with `subject: assertion`")
        }
    }
}

// === impl Subject ===

impl Subject {
    /// Whether it is lakegate's word that is exchanged.
    fn is_asserted(&self) -> bool {
        matches!(self, Self::Assertion { .. } | Self::ServicePrincipal { .. })
    }
}
