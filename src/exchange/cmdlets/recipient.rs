//! Look-ups: domains, recipients of any kind, users, groups.

mod rows;
#[cfg(test)]
mod tests;

pub use self::rows::{
    AcceptedDomain, GroupRow, RecipientIdentity, RecipientKind, RecipientName, RecipientRow, UserRow,
};
use self::rows::{GROUP_PROPERTIES, RECIPIENT_PROPERTIES, USER_PROPERTIES};
use super::answer::{all, answered_another, exactly_one};
use crate::exchange::Gateway;
use crate::exchange::error::ExchangeError;
use crate::exchange::wire::{Answer, Cmdlet, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{MarkerOwner, ObjectId, OneTimeName, Sid, SmtpAddress};

/// What a filtered look-up asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientQuery {
    /// Whatever carries the address, primary or not.
    Address(SmtpAddress),
    /// Whatever was created under the name.
    DisplayName(OneTimeName),
    /// Whatever carries a marker of the resource in the custom attribute of this number, 1 to 15.
    Marker(u8, MarkerOwner),
    /// The recipient of this account or group.
    ObjectId(ObjectId),
}

/// A value in an OPATH filter: in single quotes, inner ones doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl RecipientQuery {
    /// True when the row shows what was asked for.
    fn is_answered_by(&self, row: &RecipientRow) -> bool {
        match self {
            Self::Address(address) => row.has_address(address),
            Self::ObjectId(id) => row.object_id == Some(*id),
            Self::DisplayName(name) => row.display_name == name.as_str(),
            Self::Marker(attribute, owner) => {
                let text = row.custom_attribute(*attribute).to_lowercase();
                text.starts_with(&owner.start_of_marker().to_lowercase())
            }
        }
    }

    fn as_condition(&self) -> String {
        match self {
            Self::Address(address) => format!("EmailAddresses -eq {}", quoted(&format!("smtp:{address}"))),
            Self::ObjectId(id) => format!("ExternalDirectoryObjectId -eq {}", quoted(&id.to_string())),
            Self::DisplayName(name) => format!("DisplayName -eq {}", quoted(name.as_str())),
            // Neither cluster ids nor names in Kubernetes have a character that means something in a pattern.
            Self::Marker(attribute, owner) => {
                let pattern = format!("{}*", owner.start_of_marker());
                format!("CustomAttribute{attribute} -like {}", quoted(&pattern))
            }
        }
    }
}

fn with_upn(upn: &SmtpAddress) -> String {
    format!("UserPrincipalName -eq {}", quoted(upn.as_str()))
}

fn with_sids(sids: &[Sid]) -> Vec<String> {
    sids.iter()
        .map(|sid| format!("Sid -eq {}", quoted(sid.as_str())))
        .collect()
}

impl Gateway {
    /// The tenant's mail domains. A name that is no mail domain (`*`) is left out.
    pub async fn accepted_domains(&self, lane: Lane) -> Result<Vec<AcceptedDomain>, ExchangeError> {
        const NAME: &str = "Get-AcceptedDomain";
        let cmdlet = Cmdlet::read(NAME, &["DomainName", "InitialDomain", "Default", "DomainType"])
            .with("ResultSize", "Unlimited");
        let answer = self.list(lane, cmdlet).await?;
        let domains = all(NAME, &answer, |row| {
            let name: String = row.required("DomainName")?;
            let (initial, default) = (row.flag("InitialDomain")?, row.flag("Default")?);
            let kind = row.text("DomainType")?;
            Ok(name.parse().ok().map(|name| AcceptedDomain {
                name,
                initial,
                default,
                kind,
            }))
        })?;
        let domains: Vec<AcceptedDomain> = domains.into_iter().flatten().collect();
        if let Some(domain) = domains.iter().find(|domain| domain.initial) {
            self.core.api.know_initial_domain(&domain.name);
        }
        Ok(domains)
    }

    /// Every recipient of any kind, soft-deleted ones too, that answers at least one query.
    ///
    /// One Get-Recipient for up to 80 queries, or as many as the tenant takes. No queries, no call. Accounts without a mailbox and groups without
    /// mail are no recipients: see [`Self::find_users_by_upn`] and [`Self::groups_with_address`].
    pub async fn find_recipients(
        &self,
        lane: Lane,
        queries: &[RecipientQuery],
    ) -> Result<Vec<RecipientRow>, ExchangeError> {
        let conditions = queries.iter().map(RecipientQuery::as_condition).collect();
        self.filtered(lane, conditions, RecipientRow::read, recipients)
            .await
    }

    /// The same by one cmdlet with whoever looks up recipients at this moment: a little later, and for much less. Only what
    /// the rows themselves show to answer a query is given back.
    pub async fn find_recipients_together(
        &self,
        lane: Lane,
        queries: &[RecipientQuery],
    ) -> Result<Vec<RecipientRow>, ExchangeError> {
        let conditions = queries.iter().map(RecipientQuery::as_condition).collect();
        let mut rows = self
            .filtered_together(lane, conditions, RecipientRow::read, recipients)
            .await?;
        rows.retain(|row| queries.iter().any(|query| query.is_answered_by(row)));
        Ok(rows)
    }

    /// [`Self::find_users_by_upn`] by one cmdlet with whoever looks up sign-in names at this moment.
    pub async fn find_users_by_upn_together(
        &self,
        lane: Lane,
        upns: &[SmtpAddress],
    ) -> Result<Vec<UserRow>, ExchangeError> {
        let conditions = upns.iter().map(with_upn).collect();
        let mut rows = self
            .filtered_together(lane, conditions, UserRow::read, users)
            .await?;
        rows.retain(|row| upns.iter().any(|upn| row.signs_in_as(upn)));
        Ok(rows)
    }

    /// The accounts with these sign-in names, with or without a mailbox.
    pub async fn find_users_by_upn(
        &self,
        lane: Lane,
        upns: &[SmtpAddress],
    ) -> Result<Vec<UserRow>, ExchangeError> {
        let conditions = upns.iter().map(with_upn).collect();
        self.filtered(lane, conditions, UserRow::read, users).await
    }

    /// The accounts with these sign-in names or primary addresses.
    pub async fn find_users_by_address(
        &self,
        lane: Lane,
        addresses: &[SmtpAddress],
    ) -> Result<Vec<UserRow>, ExchangeError> {
        let conditions: Vec<String> = addresses
            .iter()
            .map(|address| quoted(address.as_str()))
            .flat_map(|text| {
                [
                    format!("UserPrincipalName -eq {text}"),
                    format!("WindowsEmailAddress -eq {text}"),
                ]
            })
            .collect();
        self.filtered(lane, conditions, UserRow::read, users).await
    }

    /// The accounts with these ids.
    pub async fn find_users_by_id(
        &self,
        lane: Lane,
        ids: &[ObjectId],
    ) -> Result<Vec<UserRow>, ExchangeError> {
        let conditions: Vec<String> = ids
            .iter()
            .map(|id| format!("ExternalDirectoryObjectId -eq {}", quoted(&id.to_string())))
            .collect();
        self.filtered(lane, conditions, UserRow::read, users).await
    }

    /// The accounts with these SIDs.
    pub async fn find_users_by_sid(&self, lane: Lane, sids: &[Sid]) -> Result<Vec<UserRow>, ExchangeError> {
        self.filtered(lane, with_sids(sids), UserRow::read, users).await
    }

    /// The groups with these SIDs, with or without mail. Where Get-Group shows no object id, that of a group with mail is
    /// looked up by its address.
    pub async fn find_groups_by_sid(&self, lane: Lane, sids: &[Sid]) -> Result<Vec<GroupRow>, ExchangeError> {
        let mut found = self
            .filtered(lane, with_sids(sids), GroupRow::read, groups)
            .await?;
        let without_id = found.iter().filter(|group| group.object_id.is_none());
        let addresses = without_id.filter_map(|group| group.address.clone());
        let queries: Vec<RecipientQuery> = addresses.map(RecipientQuery::Address).collect();
        if queries.is_empty() {
            return Ok(found);
        }
        let recipients = self.find_recipients(lane, &queries).await?;
        for group in found.iter_mut().filter(|group| group.object_id.is_none()) {
            let Some(address) = &group.address else {
                continue;
            };
            let mut at_it = recipients
                .iter()
                .filter(|row| !row.soft_deleted && row.has_address(address));
            group.object_id = match (at_it.next(), at_it.next()) {
                (Some(one), None) => one.object_id,
                _ => None,
            };
        }
        Ok(found)
    }

    /// The groups that somebody who wrote the address may mean: those at the address, and those named like its
    /// local part, for a group without mail has no address at all.
    ///
    /// Only good for saying why a group can't be a member ([`GroupRow::is_mail_enabled`]); the group that an address
    /// belongs to is found by [`Self::recipient`].
    pub async fn groups_with_address(
        &self,
        lane: Lane,
        address: &SmtpAddress,
    ) -> Result<Vec<GroupRow>, ExchangeError> {
        let name = quoted(address.local_part());
        let conditions = [
            format!("WindowsEmailAddress -eq {}", quoted(address.as_str())),
            format!("Name -eq {name}"),
            format!("DisplayName -eq {name}"),
        ];
        self.filtered(lane, conditions.into(), GroupRow::read, groups)
            .await
    }

    /// One recipient. Exactly one row that is the one asked for, or an error: `NotFound` for none, `Invalid` for
    /// several, `Transient` for another one.
    pub async fn recipient(
        &self,
        lane: Lane,
        identity: &RecipientIdentity,
    ) -> Result<RecipientRow, ExchangeError> {
        const NAME: &str = "Get-Recipient";
        let cmdlet = Cmdlet::read(NAME, RECIPIENT_PROPERTIES).with("Identity", identity.as_parameter());
        let answer = self.call(lane, cmdlet).await?;
        let row = exactly_one(NAME, all(NAME, &answer, RecipientRow::read)?)?;
        if identity.is_answered_by(&row) {
            Ok(row)
        } else {
            Err(answered_another(NAME, "recipient"))
        }
    }

    /// The account with this sign-in name.
    pub async fn user(&self, lane: Lane, upn: &SmtpAddress) -> Result<UserRow, ExchangeError> {
        const NAME: &str = "Get-User";
        let cmdlet = Cmdlet::read(NAME, USER_PROPERTIES).with("Identity", upn.as_str());
        let answer = self.call(lane, cmdlet).await?;
        let row = exactly_one(NAME, all(NAME, &answer, UserRow::read)?)?;
        if row.user_principal_name.eq_ignore_ascii_case(upn.as_str()) {
            Ok(row)
        } else {
            Err(answered_another(NAME, "user"))
        }
    }

    /// What answers one of these conditions.
    async fn filtered<T>(
        &self,
        lane: Lane,
        conditions: Vec<String>,
        read: impl Fn(Row<'_>) -> Result<T, Unreadable> + Copy,
        cmdlet: fn(&str) -> Cmdlet,
    ) -> Result<Vec<T>, ExchangeError> {
        let answers = self.core.look_up_alone(lane, &conditions, cmdlet).await?;
        read_all(&answers, read, cmdlet)
    }

    /// The same of everybody who asks at the same time: rows that others asked for are among these.
    async fn filtered_together<T>(
        &self,
        lane: Lane,
        conditions: Vec<String>,
        read: impl Fn(Row<'_>) -> Result<T, Unreadable> + Copy,
        cmdlet: fn(&str) -> Cmdlet,
    ) -> Result<Vec<T>, ExchangeError> {
        let answers = self.look_up_together(lane, conditions, cmdlet).await?;
        read_all(&answers, read, cmdlet)
    }
}

fn read_all<T>(
    answers: &[Answer],
    read: impl Fn(Row<'_>) -> Result<T, Unreadable> + Copy,
    cmdlet: fn(&str) -> Cmdlet,
) -> Result<Vec<T>, ExchangeError> {
    let name = cmdlet("").name;
    let mut rows = Vec::new();
    for answer in answers {
        rows.extend(all(name, answer, read)?);
    }
    Ok(rows)
}

fn recipients(filter: &str) -> Cmdlet {
    Cmdlet::read("Get-Recipient", RECIPIENT_PROPERTIES)
        .with("Filter", filter)
        .with("IncludeSoftDeletedRecipients", true)
        .with("ResultSize", "Unlimited")
}

fn users(filter: &str) -> Cmdlet {
    Cmdlet::read("Get-User", USER_PROPERTIES)
        .with("Filter", filter)
        .with("ResultSize", "Unlimited")
}

fn groups(filter: &str) -> Cmdlet {
    Cmdlet::read("Get-Group", GROUP_PROPERTIES)
        .with("Filter", filter)
        .with("ResultSize", "Unlimited")
}
