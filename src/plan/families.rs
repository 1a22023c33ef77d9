//! The table of settings: which field of a manifest wishes what, and by which call it is written.
//!
//! A **family** is what Exchange refuses, what somebody else contests, and what is counted and reported together. One
//! more setting is a field of the CRD, an entry here, and a row in the simulated tenant's table.
//!
//! Marker, sign-in, addresses and Send on Behalf have protocols of their own and are not in it.

use std::time::Duration;

use crate::api::{Power, Quota, SharedMailboxSpec, SmtpAuth};
use crate::setting::{Call, Kind, Property, Source, Value, Values};

/// One or more settings that belong together.
#[derive(Debug)]
pub struct Family {
    /// The path in the manifest: for people, logs and metrics. Never renamed.
    pub name: &'static str,
    pub call: Call,
    pub company: Company,
    pub properties: &'static [Property],
    /// What the manifest wishes; empty: the family is not managed. `Err`: a value that can't be understood, and why.
    pub declared: fn(&SharedMailboxSpec) -> Result<Values, String>,
    /// What the wish needs beside the role of the app.
    pub needs: fn(&Move<'_>) -> Vec<Need>,
    /// Whether Exchange can take it, judged on what would hold afterwards.
    pub check: fn(&Move<'_>) -> Result<(), String>,
    /// How long Exchange may show an acknowledged value in another form, or not at all, before that counts as its answer.
    pub patience: Duration,
}

/// With what a family is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// In one call with marker, sign-in block and addresses.
    Together,
    /// In a call of its own: the service checks something outside the mailbox, such as a licence.
    Alone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// An access rule has to give this power to the namespace.
    Power(Power),
    /// Only told: the service's own check decides.
    Licence(Feature),
}

/// What a licence on the mailbox's own account gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// More than 50 GB.
    LargeMailbox,
}

/// What is shown of a family and what is wished.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    pub shown: &'a Values,
    pub wish: &'a Values,
}

impl Family {
    const PLAIN: Self = Self {
        name: "",
        call: Call::Mailbox,
        company: Company::Together,
        properties: &[],
        declared: |_| Ok(Values::of([])),
        needs: |_| Vec::new(),
        check: |_| Ok(()),
        patience: Duration::from_mins(5),
    };

    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name)
    }
}

/// The properties of these families that `source` shows.
pub fn shown_by<'a>(
    source: Source,
    families: impl IntoIterator<Item = &'a &'static str>,
) -> Vec<&'static Property> {
    let of_source = |family: &&'static Family| family.call.shown_by() == source;
    let families = families.into_iter().filter_map(|name| Family::named(name));
    families
        .filter(of_source)
        .flat_map(|family| family.properties)
        .collect()
}

const WARNING: &str = "IssueWarningQuota";
const SEND: &str = "ProhibitSendQuota";
const RECEIVE: &str = "ProhibitSendReceiveQuota";
const NO_SMTP_AUTH: &str = "SmtpClientAuthenticationDisabled";

/// Above this size a mailbox needs a licence of its own (Exchange Online limits, storage limits of shared mailboxes).
const UNLICENSED: u64 = 50 << 30;

pub static FAMILIES: &[Family] = &[
    Family {
        name: "displayName",
        properties: &[Property::new("displayName", "DisplayName", Kind::Text)],
        declared: |spec| {
            Ok(Values::of([(
                "DisplayName",
                Some(Value::text(&spec.display_name)),
            )]))
        },
        ..Family::PLAIN
    },
    Family {
        name: "alias",
        properties: &[Property::new("alias", "Alias", Kind::Name)],
        declared: |spec| Ok(Values::of([("Alias", spec.alias.as_deref().map(Value::name))])),
        ..Family::PLAIN
    },
    Family {
        name: "hiddenFromAddressLists",
        properties: &[Property::new(
            "hiddenFromAddressLists",
            "HiddenFromAddressListsEnabled",
            Kind::Flag,
        )],
        declared: |spec| {
            let hidden = spec.hidden_from_address_lists.map(Value::Flag);
            Ok(Values::of([("HiddenFromAddressListsEnabled", hidden)]))
        },
        ..Family::PLAIN
    },
    Family {
        name: "mailTip",
        properties: &[Property::new("mailTip", "MailTip", Kind::MailTip)],
        declared: |spec| {
            let text = spec.mail_tip.as_deref();
            // Exchange keeps it as HTML, which has no way to write most of them.
            if text.is_some_and(|text| text.chars().any(char::is_control)) {
                return Err("spec.mailTip must be one line without control characters".to_owned());
            }
            Ok(Values::of([("MailTip", text.map(Value::words))]))
        },
        ..Family::PLAIN
    },
    Family {
        name: "sentItems",
        properties: &[Property::new(
            "sentItems.copySentAs",
            "MessageCopyForSentAsEnabled",
            Kind::Flag,
        )],
        declared: |spec| {
            let copy = spec.sent_items.copy_sent_as.map(Value::Flag);
            Ok(Values::of([("MessageCopyForSentAsEnabled", copy)]))
        },
        ..Family::PLAIN
    },
    Family {
        name: "quota",
        company: Company::Alone,
        properties: &[
            Property::new("quota.warning", WARNING, Kind::Size),
            Property::new("quota.prohibitSend", SEND, Kind::Size),
            Property::new("quota.prohibitSendReceive", RECEIVE, Kind::Size),
        ],
        declared: |spec| {
            let Quota {
                warning,
                prohibit_send,
                prohibit_send_receive,
            } = &spec.quota;
            Ok(Values::of([
                (WARNING, size("quota.warning", warning.as_deref())?),
                (SEND, size("quota.prohibitSend", prohibit_send.as_deref())?),
                (
                    RECEIVE,
                    size("quota.prohibitSendReceive", prohibit_send_receive.as_deref())?,
                ),
            ]))
        },
        needs: |step| {
            let bytes = |values: &Values| values.get(RECEIVE).and_then(Value::bound);
            let is_raised = bytes(step.wish) > bytes(step.shown) && bytes(step.wish) > Some(UNLICENSED);
            if is_raised {
                vec![Need::Licence(Feature::LargeMailbox)]
            } else {
                Vec::new()
            }
        },
        check: |step| {
            let merged = step.wish.over(step.shown);
            let bytes = |name| merged.get(name).and_then(Value::bound);
            // A size that is not shown is the service's to judge.
            let is_above =
                |name| matches!((bytes(name), bytes(RECEIVE)), (Some(size), Some(most)) if size > most);
            if is_above(WARNING) || is_above(SEND) {
                return Err(
                    "quota.warning and quota.prohibitSend must not be above quota.prohibitSendReceive; a size that is \
                     left out counts as the mailbox has it"
                        .to_owned(),
                );
            }
            Ok(())
        },
        ..Family::PLAIN
    },
    Family {
        name: "clientAccess.smtpAuth",
        call: Call::Cas,
        properties: &[Property::new(
            "clientAccess.smtpAuth",
            NO_SMTP_AUTH,
            Kind::BlockedOrDefault,
        )],
        declared: |spec| {
            let disabled = spec.client_access.smtp_auth.map(|wish| match wish {
                SmtpAuth::Allowed => Value::Flag(false),
                SmtpAuth::Blocked => Value::Flag(true),
                // Null is a value here: as the organisation has it.
                SmtpAuth::TenantDefault => Value::Nothing,
            });
            Ok(Values::of([(NO_SMTP_AUTH, disabled)]))
        },
        needs: |step| match step.wish.get(NO_SMTP_AUTH) {
            Some(Value::Flag(false)) => vec![Need::Power(Power::LegacyProtocols)],
            _ => Vec::new(),
        },
        ..Family::PLAIN
    },
];

fn size(field: &str, text: Option<&str>) -> Result<Option<Value>, String> {
    let parse = |text: &str| {
        Value::size(text).ok_or_else(|| format!("spec.{field}: {text:?} is not a size such as 49Gi"))
    };
    text.map(parse).transpose()
}
