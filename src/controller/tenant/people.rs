//! The people that an ExchangeTenant names: whom nothing is taken from, and who has left.

use std::collections::BTreeSet;

use crate::api::ExchangeTenantSpec;
use crate::exchange::{ExchangeError, Gateway, RecipientQuery};
use crate::lane::Lane;
use crate::mail::SmtpAddress;
use crate::plan::People;

/// Looks them up under every address and sign-in name they may have. Whoever a complete answer does not show is not
/// there; anything less is an error.
async fn look_up(gateway: &Gateway, addresses: &BTreeSet<SmtpAddress>) -> Result<Found, ExchangeError> {
    let all: Vec<SmtpAddress> = addresses.iter().cloned().collect();
    let queries: Vec<RecipientQuery> = all.iter().cloned().map(RecipientQuery::Address).collect();
    let (recipients, users) = futures::try_join!(
        gateway.find_recipients(Lane::Edit, &queries),
        gateway.find_users_by_address(Lane::Edit, &all),
    )?;
    let mut people = People {
        addresses: addresses.clone(),
        ..People::default()
    };
    let mut unresolved = addresses.clone();
    for row in recipients.iter().filter(|row| !row.soft_deleted) {
        people.ids.extend(row.object_id);
        unresolved.retain(|address| !row.has_address(address));
    }
    // Further addresses lead to a recipient without a SID: the account behind it has one.
    let known: Vec<_> = people.ids.iter().copied().collect();
    let behind = gateway.find_users_by_id(Lane::Edit, &known).await?;
    for user in users.into_iter().chain(behind) {
        people.ids.extend(user.object_id);
        people.sids.extend(user.sid);
        unresolved.retain(|address| {
            !user.user_principal_name.eq_ignore_ascii_case(address.as_str())
                && user.address.as_ref() != Some(address)
        });
    }
    Ok(Found { people, unresolved })
}

#[derive(Default)]
struct Found {
    people: People,
    /// To whom nobody answers.
    unresolved: BTreeSet<SmtpAddress>,
}

/// Everybody that an ExchangeTenant names.
pub struct Named {
    pub protected: People,
    pub departed: People,
    /// To whom of them nobody answers.
    pub unresolved: BTreeSet<SmtpAddress>,
}

/// The people of both lists; `old` are those of the last check. `Err`: which entry can't be used.
pub async fn of(
    gateway: &Gateway,
    spec: &ExchangeTenantSpec,
    old: Option<(&People, &People)>,
) -> Result<Named, String> {
    let (protected, departed) = (
        parse("protectedTrustees", &spec.protected_trustees)?,
        parse("departed", &spec.departed)?,
    );
    let protected = known_or_as_before(gateway, protected, old.map(|(protected, _)| protected)).await;
    let departed = known_or_as_before(gateway, departed, old.map(|(_, departed)| departed)).await;
    let unresolved = protected.unresolved.into_iter().chain(departed.unresolved);
    Ok(Named {
        unresolved: unresolved.collect(),
        protected: protected.people,
        departed: departed.people,
    })
}

fn parse(field: &str, written: &[String]) -> Result<BTreeSet<SmtpAddress>, String> {
    let entry = |(position, text): (usize, &String)| {
        text.parse()
            .map_err(|error| format!("spec.{field}[{position}]: {error}"))
    };
    written.iter().enumerate().map(entry).collect()
}

/// While they can't be looked up, those of the last check stand for the same list.
async fn known_or_as_before(
    gateway: &Gateway,
    addresses: BTreeSet<SmtpAddress>,
    old: Option<&People>,
) -> Found {
    if addresses.is_empty() {
        return Found::default();
    }
    match look_up(gateway, &addresses).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the people that an ExchangeTenant names could not be looked up");
            let same = old
                .filter(|old| old.addresses == addresses && !old.incomplete)
                .cloned();
            let people = same.unwrap_or_else(|| People {
                addresses,
                incomplete: true,
                ..People::default()
            });
            Found {
                people,
                unresolved: BTreeSet::new(),
            }
        }
    }
}
