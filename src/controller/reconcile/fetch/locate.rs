//! Where the mailbox of a resource without a GUID is.

use std::collections::BTreeSet;

use super::holding::{Hold, Holding};
use super::reads::Reads;
use crate::api::Adoption;
use crate::controller::reconcile::prepared::Prepared;
use crate::controller::reconcile::validate::Admitted;
use crate::exchange::{ExchangeError, RecipientQuery, RecipientRow, UserRow};
use crate::ledger::Ledger;
use crate::mail::{MailboxGuid, Nickname, SmtpAddress};

/// Numbered nicknames that are tried when none is declared.
const NICKNAMES: u32 = 9;

pub enum Located {
    /// Possibly ours: to be read and judged.
    Mailbox(MailboxGuid),
    /// A shared mailbox without a marker of its own holds the primary address, and may be taken over.
    Existing(MailboxGuid),
    /// Nobody holds its addresses; this nickname is free.
    Nowhere(Nickname),
    /// Somebody holds one of its addresses: a sentence for people.
    Taken(String),
}

impl Reads<'_> {
    /// Looks up every claimed address at once: recipients of any kind, soft-deleted ones too, and people
    /// whose sign-in name it is; and the mailbox that carries the resource's marker, whatever its address.
    pub async fn locate(&self, prepared: &Prepared) -> Result<Located, ExchangeError> {
        let Prepared {
            tenant,
            admitted,
            owner,
            ledger,
            purpose: _,
            writes: _,
            remembered: _,
            take_up: _,
            remove_orphans: _,
            has_unread_permissions: _,
            now: _,
        } = prepared;
        let claimed: BTreeSet<SmtpAddress> = admitted.addresses();
        let nicknames: Vec<(Nickname, SmtpAddress)> = candidates(admitted)
            .into_iter()
            .filter_map(|nickname| {
                let address = SmtpAddress::of(nickname.as_str(), &tenant.initial_domain).ok()?;
                Some((nickname, address))
            })
            .collect();
        // Nearly always the first one is free.
        let (first, others) = nicknames.split_at(nicknames.len().min(1));
        let at_once: BTreeSet<SmtpAddress> = addresses_of(first).chain(claimed.clone()).collect();
        let intent = ledger.intent.iter();
        let mut further: Vec<RecipientQuery> = intent
            .map(|intent| RecipientQuery::DisplayName(intent.one_time_name.clone()))
            .collect();
        let elsewhere = tenant.succeeds.iter().map(|cluster| owner.in_cluster(cluster));
        let owners = std::iter::once(owner.clone()).chain(elsewhere);
        further.extend(owners.map(|owner| RecipientQuery::Marker(tenant.marker_attribute, owner)));
        let (recipients, users) = self.holders(at_once, further).await?;
        if let Some(guid) = announced(&recipients, ledger) {
            return Ok(Located::Mailbox(guid));
        }
        let shown_by = |recipients, users| Holding {
            recipients,
            users,
            marker_attribute: tenant.marker_attribute,
            owner,
            succeeds: &tenant.succeeds,
        };
        let holding = shown_by(&recipients, &users);
        let found = located(&holding, admitted, first);
        let is_taken = |address| matches!(holding.of(address), Hold::Taken(_) | Hold::Existing(_));
        let asks_for_another = matches!(found, Located::Taken(_)) && !claimed.iter().any(is_taken);
        if !asks_for_another || others.is_empty() {
            return Ok(found);
        }
        let (more_recipients, more_users) = self.holders(addresses_of(others).collect(), Vec::new()).await?;
        let recipients = [recipients.clone(), more_recipients].concat();
        let users = [users.clone(), more_users].concat();
        Ok(located(&shown_by(&recipients, &users), admitted, &nicknames))
    }

    /// Who has these addresses or signs in under them, and what answers further queries.
    async fn holders(
        &self,
        addresses: BTreeSet<SmtpAddress>,
        further: Vec<RecipientQuery>,
    ) -> Result<(Vec<RecipientRow>, Vec<UserRow>), ExchangeError> {
        let gateway = &self.tenant.gateway;
        let queries = addresses.iter().cloned().map(RecipientQuery::Address);
        let queries: Vec<RecipientQuery> = queries.chain(further).collect();
        let upns: Vec<SmtpAddress> = addresses.into_iter().collect();
        futures::try_join!(
            gateway.find_recipients_together(self.lane, &queries),
            gateway.find_users_by_upn_together(self.lane, &upns),
        )
    }
}

fn addresses_of(nicknames: &[(Nickname, SmtpAddress)]) -> impl Iterator<Item = SmtpAddress> {
    nicknames.iter().map(|(_, address)| address.clone())
}

fn located(holding: &Holding<'_>, admitted: &Admitted, nicknames: &[(Nickname, SmtpAddress)]) -> Located {
    let existing = match holding.of(&admitted.address) {
        // Whoever may take nothing over learns no more than that somebody has the address.
        Hold::Existing(guid)
            if admitted.adoption == Adoption::SharedMailbox && admitted.adoption_denied.is_none() =>
        {
            Some(guid)
        }
        Hold::Existing(_) | Hold::Free | Hold::MaybeOurs(_) | Hold::Taken(_) => None,
    };
    let mut taken = None;
    for address in &admitted.addresses() {
        match holding.of(address) {
            Hold::Free => {}
            Hold::MaybeOurs(guid) => return Located::Mailbox(guid),
            Hold::Existing(guid) if existing == Some(guid) => {}
            Hold::Existing(_) => {
                taken.get_or_insert_with(|| format!("{address} {}", unmarked(admitted, address)));
            }
            Hold::Taken(by) => {
                taken.get_or_insert_with(|| format!("{address} {by}"));
            }
        }
    }
    if let Some(guid) = holding.marked().first() {
        return Located::Mailbox(*guid);
    }
    if let Some(taken) = taken {
        return Located::Taken(taken);
    }
    if let Some(guid) = existing {
        return Located::Existing(guid);
    }
    let is_free = |(_, address): &&(Nickname, SmtpAddress)| matches!(holding.of(address), Hold::Free);
    match nicknames.iter().find(is_free) {
        Some((nickname, _)) => Located::Nowhere(nickname.clone()),
        None => Located::Taken(format!(
            "the nickname is taken: somebody has {} (every nickname claims an address in the initial domain); set \
             spec.alias to another one",
            nicknames
                .first()
                .map_or_else(String::new, |(_, address)| address.to_string())
        )),
    }
}

/// Of a shared mailbox that nobody marked, as the rest of a sentence that starts with the address.
fn unmarked(admitted: &Admitted, address: &SmtpAddress) -> String {
    let unmarked = "is a shared mailbox that is not ours: no SharedMailbox created it";
    match admitted.adoption {
        Adoption::SharedMailbox if let Some(denied) = &admitted.adoption_denied => {
            format!("{unmarked}, and it is not taken over: {denied}; or take another address")
        }
        Adoption::SharedMailbox if *address != admitted.address => format!(
            "{unmarked}, and only the mailbox of the primary address is taken over: leave that address out, or declare it \
             in a SharedMailbox of its own"
        ),
        Adoption::SharedMailbox | Adoption::Never => format!(
            "{unmarked}. To take it over, write spec.adoption: SharedMailbox{}; or take another address",
            admitted
                .adoption_denied
                .as_ref()
                .map_or_else(String::new, |denied| format!(" ({denied})"))
        ),
    }
}

fn candidates(admitted: &Admitted) -> Vec<Nickname> {
    if let Some(declared) = &admitted.alias {
        return vec![declared.clone()];
    }
    let derived = Nickname::derived_from(admitted.address.local_part());
    (1..=NICKNAMES).map(|number| derived.numbered(number)).collect()
}

fn announced(recipients: &[RecipientRow], ledger: &Ledger) -> Option<MailboxGuid> {
    let name = ledger.intent.as_ref()?.one_time_name.as_str();
    recipients
        .iter()
        .find(|row| row.display_name == name && !row.soft_deleted)?
        .guid
}
