//! What programs may use to reach the mailbox.

use super::family::{Family, Move, Need};
use crate::api::{Power, SmtpAuth};
use crate::setting::{Call, Kind, Property, Value, Values};

pub const OUTLOOK_WEB: Family = flag!(
    "clientAccess.outlookWeb", Cas "OWAEnabled", usually true, |spec| spec.plain.client_access.outlook_web
);
pub const MAPI: Family = flag!(
    "clientAccess.mapi", Cas "MAPIEnabled", usually true, |spec| spec.plain.client_access.mapi
);
pub const EWS: Family = flag!(
    "clientAccess.ews", Cas "EwsEnabled", usually true, |spec| spec.plain.client_access.ews
);
pub const ACTIVE_SYNC: Family = flag!(
    "clientAccess.activeSync", Cas "ActiveSyncEnabled", usually true, |spec| spec.plain.client_access.active_sync
);
pub const IMAP: Family = Family {
    demands: "`true`: power `LegacyProtocols`",
    needs: legacy_if_on,
    ..flag!("clientAccess.imap", Cas "ImapEnabled", usually true, |spec| spec.plain.client_access.imap)
};
pub const POP: Family = Family {
    demands: "`true`: power `LegacyProtocols`",
    needs: legacy_if_on,
    ..flag!("clientAccess.pop", Cas "PopEnabled", usually true, |spec| spec.plain.client_access.pop)
};
pub const NEW_OUTLOOK: Family = flag!(
    "clientAccess.newOutlook", Cas "OneWinNativeOutlookEnabled", usually true, |spec| spec.plain.client_access.new_outlook
);
pub const OUTLOOK_MOBILE: Family = flag!(
    "clientAccess.outlookMobile", Cas "OutlookMobileEnabled", usually true, |spec| spec.plain.client_access.outlook_mobile
);
pub const OUTLOOK_MAC: Family = flag!(
    "clientAccess.outlookMac", Cas "MacOutlookEnabled", usually true, |spec| spec.plain.client_access.outlook_mac
);

/// Programs that use it sign in with a password.
fn legacy_if_on(step: &Move<'_>) -> Vec<Need> {
    let is_on = step.wish.iter().any(|(_, value)| *value == Value::Flag(true));
    if is_on {
        vec![Need::Power(Power::LegacyProtocols)]
    } else {
        Vec::new()
    }
}

const NO_SMTP_AUTH: &str = "SmtpClientAuthenticationDisabled";

pub const SMTP_AUTH: Family = Family {
    name: "clientAccess.smtpAuth",
    call: Call::Cas,
    properties: &[
        Property::new("clientAccess.smtpAuth", NO_SMTP_AUTH, Kind::BlockedOrDefault).off("TenantDefault"),
    ],
    declared: |spec| {
        let disabled = spec.plain.client_access.smtp_auth.map(|wish| match wish {
            SmtpAuth::Allowed => Value::Flag(false),
            SmtpAuth::Blocked => Value::Flag(true),
            // Null is a value here: as the organisation has it.
            SmtpAuth::TenantDefault => Value::Nothing,
        });
        Ok(Values::of([(NO_SMTP_AUTH, disabled)]))
    },
    demands: "`Allowed`: power `LegacyProtocols`",
    needs: |step| match step.wish.get(NO_SMTP_AUTH) {
        Some(Value::Flag(false)) => vec![Need::Power(Power::LegacyProtocols)],
        _ => Vec::new(),
    },
    ..Family::PLAIN
};
