//! Whether a mailbox that was there before its resource may be taken over. Whatever speaks against it, nothing is written.

use super::judged::{Judged, desired};
use crate::api::{Adoption, Power};
use crate::controller::reconcile::observation::ObservedMailbox;
use crate::controller::reconcile::outcome::{Outcome, Stall};
use crate::mail::{Domain, Nickname, SmtpAddress};
use crate::plan::Account;
use crate::rules::Wish;

impl Judged {
    /// Of a mailbox that carries no marker of its own.
    pub(super) fn adopt(&mut self, seen: &ObservedMailbox) -> Result<(), Outcome> {
        self.may_adopt(seen).map_err(Outcome::Stalled)?;
        let ledger = &mut self.prepared.ledger;
        // What nobody knows may be open.
        ledger.sign_in_undecided = seen.observed.account != Account::Blocked;
        self.adopts = true;
        self.desired = desired(&self.prepared, &self.wanted);
        Ok(())
    }

    fn may_adopt(&self, seen: &ObservedMailbox) -> Result<(), Stall> {
        let observed = &seen.observed;
        let (guid, attribute) = (observed.guid, self.prepared.tenant.marker_attribute);
        let refused = |why: String| {
            Err(Stall::AdoptionRefused(format!(
                "the mailbox {guid} is not taken over, and nothing is written to it: {why}"
            )))
        };
        if self.prepared.admitted.adoption == Adoption::Never {
            return refused("spec.adoption is Never".to_owned());
        }
        if seen.kind != "SharedMailbox" {
            return refused(format!(
                "it is a {}, and spec.adoption: SharedMailbox takes over shared mailboxes only. Take another address",
                seen.kind
            ));
        }
        if !observed.attribute.is_empty() {
            return Err(Stall::MarkerAttributeInUse(format!(
                "custom attribute {attribute} of the mailbox {guid} holds text of somebody else, and the operator writes \
                 its marker there (ownership.markerAttribute of the ExchangeTenant): nothing is written. When nobody needs \
                 that text, have a mail administrator clear it: Set-Mailbox -Identity {guid} -CustomAttribute{attribute} \
                 $null"
            )));
        }
        if seen.is_mastered_elsewhere {
            return refused(format!(
                "its object is synchronized from an on-premises directory, where alone it can be changed. To have it \
                 managed here, let a mail administrator hand over what Exchange keeps of it: Set-Mailbox -Identity {guid} \
                 -IsExchangeCloudManaged $true"
            ));
        }
        let address = &self.prepared.admitted.address;
        if observed.primary != *address {
            return refused(format!(
                "{address} is a further address of it, and its primary address is {primary}. To take it over, declare \
                 spec.emailAddress: {primary}, and {address} among spec.aliases",
                primary = observed.primary
            ));
        }
        self.admits_adoption(seen).map_err(Stall::AccessDenied)
    }

    /// One rule has to admit all addresses that the mailbox has, and the power.
    fn admits_adoption(&self, seen: &ObservedMailbox) -> Result<(), String> {
        let observed = &seen.observed;
        let prepared = &self.prepared;
        let (tenant, admitted) = (&prepared.tenant, &prepared.admitted);
        let mut addresses = admitted.judged.clone();
        let initial = &tenant.initial_domain;
        let judged = observed.addresses.iter().filter(|one| one.domain() != *initial);
        addresses.extend(judged.cloned());
        let nickname = nickname_address(&seen.nickname, &observed.primary, initial);
        addresses.extend(nickname.filter(|address| observed.addresses.contains(address)));
        let rules = tenant.rules.of(&prepared.owner.namespace, &addresses);
        let wishes = [
            Wish::Mailbox {
                earlier: &admitted.earlier,
            },
            Wish::Power(Power::Adopt),
        ];
        wishes.into_iter().try_for_each(|wish| rules.admit(wish)).map_err(|denial| {
            format!("a mailbox is taken over only when one access rule admits every address that it has: {denial}")
        })
    }
}

/// The address that the nickname of a mailbox has in the tenant's initial domain, where it says more than the primary
/// address does.
fn nickname_address(nickname: &str, primary: &SmtpAddress, initial: &Domain) -> Option<SmtpAddress> {
    let derived = Nickname::derived_from(primary.local_part());
    let says_more = !nickname.eq_ignore_ascii_case(derived.as_str());
    says_more.then(|| SmtpAddress::of(nickname, initial).ok())?
}
