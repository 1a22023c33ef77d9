//! A mailbox that is created to try the interface on, and removed afterwards. The operator itself removes no mailbox.
//!
//! Nothing here takes a mailbox that somebody else created: a [`ScratchMailbox`] comes from its own New-Mailbox call, and
//! is removed only while it still carries the one-time name under which it was created.

use super::Gateway;
use super::cmdlets::{CreatedMailbox, NewMailbox, RecipientQuery};
use super::error::{ErrorClass, ExchangeError, Stage};
use super::wire::{Cmdlet, Effect};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, Nickname, ObjectId, OneTimeName, SmtpAddress};

const REMOVE: &str = "Remove-Mailbox";

/// A mailbox that this very process created.
#[derive(Debug)]
pub struct ScratchMailbox {
    created: CreatedMailbox,
    name: OneTimeName,
    /// New-Mailbox itself answered with the ids; otherwise they were looked up by the one-time name.
    pub ids_were_answered: bool,
}

/// Why a scratch mailbox is still there.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    #[error("it does not carry the one-time name any more under which it was created")]
    NotProved,
    #[error("{0}")]
    Failed(#[from] ExchangeError),
}

impl ScratchMailbox {
    pub fn guid(&self) -> MailboxGuid {
        self.created.guid
    }

    pub fn object_id(&self) -> ObjectId {
        self.created.object_id
    }
}

impl Gateway {
    /// Creates a shared mailbox under `name`, which must be new and random. `Conflict` when anybody has the address, as
    /// recipient, deleted recipient or sign-in name; `Denied` when the app's role is known to lack what removes it: then
    /// nothing was created.
    pub async fn create_scratch(
        &self,
        lane: Lane,
        address: &SmtpAddress,
        alias: Nickname,
        name: OneTimeName,
    ) -> Result<ScratchMailbox, ExchangeError> {
        if self
            .core
            .cmdlets_of_role()
            .await
            .is_some_and(|role| !role.contains(REMOVE))
        {
            let text = "the app's role lacks Remove-Mailbox, which would be needed afterwards";
            return Err(ExchangeError::new(
                ErrorClass::Denied,
                Stage::Exchange,
                REMOVE,
                text,
            ));
        }
        let query = [RecipientQuery::Address(address.clone())];
        let (recipients, users) = futures::try_join!(
            self.find_recipients(lane, &query),
            self.find_users_by_upn(lane, std::slice::from_ref(address)),
        )?;
        if !recipients.is_empty() || !users.is_empty() {
            let text = "somebody has the address already";
            return Err(ExchangeError::new(
                ErrorClass::Conflict,
                Stage::Exchange,
                "New-Mailbox",
                text,
            ));
        }
        let new = NewMailbox {
            name: name.as_str().to_owned(),
            display_name: name.clone(),
            alias,
            primary: address.clone(),
        };
        let (created, ids_were_answered) = match self.create_shared_mailbox(lane, &new).await {
            Ok(created) => (created, true),
            Err(error) if error.class.leaves_doubt() => {
                let found = self.created_under(lane, &name).await?;
                (found.ok_or(error)?, false)
            }
            Err(error) => return Err(error),
        };
        Ok(ScratchMailbox {
            created,
            name,
            ids_were_answered,
        })
    }

    async fn created_under(
        &self,
        lane: Lane,
        name: &OneTimeName,
    ) -> Result<Option<CreatedMailbox>, ExchangeError> {
        let found = self
            .find_recipients(lane, &[RecipientQuery::DisplayName(name.clone())])
            .await?;
        Ok(found.iter().find_map(|row| {
            Some(CreatedMailbox {
                guid: row.guid?,
                object_id: row.object_id?,
            })
        }))
    }

    /// Removes it with its account; Exchange keeps both for 30 days. Its name is read once more before.
    pub async fn remove_scratch(&self, lane: Lane, scratch: &ScratchMailbox) -> Result<(), RemovalError> {
        let row = self.mailbox(lane, scratch.guid(), &[]).await?;
        if row.display_name != scratch.name.as_str() || row.kind != "SharedMailbox" {
            return Err(RemovalError::NotProved);
        }
        let cmdlet = Cmdlet::new(REMOVE, Effect::Repeatable)
            .with("Identity", scratch.guid().to_string())
            .with("Confirm", false);
        match self.call(lane, cmdlet).await {
            Ok(_) => Ok(()),
            // An attempt whose answer was lost.
            Err(error) if error.does_not_find(scratch.guid()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
