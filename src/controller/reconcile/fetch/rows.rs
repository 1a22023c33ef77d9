//! Rows of Exchange as values of the planner.

use std::collections::BTreeMap;

use crate::exchange::{FullAccessRow, MailboxRow, SendAsRow};
use crate::mail::{Right, Sid};
use crate::plan::{Account, Entry, Holders, Observed, OnBehalf, ShownSettings, UnreadReads};

pub fn full_access_entry(row: &FullAccessRow) -> Option<Entry> {
    let FullAccessRow {
        user,
        sid,
        rights,
        deny,
        inherited,
    } = row;
    let is_self = sid.as_ref().is_some_and(Sid::is_self);
    (!is_self && !inherited).then(|| Entry {
        sid: sid.clone(),
        shown: user.clone(),
        rights: rights.iter().cloned().collect(),
        denies: *deny,
    })
}

pub fn send_as_entry(row: &SendAsRow) -> Option<Entry> {
    let SendAsRow {
        trustee,
        sid,
        rights,
        allow,
        inherited,
    } = row;
    let is_self = sid.as_ref().is_some_and(Sid::is_self);
    (!is_self && !inherited).then(|| Entry {
        sid: sid.clone(),
        shown: trustee.clone(),
        rights: rights.iter().cloned().collect(),
        denies: !allow,
    })
}

pub fn full_access_holder(row: &FullAccessRow) -> Option<Sid> {
    holder_of(full_access_entry(row)?, Right::FullAccess)
}

pub fn send_as_holder(row: &SendAsRow) -> Option<Sid> {
    holder_of(send_as_entry(row)?, Right::SendAs)
}

fn holder_of(entry: Entry, right: Right) -> Option<Sid> {
    let allows = !entry.denies && entry.rights.contains(right.as_str());
    entry.sid.filter(|_| allows)
}

/// The mailbox itself, without what the other reads show.
pub fn plain(row: &MailboxRow, marker_attribute: u8) -> Observed {
    Observed {
        guid: row.guid,
        object_id: row.object_id,
        display_name: row.display_name.clone(),
        primary: row.primary.clone(),
        addresses: row.smtp_addresses().collect(),
        attribute: row.custom_attribute(marker_attribute).to_owned(),
        account_disabled: row.account_disabled,
        account: Account::NotShown,
        full_access: Holders::default(),
        send_as: Holders::default(),
        on_behalf: OnBehalf::default(),
        identities: BTreeMap::new(),
        hidden: row.hidden_from_address_lists,
        forwarding: row.forwarding.clone(),
        sku_assigned: row.sku_assigned,
        settings: ShownSettings::new(),
        unread: UnreadReads::new(),
        unanswered: BTreeMap::new(),
    }
}
