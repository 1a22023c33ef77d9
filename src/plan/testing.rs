//! Builders for tests of the planner.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Account, Desired, Entry, GrantPolicy, Holders, Identity, Observed, OnBehalf, Purpose, ShownSettings,
    SignInAttempts, UnreadReads, WantedGrant,
};
use crate::api::{Intent, SignIn, SignInControl};
use crate::mail::{ClusterId, Marker, MarkerOwner, ObjectId, OneTimeName, Right, Sid, SmtpAddress};
use crate::setting::{Source, Value, Values};

pub fn owner() -> MarkerOwner {
    MarkerOwner {
        cluster: ClusterId {
            name: "test".into(),
            uid_part: "0a1b2c3d".into(),
        },
        namespace: "team-sales".into(),
        name: "sales".into(),
        uid: "uid-1".into(),
    }
}

pub fn intent() -> Intent {
    Intent {
        one_time_name: OneTimeName::from_random_bits(7),
        alias: "sales".into(),
        address: address("sales"),
        display_name: "Sales".into(),
        at: "2026-11-22T09:00:00Z".parse().unwrap(),
    }
}

pub fn address(local: &str) -> SmtpAddress {
    format!("{local}@contoso.com").parse().unwrap()
}

pub fn person(number: u8) -> ObjectId {
    format!("00000000-0000-4000-8000-0000000000{number:02}")
        .parse()
        .unwrap()
}

pub fn sid(number: u8) -> Sid {
    format!("S-1-5-21-1-2-3-{number}").parse().unwrap()
}

/// An unmarked mailbox named Sales with nobody on it.
pub fn mailbox() -> Observed {
    Observed {
        guid: "44444444-4444-4444-8444-444444444444".parse().unwrap(),
        object_id: Some(person(99)),
        display_name: "Sales".into(),
        primary: address("sales"),
        addresses: BTreeSet::from([address("sales")]),
        attribute: String::new(),
        account_disabled: true,
        account: Account::Blocked,
        full_access: Holders::default(),
        send_as: Holders::default(),
        on_behalf: OnBehalf::default(),
        identities: BTreeMap::new(),
        hidden: false,
        forwarding: None,
        sku_assigned: None,
        settings: ShownSettings::from([(
            Source::Mailbox,
            Ok(Values::of([
                ("DisplayName", Some(Value::text("Sales"))),
                ("Alias", Some(Value::name("sales"))),
            ])),
        )]),
        unread: UnreadReads::new(),
        unanswered: BTreeMap::new(),
    }
}

/// The same, marked as ours.
pub fn our_mailbox() -> Observed {
    let plain = mailbox();
    let marker = Marker {
        owner: owner(),
        mailbox: plain.guid,
    };
    Observed {
        attribute: marker.to_string(),
        ..plain
    }
}

/// What [`our_mailbox`] already is.
pub fn desired() -> Desired {
    Desired {
        purpose: Purpose::Keep,
        owner: owner(),
        marker_attribute: 15,
        address: address("sales"),
        aliases: BTreeSet::new(),
        sign_in: SignIn::Blocked,
        leaves_sign_in: false,
        sign_in_control: SignInControl::Graph,
        sign_in_attempts: SignInAttempts::default(),
        grants: BTreeMap::new(),
        kept: BTreeSet::new(),
        kept_people: BTreeSet::new(),
        has_unread_permissions: false,
        policy: GrantPolicy::default(),
        now: jiff::Timestamp::UNIX_EPOCH,
        take_up: None,
        expired: BTreeSet::new(),
        groups: BTreeMap::new(),
        names: BTreeMap::new(),
        stuck: BTreeSet::new(),
        perhaps_more: BTreeSet::new(),
        settings: BTreeMap::from([(
            "displayName",
            Values::of([("DisplayName", Some(Value::text("Sales")))]),
        )]),
        defaults: BTreeSet::new(),
        unwritten: BTreeMap::new(),
        withdrawn: BTreeMap::new(),
        recipients: BTreeMap::new(),
        denied: BTreeMap::new(),
        earlier: BTreeMap::new(),
    }
}

pub fn wants(desired: &mut Desired, number: u8, right: Right, auto_mapping: bool) {
    let wanted = WantedGrant {
        auto_mapping,
        member: address(&format!("person{number}")),
        also: BTreeSet::new(),
        by: BTreeSet::from(["team".to_owned()]),
        until: None,
    };
    desired.grants.insert((person(number), right), wanted);
}

/// A row that allows somebody these rights.
pub fn entry(number: u8, rights: &[&str]) -> Entry {
    Entry {
        sid: Some(sid(number)),
        shown: format!("Person {number}"),
        rights: rights.iter().map(|right| (*right).to_owned()).collect(),
        denies: false,
    }
}

/// Who the directory says is behind a person's rows.
pub fn identity(number: u8) -> Identity {
    Identity::Known {
        object_id: Some(person(number)),
        addresses: BTreeSet::from([address(&format!("person{number}"))]),
    }
}
