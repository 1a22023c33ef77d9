//! Full Access and Send As. (Send on Behalf is a property of the mailbox.)

use std::collections::BTreeSet;

use serde_json::json;

use super::answer::{Receipt, all};
use crate::exchange::Gateway;
use crate::exchange::error::ExchangeError;
use crate::exchange::wire::{Answer, Cmdlet, Effect, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{Holder, MailboxGuid, ObjectId, Sid};

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
    /// False when the row does not say: rows of some versions lack it.
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

/// Without these Get-MailboxPermission leaves out the rows of deleted accounts.
const OF_DELETED_ACCOUNTS: [&str; 2] = [
    "IncludeUnresolvedPermissions",
    "IncludeSoftDeletedUserPermissions",
];

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

fn send_as(name: &'static str, id: MailboxGuid, trustee: &str) -> Cmdlet {
    write(name, id)
        .with("Trustee", trustee)
        .with("AccessRights", json!(["SendAs"]))
        .with("Confirm", false)
}

impl Gateway {
    /// Who may open the mailbox; only rows of `user` when one is given. SELF and inherited rows are included, and in
    /// the whole list also rows of deleted accounts (Get-MailboxPermission, IncludeUnresolvedPermissions and
    /// IncludeSoftDeletedUserPermissions), unless the app's role lacks these parameters.
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
        let cmdlet = Cmdlet::read(NAME, properties)
            .with("Identity", id.to_string())
            .with("ResultSize", "Unlimited");
        let answer = match user {
            Some(user) => self.list(lane, cmdlet.with("User", user.to_string())).await?,
            None => self.with_deleted_accounts(lane, NAME, &cmdlet).await?,
        };
        all(NAME, &answer, FullAccessRow::read)
    }

    /// The list with the rows of deleted accounts, which are missing from the plain one, as far as the app's role lets
    /// it ask for them: a parameter that was refused is left out from then on. The tenant's advisory names it.
    async fn with_deleted_accounts(
        &self,
        lane: Lane,
        name: &str,
        cmdlet: &Cmdlet,
    ) -> Result<Answer, ExchangeError> {
        loop {
            let asked: Vec<&str> = {
                let learned = self.core.learned.lock();
                let admitted = |flag: &&str| !learned.refuses(name, flag);
                OF_DELETED_ACCOUNTS.into_iter().filter(admitted).collect()
            };
            let with_flags = asked
                .iter()
                .fold(cmdlet.clone(), |cmdlet, flag| cmdlet.with(flag, true));
            match self.list(lane, with_flags).await {
                // Noted as refused, so that the next attempt asks for less.
                Err(error)
                    if error
                        .parameter
                        .as_deref()
                        .is_some_and(|flag| asked.contains(&flag)) =>
                {
                    let flag = error.parameter.as_deref().unwrap_or_default();
                    if !self.core.learned.lock().refuses(name, flag) {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
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
    ) -> Result<Receipt, ExchangeError> {
        let cmdlet = write("Add-MailboxPermission", id)
            .with("User", user.to_string())
            .with("AccessRights", json!(["FullAccess"]))
            .with("InheritanceType", "All")
            .with("AutoMapping", auto_mapping);
        Ok(Receipt::of_added(self.call(lane, cmdlet).await?, "UserSid"))
    }

    /// Revokes Full Access; a permission that is not there is a warning. A deleted account is named by what is
    /// left of it on the mailbox, its SID.
    pub async fn remove_full_access(
        &self,
        lane: Lane,
        id: MailboxGuid,
        holder: &Holder,
    ) -> Result<Receipt, ExchangeError> {
        let full_access = BTreeSet::from(["FullAccess".to_owned()]);
        self.remove_mailbox_rights(lane, id, holder, &full_access).await
    }

    /// Takes away all these rights of a row in one call.
    pub async fn remove_mailbox_rights(
        &self,
        lane: Lane,
        id: MailboxGuid,
        holder: &Holder,
        rights: &BTreeSet<String>,
    ) -> Result<Receipt, ExchangeError> {
        let cmdlet = write("Remove-MailboxPermission", id)
            .with("User", holder.to_string())
            .with("AccessRights", json!(rights))
            .with("InheritanceType", "All")
            .with("Confirm", false);
        Ok(self.call(lane, cmdlet).await?.into())
    }

    /// Takes automapping away from everybody who has Full Access. Nobody loses access.
    pub async fn clear_auto_mapping(&self, lane: Lane, id: MailboxGuid) -> Result<Receipt, ExchangeError> {
        let cmdlet = write("Remove-MailboxPermission", id)
            .with("ClearAutoMapping", true)
            .with("Confirm", false);
        Ok(self.call(lane, cmdlet).await?.into())
    }

    /// Grants Send As; a permission that is there already is a warning.
    pub async fn add_send_as(
        &self,
        lane: Lane,
        id: MailboxGuid,
        trustee: &ObjectId,
    ) -> Result<Receipt, ExchangeError> {
        let cmdlet = send_as("Add-RecipientPermission", id, &trustee.to_string());
        Ok(Receipt::of_added(
            self.call(lane, cmdlet).await?,
            "TrusteeSidString",
        ))
    }

    /// Revokes Send As; a permission that is not there is a warning. A deleted account is named by its SID.
    pub async fn remove_send_as(
        &self,
        lane: Lane,
        id: MailboxGuid,
        holder: &Holder,
    ) -> Result<Receipt, ExchangeError> {
        let cmdlet = send_as("Remove-RecipientPermission", id, &holder.to_string());
        Ok(self.call(lane, cmdlet).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::exchange::error::ErrorClass;
    use crate::exchange::testing::{Call, Reaction, Tenant};

    const GUID: &str = "0a0a0a0a-1111-2222-3333-444444444444";
    const OBJECT: &str = "66666666-7777-8888-9999-aaaaaaaaaaaa";

    fn guid() -> MailboxGuid {
        GUID.parse().unwrap()
    }

    fn member() -> ObjectId {
        OBJECT.parse().unwrap()
    }

    fn answering(reaction: Reaction) -> Tenant {
        Tenant::new(move |call: &Call| {
            if call.name == "token" {
                Tenant::default_reaction(call)
            } else {
                reaction.clone()
            }
        })
    }

    fn sent(tenant: &Tenant) -> (String, Value) {
        let call = tenant.requests()[0].calls[0].clone();
        (call.name, call.parameters)
    }

    #[tokio::test(start_paused = true)]
    async fn full_access_rows_are_read_with_their_joined_rights() {
        let rows = json!([
            {"Identity": "x", "User": "NT AUTHORITY\\SELF", "UserSid": "S-1-5-10",
             "AccessRights": ["FullAccess, ReadPermission"], "Deny": false, "IsInherited": false, "PrimarySmtpAddress": ""},
            {"Identity": "x", "User": "S-1-5-21-1-2-3-4", "UserSid": "", "AccessRights": ["FullAccess"], "Deny": true, "IsInherited": true},
        ]);
        let tenant = answering(Reaction::rows(&rows));
        let rows = tenant
            .gateway()
            .full_access(Lane::Edit, guid(), Some(&member()))
            .await
            .unwrap();
        assert_eq!(rows[0].rights, ["FullAccess", "ReadPermission"]);
        assert!(rows[0].sid.as_ref().unwrap().is_self() && !rows[0].deny && !rows[0].inherited);
        assert!(rows[1].sid.is_none() && rows[1].deny && rows[1].inherited);
        let expected = json!({"Identity": GUID, "ResultSize": "Unlimited", "User": OBJECT});
        assert_eq!(sent(&tenant), ("Get-MailboxPermission".to_owned(), expected));
    }

    #[tokio::test(start_paused = true)]
    async fn a_parameter_that_the_role_lacks_is_left_out_from_then_on() {
        let tenant = Tenant::new(|call: &Call| {
            let flag = "IncludeSoftDeletedUserPermissions";
            if call.name == "token" {
                Tenant::default_reaction(call)
            } else if call.parameters.get(flag).is_some() {
                let text = format!("Invalid cmdlet parameters specified. {flag}");
                Reaction::failed(400, "Admin.AmbiguousParameterSetException", &text)
            } else {
                Reaction::rows(&json!([]))
            }
        });
        let gateway = tenant.gateway();
        for asked in [2, 1] {
            let before = tenant.requests().len();
            gateway.full_access(Lane::Edit, guid(), None).await.unwrap();
            assert_eq!(tenant.requests().len() - before, asked);
        }
        let last = tenant.requests().last().unwrap().calls[0].parameters.clone();
        let expected =
            json!({"Identity": GUID, "ResultSize": "Unlimited", "IncludeUnresolvedPermissions": true});
        assert_eq!(last, expected, "the other one is still asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn send_as_rows_may_lack_the_inherited_flag() {
        let rows = json!([
            {"Identity": "x", "Trustee": "a@contoso.com", "TrusteeSidString": "S-1-5-21-9", "AccessControlType": "Allow", "AccessRights": ["SendAs"]},
            {"Identity": "x", "Trustee": "Group", "TrusteeSidString": "S-1-5-21-8", "AccessControlType": "Deny", "AccessRights": ["SendAs"], "IsInherited": true},
        ]);
        let tenant = answering(Reaction::rows(&rows));
        let rows = tenant.gateway().send_as(Lane::Edit, guid(), None).await.unwrap();
        assert!(rows[0].allow && !rows[0].inherited);
        assert!(!rows[1].allow && rows[1].inherited);
        let expected = json!({"Identity": GUID, "ResultSize": "Unlimited"});
        assert_eq!(sent(&tenant), ("Get-RecipientPermission".to_owned(), expected));
    }

    #[tokio::test(start_paused = true)]
    async fn the_entry_that_is_answered_to_an_addition_says_which_sid_its_holder_has() {
        let row = |sid: &str| json!({"User": "x", "UserSid": sid, "AccessRights": ["FullAccess"]});
        for (rows, expected) in [
            (json!([row("S-1-5-21-7")]), Some("S-1-5-21-7")),
            (
                json!([row("S-1-5-10"), row("S-1-5-21-7"), row("S-1-5-21-7")]),
                Some("S-1-5-21-7"),
            ),
            (json!([row("S-1-5-21-7"), row("S-1-5-21-8")]), None),
            (json!([row("")]), None),
            (json!([{"User": "x"}, row("S-1-5-21-7")]), None),
            (json!([]), None),
        ] {
            let tenant = answering(Reaction::rows(&rows));
            let added = tenant
                .gateway()
                .add_full_access(Lane::Edit, guid(), &member(), true)
                .await;
            let holder = added.unwrap().holder.map(|sid| sid.to_string());
            assert_eq!(holder.as_deref(), expected, "{rows}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_without_leftovers_is_asked_without_them_from_then_on() {
        let tenant = Tenant::new(|call: &Call| {
            if call.parameters.get("IncludeUnresolvedPermissions").is_some() {
                let text = "Parameter set cannot be resolved using the specified named parameters. Invalid cmdlet \
                            parameters specified. IncludeUnresolvedPermissions";
                return Reaction::failed(400, "AmbiguousParameterSetException", text);
            }
            Tenant::default_reaction(call)
        });
        let gateway = tenant.gateway();
        for requests in [2, 3] {
            gateway.full_access(Lane::Edit, guid(), None).await.unwrap();
            assert_eq!(tenant.requests().len(), requests);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_without_its_rights_makes_the_whole_answer_unusable() {
        let rows =
            json!([{"User": "a@contoso.com", "UserSid": "S-1-5-21-9", "Deny": false, "IsInherited": false}]);
        let error = answering(Reaction::rows(&rows))
            .gateway()
            .full_access(Lane::Edit, guid(), None)
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert!(error.message.contains("AccessRights"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn grants_and_revocations_name_mailbox_and_member_by_id() {
        let right = |extra: Value| {
            let mut all = json!({"Identity": GUID, "User": OBJECT, "AccessRights": ["FullAccess"], "InheritanceType": "All"});
            for (name, value) in extra.as_object().unwrap() {
                all[name] = value.clone();
            }
            all
        };
        let send_as =
            json!({"Identity": GUID, "Trustee": OBJECT, "AccessRights": ["SendAs"], "Confirm": false});
        let expected = [
            ("Add-MailboxPermission", right(json!({"AutoMapping": false}))),
            ("Remove-MailboxPermission", right(json!({"Confirm": false}))),
            ("Add-RecipientPermission", send_as.clone()),
            ("Remove-RecipientPermission", send_as),
        ];
        for (number, (name, parameters)) in expected.into_iter().enumerate() {
            let tenant = answering(Reaction::warned("The … entry is already present …"));
            let gateway = tenant.gateway();
            let warnings = match number {
                0 => {
                    gateway
                        .add_full_access(Lane::Edit, guid(), &member(), false)
                        .await
                }
                1 => {
                    gateway
                        .remove_full_access(Lane::Edit, guid(), &Holder::ObjectId(member()))
                        .await
                }
                2 => gateway.add_send_as(Lane::Edit, guid(), &member()).await,
                _ => {
                    gateway
                        .remove_send_as(Lane::Edit, guid(), &Holder::ObjectId(member()))
                        .await
                }
            };
            assert!(warnings.unwrap().say_already_present());
            assert_eq!(sent(&tenant), (name.to_owned(), parameters));
        }
    }
}
