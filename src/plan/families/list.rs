//! All families.

use std::collections::BTreeMap;

use super::family::Family;
use super::{
    appearance, archive, automatic_replies, client_access, custom_attributes, delivery, forwarding, quota,
    regional, retention,
};
use crate::api::{Delivery, MailboxDefaults, SharedMailboxSpec};
use crate::setting::{Property, Source, Values};

impl Family {
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name)
    }
}

/// What a tenant's defaults wish, by family.
pub fn of_defaults(defaults: &MailboxDefaults) -> BTreeMap<&'static str, Values> {
    let MailboxDefaults { plain, delivery } = defaults.clone();
    let spec = SharedMailboxSpec {
        plain,
        delivery: Delivery {
            limits: delivery,
            ..Delivery::default()
        },
        ..SharedMailboxSpec::default()
    };
    // Every mailbox has a name of its own.
    let families = FAMILIES.iter().filter(|family| family.name != "displayName");
    let wishes = families.filter_map(|family| Some((family.name, (family.declared)(&spec).ok()?)));
    wishes.filter(|(_, wish)| !wish.is_empty()).collect()
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

pub static FAMILIES: &[Family] = &[
    appearance::DISPLAY_NAME,
    appearance::ALIAS,
    appearance::HIDDEN_FROM_ADDRESS_LISTS,
    appearance::MAIL_TIP,
    appearance::SENT_ITEMS,
    custom_attributes::CUSTOM_ATTRIBUTES,
    retention::DELETED_ITEM_RETENTION,
    retention::SINGLE_ITEM_RECOVERY,
    delivery::REQUIRE_SENDER_AUTHENTICATION,
    delivery::MAX_SEND_SIZE,
    delivery::MAX_RECEIVE_SIZE,
    delivery::RECIPIENT_LIMIT,
    delivery::ACCEPT_FROM,
    delivery::REJECT_FROM,
    forwarding::FORWARDING,
    quota::QUOTA,
    retention::LITIGATION_HOLD,
    retention::RETENTION_POLICY,
    archive::ARCHIVING,
    client_access::OUTLOOK_WEB,
    client_access::MAPI,
    client_access::EWS,
    client_access::ACTIVE_SYNC,
    client_access::IMAP,
    client_access::POP,
    client_access::SMTP_AUTH,
    client_access::NEW_OUTLOOK,
    client_access::OUTLOOK_MOBILE,
    client_access::OUTLOOK_MAC,
    regional::REGIONAL,
    automatic_replies::AUTOMATIC_REPLIES,
];
