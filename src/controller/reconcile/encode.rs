//! Changes of a mailbox as parameters of one call.

use crate::exchange::Parameters;
use crate::plan::Change;

/// The parameters that bring all of `changes` about. What no such call can do is left out: a plan has it as a step of
/// its own.
pub(super) fn parameters(changes: &[Change]) -> Parameters {
    let mut parameters = Parameters::default();
    for change in changes {
        match change {
            Change::Marker { attribute, text } if text.is_empty() => {
                parameters.set(&format!("CustomAttribute{attribute}"), serde_json::Value::Null);
            }
            Change::Marker { attribute, text } => {
                parameters.set(&format!("CustomAttribute{attribute}"), text.as_str());
            }
            Change::SignIn { allowed, through: _ } => parameters.set("AccountDisabled", !allowed),
            // Sets the primary address in the cloud; the old one stays as an alias.
            Change::Primary(address) => parameters.set("WindowsEmailAddress", address.as_str()),
            Change::AddressAdded(address) => parameters.add("EmailAddresses", format!("smtp:{address}")),
            Change::AddressRemoved(address) => parameters.remove("EmailAddresses", format!("smtp:{address}")),
            // A plan has only Send on Behalf among the changes of the mailbox itself.
            Change::Granted(id, _) => parameters.add("GrantSendOnBehalfTo", id.to_string()),
            Change::Revoked(id, _) => parameters.remove("GrantSendOnBehalfTo", id.to_string()),
            Change::Set { property, to, .. } => {
                if let Some(value) = property.kind.write(to) {
                    parameters.set(property.parameter, value);
                }
            }
            Change::Evicted(..) | Change::Remapped(..) | Change::AutoMappingCleared | Change::SignedOut => {}
        }
    }
    parameters
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::SignInControl;
    use crate::mail::{ObjectId, Right};
    use crate::plan::Family;
    use crate::setting::Value;

    #[test]
    fn one_call_carries_every_change() {
        let member: ObjectId = "66666666-7777-8888-9999-aaaaaaaaaaaa".parse().unwrap();
        let address = |text: &str| text.parse().unwrap();
        let set = |family: &'static str, to| Change::Set {
            family,
            property: Family::named(family).unwrap().properties[0],
            to,
        };
        let changes = [
            Change::Marker {
                attribute: 15,
                text: "Managed by …".to_owned(),
            },
            Change::SignIn {
                allowed: false,
                through: SignInControl::Exchange,
            },
            Change::Primary(address("sales@contoso.com")),
            Change::AddressAdded(address("info@contoso.com")),
            Change::AddressRemoved(address("old@contoso.com")),
            Change::Granted(member, Right::SendOnBehalf),
            set("displayName", Value::text("Sales")),
            set("mailTip", Value::Nothing),
            set("quota", Value::Bytes(49 << 30)),
        ];
        assert_eq!(
            parameters(&changes).to_json(),
            json!({
                "CustomAttribute15": "Managed by …", "AccountDisabled": true, "DisplayName": "Sales",
                "WindowsEmailAddress": "sales@contoso.com", "MailTip": null, "IssueWarningQuota": "49GB",
                "EmailAddresses": {"@odata.type": "#Exchange.GenericHashTable",
                    "Add": ["smtp:info@contoso.com"], "Remove": ["smtp:old@contoso.com"]},
                "GrantSendOnBehalfTo": {"@odata.type": "#Exchange.GenericHashTable",
                    "Add": ["66666666-7777-8888-9999-aaaaaaaaaaaa"]},
            })
        );
    }
}
