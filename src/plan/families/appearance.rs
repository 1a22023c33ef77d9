//! How the mailbox appears to others, and where copies of what it sends are kept.

use super::family::Family;
use crate::api::SentItems;
use crate::setting::{Call, Kind, Property, Value, Values};

pub const DISPLAY_NAME: Family = Family {
    name: "displayName",
    properties: &[Property::new("displayName", "DisplayName", Kind::Text)],
    declared: |spec| {
        Ok(Values::of([(
            "DisplayName",
            Some(Value::text(&spec.display_name)),
        )]))
    },
    ..Family::PLAIN
};

pub const ALIAS: Family = Family {
    name: "alias",
    properties: &[Property::new("alias", "Alias", Kind::Name)],
    declared: |spec| Ok(Values::of([("Alias", spec.alias.as_deref().map(Value::name))])),
    ..Family::PLAIN
};

pub const HIDDEN_FROM_ADDRESS_LISTS: Family = flag!(
    "hiddenFromAddressLists",
    Mailbox "HiddenFromAddressListsEnabled", usually false,
    |spec| spec.plain.hidden_from_address_lists
);

pub const MAIL_TIP: Family = Family {
    name: "mailTip",
    properties: &[Property::new("mailTip", "MailTip", Kind::MailTip).off("\"\"")],
    declared: |spec| {
        let text = spec.plain.mail_tip.as_deref();
        // Exchange keeps it as HTML, which has no way to write most of them.
        if text.is_some_and(|text| text.chars().any(char::is_control)) {
            return Err("spec.mailTip must be one line without control characters".to_owned());
        }
        Ok(Values::of([("MailTip", text.map(Value::words))]))
    },
    ..Family::PLAIN
};

const SENT_AS: &str = "MessageCopyForSentAsEnabled";
const SENT_ON_BEHALF: &str = "MessageCopyForSendOnBehalfEnabled";
const SMTP_SUBMISSION: &str = "MessageCopyForSMTPClientSubmissionEnabled";

pub const SENT_ITEMS: Family = Family {
    name: "sentItems",
    properties: &[
        Property::new("sentItems.copySentAs", SENT_AS, Kind::Flag).off("false"),
        Property::new("sentItems.copySentOnBehalf", SENT_ON_BEHALF, Kind::Flag).off("false"),
        Property::new("sentItems.copySmtpSubmission", SMTP_SUBMISSION, Kind::Flag).off("true"),
    ],
    declared: |spec| {
        let SentItems {
            copy_sent_as,
            copy_sent_on_behalf,
            copy_smtp_submission,
        } = spec.plain.sent_items;
        Ok(Values::of([
            (SENT_AS, copy_sent_as.map(Value::Flag)),
            (SENT_ON_BEHALF, copy_sent_on_behalf.map(Value::Flag)),
            (SMTP_SUBMISSION, copy_smtp_submission.map(Value::Flag)),
        ]))
    },
    ..Family::PLAIN
};
