//! One mailbox: reading, creating, changing it.

use super::{ProxyAddress, Receipt, addresses, all, answered_another, custom_attributes, exactly_one};
use crate::exchange::Gateway;
use crate::exchange::error::{ErrorClass, ExchangeError, Stage};
use crate::exchange::wire::{Answer, Cmdlet, Effect, Parameters, Row, Unreadable};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, Nickname, ObjectId, OneTimeName, SmtpAddress};
use crate::setting::{Call, Property, Source, Values};

/// A row of Get-Mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxRow {
    pub guid: MailboxGuid,
    pub object_id: Option<ObjectId>,
    pub display_name: String,
    /// `Alias`; empty where the row does not show it.
    pub nickname: String,
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
    /// True when it can be changed in an on-premises directory alone: it is synchronized, and what Exchange keeps of it was
    /// not handed over to the cloud.
    pub is_mastered_elsewhere: bool,
    pub hidden_from_address_lists: bool,
    /// True when a licence is assigned; None when the row does not say.
    pub sku_assigned: Option<bool>,
    /// Where mail is forwarded to: an address, or the name of a recipient.
    pub forwarding: Option<String>,
    /// The settings that were asked for; what is missing in the row is missing here.
    pub settings: Values,
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
    "IsExchangeCloudManaged",
    "HiddenFromAddressListsEnabled",
    "SKUAssigned",
    "ForwardingAddress",
    "ForwardingSmtpAddress",
];

impl MailboxRow {
    fn read(row: Row<'_>, settings: &[&Property]) -> Result<Self, Unreadable> {
        Ok(Self {
            settings: Values::read(settings.iter().copied(), row.0),
            guid: row.required("ExchangeGuid")?,
            object_id: row.optional("ExternalDirectoryObjectId"),
            display_name: row.text("DisplayName")?,
            nickname: row.optional_text("Alias").unwrap_or_default().to_owned(),
            primary: row.required("PrimarySmtpAddress")?,
            user_principal_name: row.text("UserPrincipalName")?,
            kind: row.required("RecipientTypeDetails")?,
            addresses: addresses(row)?,
            account_disabled: row.flag("AccountDisabled")?,
            on_behalf: row.texts("GrantSendOnBehalfTo")?,
            custom_attributes: custom_attributes(row)?,
            is_mastered_elsewhere: row.optional_flag("IsDirSynced") == Some(true)
                && row.optional_flag("IsExchangeCloudManaged") != Some(true),
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

    /// The primary address and all aliases; entries of other types are left out.
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

/// What New-Mailbox created.
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

/// What a cmdlet beside Get-Mailbox shows of a mailbox's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsRow {
    /// Whose row it is, where the cmdlet says so: none has an ExchangeGuid.
    pub object_id: Option<ObjectId>,
    pub settings: Values,
}

const GET_MAILBOX: &str = "Get-Mailbox";
const NEW_MAILBOX: &str = "New-Mailbox";

impl Gateway {
    /// The mailbox with this GUID, and those of its settings that are asked for. An answer that shows another mailbox is
    /// an error, as is one that lacks a property that anything would be concluded from.
    pub async fn mailbox(
        &self,
        lane: Lane,
        id: MailboxGuid,
        settings: &[&Property],
    ) -> Result<MailboxRow, ExchangeError> {
        let select = with_settings(MAILBOX_PROPERTIES, settings);
        let cmdlet = Cmdlet::read(GET_MAILBOX, &select).with("Identity", id.to_string());
        let answer = self.call(lane, cmdlet).await?;
        // A GUID names one mailbox; several rows mean that the identity was not understood.
        if answer.rows.len() > 1 {
            return Err(answered_another(GET_MAILBOX, "mailbox"));
        }
        let read = |row: Row<'_>| MailboxRow::read(row, settings);
        let row = exactly_one(GET_MAILBOX, all(GET_MAILBOX, &answer, read)?)?;
        if row.guid == id {
            Ok(row)
        } else {
            Err(answered_another(GET_MAILBOX, "mailbox"))
        }
    }

    /// The settings of a mailbox that a cmdlet beside Get-Mailbox shows. The caller has to check that the row is of the
    /// right account, where it says so.
    ///
    /// `NotFound` also for a mailbox that was created minutes ago.
    pub async fn settings(
        &self,
        lane: Lane,
        source: Source,
        id: MailboxGuid,
        settings: &[&Property],
    ) -> Result<SettingsRow, ExchangeError> {
        let name = source.cmdlet();
        let select = with_settings(source.owner().as_slice(), settings);
        let cmdlet = Cmdlet::read(name, &select).with("Identity", id.to_string());
        let answer = self.call(lane, cmdlet).await?;
        let read = |row: Row<'_>| {
            Ok(SettingsRow {
                object_id: source.owner().and_then(|owner| row.optional(owner)),
                settings: Values::read(settings.iter().copied(), row.0),
            })
        };
        exactly_one(name, all(name, &answer, read)?)
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

    /// One call that changes a mailbox. Without parameters nothing is sent.
    pub async fn change(
        &self,
        lane: Lane,
        call: Call,
        id: MailboxGuid,
        parameters: &Parameters,
    ) -> Result<Receipt, ExchangeError> {
        if parameters.is_empty() {
            return Ok(Receipt::default());
        }
        let cmdlet = Cmdlet::new(call.cmdlet(), Effect::Repeatable)
            .with("Identity", id.to_string())
            .with_all(parameters);
        Ok(self.call(lane, cmdlet).await?.into())
    }
}

fn with_settings(always: &[&'static str], settings: &[&Property]) -> Vec<&'static str> {
    let mut select = always.to_vec();
    for shown in settings.iter().filter_map(|property| property.shown_as) {
        if !select.contains(&shown) {
            select.push(shown);
        }
    }
    select
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::answer::CUSTOM_ATTRIBUTES;
    use super::*;
    use crate::exchange::testing::{Call as Sent, Reaction, Tenant};
    use crate::setting::Kind;

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
        Tenant::new(move |call: &Sent| {
            if call.name == "token" {
                Tenant::default_reaction(call)
            } else {
                Reaction::rows(&rows)
            }
        })
    }

    async fn read(rows: Value) -> Result<MailboxRow, ExchangeError> {
        answering(rows).gateway().mailbox(Lane::Edit, guid(), &[]).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_mailbox_is_read_by_guid() {
        let tenant = answering(json!([row()]));
        let hidden = Property::new("hidden", "HiddenFromAddressListsEnabled", Kind::Flag);
        let tip = Property::new("mailTip", "MailTip", Kind::MailTip);
        let mailbox = tenant
            .gateway()
            .mailbox(Lane::Edit, guid(), &[&hidden, &tip])
            .await
            .unwrap();
        assert_eq!(mailbox.guid, guid());
        let shown: Vec<_> = mailbox.settings.iter().map(|(name, _)| name).collect();
        assert_eq!(
            shown,
            ["HiddenFromAddressListsEnabled"],
            "what the row lacks is unread"
        );
        assert_eq!(mailbox.primary.as_str(), "sales@contoso.com");
        assert_eq!(
            mailbox
                .smtp_addresses()
                .map(|address| address.to_string())
                .collect::<Vec<_>>(),
            ["sales@contoso.com", "info@contoso.com"]
        );
        assert!(
            mailbox.account_disabled && mailbox.hidden_from_address_lists && !mailbox.is_mastered_elsewhere
        );
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
        assert!(call.url.ends_with(",CustomAttribute15,MailTip"), "{}", call.url);
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
    async fn one_call_carries_what_it_is_given_and_nothing_is_sent_without_parameters() {
        let tenant = answering(json!([]));
        let mut parameters = Parameters::default();
        let change = |parameters: Parameters| {
            let gateway = tenant.gateway();
            async move {
                gateway
                    .change(Lane::Edit, Call::Mailbox, guid(), &parameters)
                    .await
            }
        };
        change(parameters.clone()).await.unwrap();
        assert!(tenant.requests().is_empty());
        parameters.set("AccountDisabled", true);
        change(parameters).await.unwrap();
        let sent = &tenant.requests()[0].calls[0];
        assert_eq!(sent.name, "Set-Mailbox");
        assert_eq!(
            sent.parameters,
            json!({"Identity": GUID, "AccountDisabled": true})
        );
    }

    #[tokio::test(start_paused = true)]
    async fn protocols_are_read_with_the_account_that_they_belong_to() {
        let smtp = Property::new(
            "clientAccess.smtpAuth",
            "SmtpClientAuthenticationDisabled",
            Kind::BlockedOrDefault,
        );
        let rows = json!([{"ExternalDirectoryObjectId": OBJECT, "SmtpClientAuthenticationDisabled": null}]);
        let row = answering(rows)
            .gateway()
            .settings(Lane::Edit, Source::Cas, guid(), &[&smtp])
            .await
            .unwrap();
        assert_eq!(row.object_id.unwrap().to_string(), OBJECT);
        assert_eq!(row.settings.iter().count(), 1);
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
        let mut mailbox = row();
        mailbox["DisplayName"] = json!(name.as_str());
        let tenant = answering(json!([mailbox]));
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
        let mut nil = mailbox.clone();
        nil["ExchangeGuid"] = json!("00000000-0000-0000-0000-000000000000");
        for rows in [json!([]), json!([row()]), json!([mailbox, mailbox]), json!([nil])] {
            let error = answering(rows.clone())
                .gateway()
                .create_shared_mailbox(Lane::Edit, &new)
                .await
                .unwrap_err();
            assert_eq!(error.class, ErrorClass::Ambiguous, "{rows}");
        }
    }
}
