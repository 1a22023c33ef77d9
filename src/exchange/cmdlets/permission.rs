//! Full Access and Send As. (Send on Behalf is a property of the mailbox.)

use serde_json::json;

use super::{Warnings, all};
use crate::exchange::Gateway;
use crate::exchange::error::ExchangeError;
use crate::exchange::wire::{Cmdlet, Effect, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, ObjectId, Sid};

/// A row of Get-MailboxPermission. It names its holder by text and SID only; the text changes with a rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullAccessRow {
    /// A UPN, a group's display name, or a SID that no longer resolves.
    pub user: String,
    pub sid: Option<Sid>,
    /// One right each: `FullAccess`, `ReadPermission`, ….
    pub rights: Vec<String>,
    pub deny: bool,
    pub inherited: bool,
}

impl FullAccessRow {
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            user: row.text("User")?,
            sid: row.optional("UserSid"),
            rights: rights(row)?,
            deny: row.flag("Deny")?,
            inherited: row.flag("IsInherited")?,
        })
    }
}

/// A row of Get-RecipientPermission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAsRow {
    pub trustee: String,
    pub sid: Option<Sid>,
    pub rights: Vec<String>,
    /// False for a row that denies.
    pub allow: bool,
    /// False when the row does not tell: rows of some versions lack it.
    pub inherited: bool,
}

impl SendAsRow {
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            trustee: row.text("Trustee")?,
            sid: row.optional("TrusteeSidString"),
            rights: rights(row)?,
            allow: row
                .required::<String>("AccessControlType")?
                .eq_ignore_ascii_case("Allow"),
            inherited: row.optional_flag("IsInherited").unwrap_or(false),
        })
    }
}

/// `["FullAccess, ReadPermission"]` are two rights.
fn rights(row: Row<'_>) -> Result<Vec<String>, Unreadable> {
    Ok(row
        .texts("AccessRights")?
        .iter()
        .flat_map(|item| item.split(','))
        .map(str::trim)
        .filter(|right| !right.is_empty())
        .map(str::to_owned)
        .collect())
}

fn write(name: &'static str, id: MailboxGuid) -> Cmdlet {
    Cmdlet::new(name, Effect::Repeatable).with("Identity", id.to_string())
}

impl Gateway {
    /// Who may open the mailbox; only rows of `user` when one is given. SELF and inherited rows are included.
    pub async fn full_access(
        &self,
        lane: Lane,
        id: MailboxGuid,
        user: Option<&ObjectId>,
    ) -> Result<Vec<FullAccessRow>, ExchangeError> {
        const NAME: &str = "Get-MailboxPermission";
        let properties = &[
            "Identity",
            "User",
            "UserSid",
            "AccessRights",
            "Deny",
            "IsInherited",
        ];
        let mut cmdlet = Cmdlet::read(NAME, properties)
            .with("Identity", id.to_string())
            .with("ResultSize", "Unlimited");
        if let Some(user) = user {
            cmdlet = cmdlet.with("User", user.to_string());
        }
        let answer = self.list(lane, cmdlet).await?;
        all(NAME, &answer, FullAccessRow::read)
    }

    /// Who may send as the mailbox; only rows of `trustee` when one is given.
    ///
    /// Microsoft documents that the filter fails for trustees with a SID history.
    pub async fn send_as(
        &self,
        lane: Lane,
        id: MailboxGuid,
        trustee: Option<&ObjectId>,
    ) -> Result<Vec<SendAsRow>, ExchangeError> {
        const NAME: &str = "Get-RecipientPermission";
        let properties = &[
            "Identity",
            "Trustee",
            "TrusteeSidString",
            "AccessRights",
            "AccessControlType",
            "IsInherited",
        ];
        let mut cmdlet = Cmdlet::read(NAME, properties)
            .with("Identity", id.to_string())
            .with("ResultSize", "Unlimited");
        if let Some(trustee) = trustee {
            cmdlet = cmdlet.with("Trustee", trustee.to_string());
        }
        let answer = self.list(lane, cmdlet).await?;
        all(NAME, &answer, SendAsRow::read)
    }

    /// Grants Full Access. When it was granted before, that is a warning and AutoMapping stays as it was: to
    /// change it, remove the permission first.
    pub async fn add_full_access(
        &self,
        lane: Lane,
        id: MailboxGuid,
        user: &ObjectId,
        auto_mapping: bool,
    ) -> Result<Warnings, ExchangeError> {
        let cmdlet = write("Add-MailboxPermission", id)
            .with("User", user.to_string())
            .with("AccessRights", json!(["FullAccess"]))
            .with("InheritanceType", "All")
            .with("AutoMapping", auto_mapping);
        Ok(self.call(lane, cmdlet).await?.into())
    }

    /// Revokes Full Access; a permission that is not there is a warning.
    pub async fn remove_full_access(
        &self,
        lane: Lane,
        id: MailboxGuid,
        user: &ObjectId,
    ) -> Result<Warnings, ExchangeError> {
        let cmdlet = write("Remove-MailboxPermission", id)
            .with("User", user.to_string())
            .with("AccessRights", json!(["FullAccess"]))
            .with("InheritanceType", "All")
            .with("Confirm", false);
        Ok(self.call(lane, cmdlet).await?.into())
    }

    /// Grants Send As; a permission that is there already is a warning.
    pub async fn add_send_as(
        &self,
        lane: Lane,
        id: MailboxGuid,
        trustee: &ObjectId,
    ) -> Result<Warnings, ExchangeError> {
        self.change_send_as("Add-RecipientPermission", lane, id, trustee)
            .await
    }

    /// Revokes Send As; a permission that is not there is a warning.
    pub async fn remove_send_as(
        &self,
        lane: Lane,
        id: MailboxGuid,
        trustee: &ObjectId,
    ) -> Result<Warnings, ExchangeError> {
        self.change_send_as("Remove-RecipientPermission", lane, id, trustee)
            .await
    }

    async fn change_send_as(
        &self,
        name: &'static str,
        lane: Lane,
        id: MailboxGuid,
        trustee: &ObjectId,
    ) -> Result<Warnings, ExchangeError> {
        let cmdlet = write(name, id)
            .with("Trustee", trustee.to_string())
            .with("AccessRights", json!(["SendAs"]))
            .with("Confirm", false);
        Ok(self.call(lane, cmdlet).await?.into())
    }
}
