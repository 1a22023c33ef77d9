//! One mailbox: reading, creating, changing it.

use super::{
    CUSTOM_ATTRIBUTES, ProxyAddress, Receipt, addresses, all, answered_another, custom_attributes,
    exactly_one,
};
use crate::exchange::Gateway;
use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::wire::{Answer, Cmdlet, Effect, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, Nickname, ObjectId, OneTimeName, SmtpAddress};

/// A row of Get-Mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    pub guid: MailboxGuid,
    pub object_id: Option<ObjectId>,
    pub display_name: String,
    pub alias: String,
    pub primary: SmtpAddress,
    pub user_principal_name: String,
    /// `RecipientTypeDetails`: `SharedMailbox`, `UserMailbox`, ….
    pub kind: String,
    pub addresses: Vec<ProxyAddress>,
    /// True when sign-in is blocked, according to Exchange.
    pub account_disabled: bool,
    /// `GrantSendOnBehalfTo` as it is: object ids of newer recipients, names of older ones.
    pub on_behalf: Vec<String>,
    /// CustomAttribute1 to 15.
    pub custom_attributes: [String; 15],
    /// True when the object is mastered in an on-premises directory.
    pub is_dir_synced: bool,
    pub hidden_from_address_lists: bool,
    /// True when a licence is assigned; None when the row does not tell.
    pub sku_assigned: Option<bool>,
    /// Where mail is forwarded to: an address, or the name of a recipient.
    pub forwarding: Option<String>,
}

const MAILBOX_PROPERTIES: &[&str] = with_custom_attributes![
    "ExchangeGuid",
    "ExternalDirectoryObjectId",
    "DisplayName",
    "Alias",
    "PrimarySmtpAddress",
    "UserPrincipalName",
    "RecipientTypeDetails",
    "EmailAddresses",
    "AccountDisabled",
    "GrantSendOnBehalfTo",
    "IsDirSynced",
    "HiddenFromAddressListsEnabled",
    "SKUAssigned",
    "ForwardingAddress",
    "ForwardingSmtpAddress",
];

impl MailboxRow {
    fn read(row: Row<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            guid: row.required("ExchangeGuid")?,
            object_id: row.optional("ExternalDirectoryObjectId"),
            display_name: row.text("DisplayName")?,
            alias: row.text("Alias")?,
            primary: row.required("PrimarySmtpAddress")?,
            user_principal_name: row.text("UserPrincipalName")?,
            kind: row.required("RecipientTypeDetails")?,
            addresses: addresses(row)?,
            account_disabled: row.flag("AccountDisabled")?,
            on_behalf: row.texts("GrantSendOnBehalfTo")?,
            custom_attributes: custom_attributes(row)?,
            is_dir_synced: row.optional_flag("IsDirSynced").unwrap_or(false),
            hidden_from_address_lists: row
                .optional_flag("HiddenFromAddressListsEnabled")
                .unwrap_or(false),
            sku_assigned: row.optional_flag("SKUAssigned"),
            // When both are set Exchange ignores the second.
            forwarding: row
                .optional_text("ForwardingAddress")
                .or_else(|| row.optional_text("ForwardingSmtpAddress"))
                .map(|text| text.trim_start_matches("smtp:").to_owned()),
        })
    }

    /// The primary address and all aliases; entries of other kinds are left out.
    pub fn smtp_addresses(&self) -> impl Iterator<Item = SmtpAddress> {
        self.addresses.iter().filter_map(ProxyAddress::smtp)
    }

    /// CustomAttribute`number`, 1 to 15; empty for any other number.
    pub fn custom_attribute(&self, number: u8) -> &str {
        usize::from(number)
            .checked_sub(1)
            .and_then(|at| self.custom_attributes.get(at))
            .map_or("", String::as_str)
    }
}

/// A shared mailbox to create. New-Mailbox can set neither the marker nor the sign-in block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMailbox {
    /// Unique in the tenant, 64 characters at most; newer tenants replace it by the object id.
    pub name: String,
    pub display_name: OneTimeName,
    pub alias: Nickname,
    pub primary: SmtpAddress,
}

/// What New-Mailbox made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedMailbox {
    pub guid: MailboxGuid,
    pub object_id: ObjectId,
}

impl CreatedMailbox {
    /// None unless the answer is one row that carries the one-time name and both ids.
    fn shown_by(answer: &Answer, display_name: &OneTimeName) -> Option<Self> {
        let [row] = answer.rows.as_slice() else {
            return None;
        };
        let row = Row(row);
        if row.optional_text("DisplayName") != Some(display_name.as_str()) {
            return None;
        }
        Some(Self {
            guid: row.optional("ExchangeGuid")?,
            object_id: row.optional("ExternalDirectoryObjectId")?,
        })
    }
}

/// Everything that one Set-Mailbox is to change; what is None or empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailboxChange {
    /// The number of the custom attribute, 1 to 15, and its text.
    pub marker: Option<(u8, String)>,
    pub account_disabled: Option<bool>,
    pub display_name: Option<String>,
    pub alias: Option<Nickname>,
    /// `WindowsEmailAddress`, which sets the primary address in the cloud; the old one stays as an alias.
    pub primary: Option<SmtpAddress>,
    pub add_addresses: Vec<SmtpAddress>,
    pub remove_addresses: Vec<SmtpAddress>,
    pub add_on_behalf: Vec<ObjectId>,
    pub remove_on_behalf: Vec<ObjectId>,
}

impl MailboxChange {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn cmdlet(&self, id: MailboxGuid) -> Result<Cmdlet, ExchangeError> {
        let Self {
            marker,
            account_disabled,
            display_name,
            alias,
            primary,
            add_addresses,
            remove_addresses,
            add_on_behalf,
            remove_on_behalf,
        } = self;
        let mut cmdlet = Cmdlet::new(SET_MAILBOX, Effect::Repeatable).with("Identity", id.to_string());
        if let Some((number, text)) = marker {
            let name = usize::from(*number)
                .checked_sub(1)
                .and_then(|at| CUSTOM_ATTRIBUTES.get(at))
                .ok_or_else(|| {
                    let message = format!("there is no custom attribute {number}");
                    ExchangeError::new(ErrorClass::Invalid, Stage::Exchange, SET_MAILBOX, message)
                })?;
            cmdlet = cmdlet.with(name, text.as_str());
        }
        if let Some(disabled) = account_disabled {
            cmdlet = cmdlet.with("AccountDisabled", *disabled);
        }
        if let Some(name) = display_name {
            cmdlet = cmdlet.with("DisplayName", name.as_str());
        }
        if let Some(alias) = alias {
            cmdlet = cmdlet.with("Alias", alias.as_str());
        }
        if let Some(primary) = primary {
            cmdlet = cmdlet.with("WindowsEmailAddress", primary.as_str());
        }
        let proxies = |addresses: &[SmtpAddress]| -> Vec<String> {
            let proxies = addresses.iter().map(|address| format!("smtp:{address}"));
            proxies.collect()
        };
        let ids = |ids: &[ObjectId]| -> Vec<String> { ids.iter().map(ObjectId::to_string).collect() };
        Ok(cmdlet
            .with_list_change(
                "EmailAddresses",
                &proxies(add_addresses),
                &proxies(remove_addresses),
            )
            .with_list_change("GrantSendOnBehalfTo", &ids(add_on_behalf), &ids(remove_on_behalf)))
    }
}

const GET_MAILBOX: &str = "Get-Mailbox";
const SET_MAILBOX: &str = "Set-Mailbox";
const NEW_MAILBOX: &str = "New-Mailbox";

impl Gateway {
    /// The mailbox with this GUID. An answer that shows another one is an error, as is one that lacks a property
    /// that anything would be concluded from.
    pub async fn mailbox(&self, lane: Lane, id: MailboxGuid) -> Result<MailboxRow, ExchangeError> {
        let cmdlet = Cmdlet::read(GET_MAILBOX, MAILBOX_PROPERTIES).with("Identity", id.to_string());
        let answer = self.call(lane, cmdlet).await?;
        // A GUID names one mailbox; several rows mean that the identity was not understood.
        if answer.rows.len() > 1 {
            return Err(answered_another(GET_MAILBOX, "mailbox"));
        }
        let row = exactly_one(GET_MAILBOX, all(GET_MAILBOX, &answer, MailboxRow::read)?)?;
        if row.guid == id {
            Ok(row)
        } else {
            Err(answered_another(GET_MAILBOX, "mailbox"))
        }
    }

    /// Creates a shared mailbox; always sent alone and never twice.
    ///
    /// `Ambiguous` when nobody knows whether it was executed: a lost answer, a timeout, a fault on the server, or
    /// an answer that does not show the mailbox asked for. `Conflict` when a name or address is taken.
    pub async fn create_shared_mailbox(
        &self,
        lane: Lane,
        new: &NewMailbox,
    ) -> Result<CreatedMailbox, ExchangeError> {
        let NewMailbox {
            name,
            display_name,
            alias,
            primary,
        } = new;
        let cmdlet = Cmdlet::new(NEW_MAILBOX, Effect::Create)
            .with("Name", name.as_str())
            .with("DisplayName", display_name.as_str())
            .with("Alias", alias.as_str())
            .with("PrimarySmtpAddress", primary.as_str())
            .with("Shared", true);
        let answer = self.call(lane, cmdlet).await?;
        CreatedMailbox::shown_by(&answer, display_name).ok_or_else(|| {
            ExchangeError::new(
                ErrorClass::Ambiguous,
                Stage::Exchange,
                NEW_MAILBOX,
                "the service reports success and does not show the new mailbox",
            )
        })
    }

    /// One Set-Mailbox. An empty change makes no call.
    pub async fn set_mailbox(
        &self,
        lane: Lane,
        id: MailboxGuid,
        change: &MailboxChange,
    ) -> Result<Receipt, ExchangeError> {
        if change.is_empty() {
            return Ok(Receipt::default());
        }
        let cmdlet = change.cmdlet(id)?;
        Ok(self.call(lane, cmdlet).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::exchange::testing::{Call, Reaction, Tenant};

    const GUID: &str = "0a0a0a0a-1111-2222-3333-444444444444";
    const OBJECT: &str = "66666666-7777-8888-9999-aaaaaaaaaaaa";

    fn guid() -> MailboxGuid {
        GUID.parse().unwrap()
    }

    /// A row as the service writes it, side-keys included.
    fn row() -> Value {
        let mut row = json!({
            "ExchangeGuid": GUID, "ExchangeGuid@odata.type": "#Guid", "ExchangeGuid@data.type": "System.Guid",
            "ExternalDirectoryObjectId": OBJECT, "DisplayName": "Sales", "Alias": "sales",
            "PrimarySmtpAddress": "Sales@contoso.com", "UserPrincipalName": "sales@contoso.com",
            "RecipientTypeDetails": "SharedMailbox",
            "EmailAddresses": ["SMTP:Sales@contoso.com", "smtp:info@contoso.com", "SPO:SPO_1@SPO_2", "X500:/o=x"],
            "EmailAddresses@odata.type": "#Collection(String)",
            "AccountDisabled": true, "GrantSendOnBehalfTo": [OBJECT, "Old Name"],
            "IsDirSynced": false, "HiddenFromAddressListsEnabled": true, "SKUAssigned": null,
        });
        for name in CUSTOM_ATTRIBUTES {
            row[*name] = json!("");
        }
        row["CustomAttribute15"] = json!("Managed by …");
        row
    }

    fn answering(rows: Value) -> Tenant {
        Tenant::new(move |call: &Call| {
            if call.name == "token" {
                Tenant::default_reaction(call)
            } else {
                Reaction::rows(&rows)
            }
        })
    }

    async fn read(rows: Value) -> Result<MailboxRow, ExchangeError> {
        answering(rows).gateway().mailbox(Lane::Edit, guid()).await
    }

    async fn sent(change: &MailboxChange) -> Value {
        let tenant = answering(json!([]));
        tenant
            .gateway()
            .set_mailbox(Lane::Edit, guid(), change)
            .await
            .unwrap();
        tenant.requests()[0].calls[0].parameters.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_mailbox_is_read_by_guid() {
        let tenant = answering(json!([row()]));
        let mailbox = tenant.gateway().mailbox(Lane::Edit, guid()).await.unwrap();
        assert_eq!(mailbox.guid, guid());
        assert_eq!(mailbox.primary.as_str(), "sales@contoso.com");
        assert_eq!(
            mailbox
                .smtp_addresses()
                .map(|address| address.to_string())
                .collect::<Vec<_>>(),
            ["sales@contoso.com", "info@contoso.com"]
        );
        assert!(mailbox.account_disabled && mailbox.hidden_from_address_lists && !mailbox.is_dir_synced);
        assert_eq!(mailbox.on_behalf, [OBJECT, "Old Name"]);
        assert_eq!(
            (mailbox.custom_attribute(15), mailbox.custom_attribute(1)),
            ("Managed by …", "")
        );
        assert_eq!(
            (mailbox.custom_attribute(0), mailbox.custom_attribute(16)),
            ("", "")
        );
        assert_eq!(mailbox.sku_assigned, None);
        let call = &tenant.requests()[0].calls[0];
        assert_eq!(call.parameters, json!({"Identity": GUID}));
        assert!(call.url.ends_with(",CustomAttribute15"), "{}", call.url);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_that_mailbox_is_an_error() {
        let mut other = row();
        other["ExchangeGuid"] = json!("0b0b0b0b-1111-2222-3333-444444444444");
        let error = read(json!([other])).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert!(error.message.contains("another mailbox"), "{error}");
        let error = read(json!([row(), other])).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "all mailboxes instead of one");
        assert_eq!(read(json!([])).await.unwrap_err().class, ErrorClass::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_lacks_what_is_decided_on_is_an_error() {
        for property in [
            "ExchangeGuid",
            "AccountDisabled",
            "EmailAddresses",
            "GrantSendOnBehalfTo",
            "CustomAttribute15",
        ] {
            let mut row = row();
            row.as_object_mut().unwrap().remove(property);
            let error = read(json!([row])).await.unwrap_err();
            assert_eq!(error.class, ErrorClass::Transient, "{property}");
            assert!(error.message.contains(property), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_set_mailbox_carries_every_change() {
        let member: ObjectId = OBJECT.parse().unwrap();
        let change = MailboxChange {
            marker: Some((15, "Managed by …".to_owned())),
            account_disabled: Some(true),
            display_name: Some("Sales".to_owned()),
            alias: Some("sales".parse().unwrap()),
            primary: Some("sales@contoso.com".parse().unwrap()),
            add_addresses: vec!["info@contoso.com".parse().unwrap()],
            remove_addresses: vec!["old@contoso.com".parse().unwrap()],
            add_on_behalf: vec![member],
            remove_on_behalf: vec![],
        };
        assert_eq!(
            sent(&change).await,
            json!({
                "Identity": GUID, "CustomAttribute15": "Managed by …", "AccountDisabled": true, "DisplayName": "Sales",
                "Alias": "sales", "WindowsEmailAddress": "sales@contoso.com",
                "EmailAddresses": {"@odata.type": "#Exchange.GenericHashTable",
                    "Add": ["smtp:info@contoso.com"], "Remove": ["smtp:old@contoso.com"]},
                "GrantSendOnBehalfTo": {"@odata.type": "#Exchange.GenericHashTable", "Add": [OBJECT]},
            })
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_change_is_not_sent() {
        let block = MailboxChange {
            account_disabled: Some(true),
            ..MailboxChange::default()
        };
        assert_eq!(
            sent(&block).await,
            json!({"Identity": GUID, "AccountDisabled": true})
        );
        let tenant = answering(json!([]));
        let nothing = MailboxChange::default();
        assert!(nothing.is_empty());
        tenant
            .gateway()
            .set_mailbox(Lane::Edit, guid(), &nothing)
            .await
            .unwrap();
        assert!(tenant.requests().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_marker_attribute_that_does_not_exist_is_refused_before_any_call() {
        for number in [0, 16] {
            let tenant = answering(json!([]));
            let change = MailboxChange {
                marker: Some((number, "x".to_owned())),
                ..MailboxChange::default()
            };
            let error = tenant
                .gateway()
                .set_mailbox(Lane::Edit, guid(), &change)
                .await
                .unwrap_err();
            assert_eq!(error.class, ErrorClass::Invalid);
            assert!(tenant.requests().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_created_mailbox_is_the_one_with_the_one_time_name() {
        let name = OneTimeName::from_random_bits(7);
        let new = NewMailbox {
            name: "smo-sales".to_owned(),
            display_name: name.clone(),
            alias: "sales".parse().unwrap(),
            primary: "sales@contoso.com".parse().unwrap(),
        };
        let mut made = row();
        made["DisplayName"] = json!(name.as_str());
        let tenant = answering(json!([made]));
        let created = tenant
            .gateway()
            .create_shared_mailbox(Lane::Edit, &new)
            .await
            .unwrap();
        assert_eq!(
            (created.guid, created.object_id.to_string().as_str()),
            (guid(), OBJECT)
        );
        assert_eq!(
            tenant.requests()[0].calls[0].parameters,
            json!({"Name": "smo-sales", "DisplayName": name.as_str(), "Alias": "sales",
                "PrimarySmtpAddress": "sales@contoso.com", "Shared": true})
        );
        let mut nil = made.clone();
        nil["ExchangeGuid"] = json!("00000000-0000-0000-0000-000000000000");
        for rows in [json!([]), json!([row()]), json!([made, made]), json!([nil])] {
            let error = answering(rows.clone())
                .gateway()
                .create_shared_mailbox(Lane::Edit, &new)
                .await
                .unwrap_err();
            assert_eq!(error.class, ErrorClass::Ambiguous, "{rows}");
        }
    }
}
