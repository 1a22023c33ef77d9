//! What is in the tenant, and what is reported of it, at one moment: the two must not part.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::model::{
    held, home, is_reported, mailboxes, name, permissions, ready_of, settings_differ, view_of,
};
use super::wishes::{Key, Members, Right, wanted_by};
use crate::world::World;

/// What is and what is reported at one moment.
#[derive(Default)]
pub struct Standing {
    pub held: BTreeSet<Key>,
    /// Not there, although mailbox and permissions say that all is well.
    pub missing_while_ready: BTreeSet<Key>,
    /// Not there, although a permission's list of members says so.
    pub missing_while_reported: BTreeSet<Key>,
    /// Mailboxes whose settings are as declared, by name and uid, with the generation that declares them.
    pub as_declared: BTreeSet<(String, i64)>,
    /// Mailboxes that say so.
    pub reported_as_declared: BTreeSet<(String, i64)>,
    /// Permissions that say that their mailbox is not ready, or that somebody does not hold a right yet that they hold,
    /// while the mailbox says it is as declared.
    pub at_odds: BTreeSet<String>,
}

pub fn standing(world: &World) -> Standing {
    let mut wanted: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    for key in wanted_by(world, Members::Named).into_keys() {
        wanted.entry(key.mailbox.clone()).or_default().push(key);
    }
    let silent: BTreeSet<String> = permissions(world)
        .iter()
        .filter(|permission| !is_reported(permission) || !ready_of(permission).is_true())
        .map(|permission| home(permission))
        .collect();
    let mut standing = Standing::default();
    let granted = reported_as(world, "Granted");
    let pending = reported_as(world, "Pending");
    for mailbox in mailboxes(world) {
        let own = name(&mailbox);
        let Some(view) = view_of(world, &mailbox) else {
            continue;
        };
        let ready = ready_of(&mailbox).is_true() && is_reported(&mailbox);
        let generation = mailbox["metadata"]["generation"].as_i64().unwrap_or_default();
        let uid = mailbox["metadata"]["uid"].as_str().unwrap_or_default();
        let spec = (format!("{own} ({uid})"), generation);
        if ready {
            // That nobody knows whether sign-in is blocked is said, and lowers nothing.
            if !is_sign_in_unknown(&mailbox) {
                standing.reported_as_declared.insert(spec.clone());
            }
            standing.at_odds.extend(at_odds(world, &own));
        }
        if settings_differ(&mailbox, &view).is_empty() {
            standing.as_declared.insert(spec);
        }
        let Some(keys) = wanted.remove(&own) else { continue };
        let there = held(&view);
        let (held, missing) = keys
            .into_iter()
            .partition(|key| there.contains(&(key.member, key.right)));
        let missing: Vec<Key> = missing;
        let held: Vec<Key> = held;
        if ready {
            let late = held.iter().filter_map(|key| pending.get(key));
            standing.at_odds.extend(late.cloned());
        }
        standing.held.extend(held);
        standing
            .missing_while_reported
            .extend(missing.iter().filter(|key| granted.contains_key(key)).cloned());
        if ready && !silent.contains(&own) {
            standing.missing_while_ready.extend(missing);
        }
    }
    standing
}

fn is_sign_in_unknown(mailbox: &Value) -> bool {
    let mut conditions = mailbox["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "SignInBlocked" && condition["status"] == "Unknown")
}

/// The rights that the lists of members report to be in this state, each with the permission that says so.
fn reported_as(world: &World, state: &str) -> BTreeMap<Key, String> {
    let mut reported = BTreeMap::new();
    for permission in permissions(world) {
        let members = permission["status"]["members"].as_array().into_iter().flatten();
        for member in members {
            let Some(id) = member["objectId"].as_str().and_then(|id| id.parse().ok()) else {
                continue;
            };
            let rights = member["rights"].as_array().into_iter().flatten();
            for right in rights.filter(|right| right["state"] == state) {
                let Some(right) = right["right"].as_str().and_then(Right::parse) else {
                    continue;
                };
                let key = Key {
                    mailbox: home(&permission),
                    member: id,
                    right,
                };
                reported.insert(key, name(&permission));
            }
        }
    }
    reported
}

fn at_odds(world: &World, mailbox: &str) -> Vec<String> {
    let all = permissions(world).into_iter();
    all.filter(|permission| home(permission) == mailbox && ready_of(permission).reason == "MailboxNotReady")
        .map(|permission| name(&permission))
        .collect()
}
