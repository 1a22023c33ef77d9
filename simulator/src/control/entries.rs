//! The admin's hand in access control lists: entries of every sort, also those no cmdlet makes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::handle::{Control, UnknownObject, find, find_deleted};
use crate::directory::{AccessEntry, AccessRight, ObjectView, SendAsEntry, Standing};
use crate::faults::Origin;
use crate::journal::{Actor, JournalKind, Outcome};
use crate::world::World;

/// An entry to put on a mailbox. The limit of 500 is not checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessRow {
    /// Any identity, of deleted people too, or a SID that nobody has, such as `S-1-5-21-1-2-3-4`.
    pub trustee: String,
    #[serde(default = "full_access")]
    pub rights: Vec<AccessRight>,
    #[serde(default)]
    pub deny: bool,
    #[serde(default)]
    pub standing: Standing,
    #[serde(default)]
    pub auto_mapping: bool,
}

/// An entry for Send As to put on a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendAsRow {
    /// As in [`AccessRow::trustee`].
    pub trustee: String,
    #[serde(default)]
    pub deny: bool,
    #[serde(default)]
    pub standing: Standing,
}

fn full_access() -> Vec<AccessRight> {
    vec![AccessRight::FullAccess]
}

impl AccessRow {
    /// Full Access, granted on the mailbox itself, without automapping.
    pub fn of(trustee: &str) -> Self {
        Self {
            trustee: trustee.to_owned(),
            rights: full_access(),
            deny: false,
            standing: Standing::Explicit,
            auto_mapping: false,
        }
    }
}

impl SendAsRow {
    /// Send As, granted on the recipient itself.
    pub fn of(trustee: &str) -> Self {
        Self {
            trustee: trustee.to_owned(),
            deny: false,
            standing: Standing::Explicit,
        }
    }
}

impl Control {
    /// Puts an entry on a mailbox, beside those that are there, and answers the trustee's object id.
    pub fn inject_access(&self, mailbox: &str, row: &AccessRow) -> Result<Uuid, UnknownObject> {
        self.with(|world| {
            let target = with_mailbox(world, mailbox)?;
            let (trustee, sid) = trustee(world, &row.trustee)?;
            let entry = AccessEntry {
                trustee,
                sid,
                rights: row.rights.iter().copied().collect(),
                deny: row.deny,
                standing: row.standing,
                inheritance: "All".to_owned(),
                auto_mapping: row.auto_mapping,
            };
            let changed = world.update(target.handle, Origin::Exchange, |object| {
                if let Some(mailbox) = &mut object.mailbox {
                    mailbox.full_access.push(entry);
                }
            });
            record(
                world,
                "Add-MailboxPermission",
                &target,
                json!({"User": row}),
                changed,
            );
            Ok(trustee)
        })
    }

    /// Puts an entry for Send As on a recipient and answers the trustee's object id.
    pub fn inject_send_as(&self, recipient: &str, row: &SendAsRow) -> Result<Uuid, UnknownObject> {
        self.with(|world| {
            let target = find(world, recipient).ok_or_else(|| UnknownObject(recipient.to_owned()))?;
            let (trustee, sid) = trustee(world, &row.trustee)?;
            let entry = SendAsEntry {
                trustee,
                sid,
                deny: row.deny,
                standing: row.standing,
            };
            let changed = world.update(target.handle, Origin::Exchange, |object| {
                object.send_as.push(entry);
            });
            record(
                world,
                "Add-RecipientPermission",
                &target,
                json!({"Trustee": row}),
                changed,
            );
            Ok(trustee)
        })
    }

    /// From now on somebody's explicit entries on a mailbox can't be removed, or can again.
    pub fn set_undeletable(
        &self,
        mailbox: &str,
        trustee: &str,
        undeletable: bool,
    ) -> Result<(), UnknownObject> {
        self.with(|world| {
            let target = with_mailbox(world, mailbox)?;
            let (id, _) = self::trustee(world, trustee)?;
            let (from, to) = if undeletable {
                (Standing::Explicit, Standing::Undeletable)
            } else {
                (Standing::Undeletable, Standing::Explicit)
            };
            world.update(target.handle, Origin::Exchange, |object| {
                let full = object
                    .mailbox
                    .iter_mut()
                    .flat_map(|mailbox| &mut mailbox.full_access);
                for entry in full.filter(|entry| entry.trustee == id && entry.standing == from) {
                    entry.standing = to;
                }
                let send = object.send_as.iter_mut();
                for entry in send.filter(|entry| entry.trustee == id && entry.standing == from) {
                    entry.standing = to;
                }
            });
            Ok(())
        })
    }
}

fn with_mailbox(world: &World, identity: &str) -> Result<ObjectView, UnknownObject> {
    let found = find(world, identity).filter(|seen| seen.mailbox.is_some());
    found.ok_or_else(|| UnknownObject(identity.to_owned()))
}

/// Whom an entry is for, and the SID in it. A SID that is new makes an account known that was there once.
fn trustee(world: &mut World, identity: &str) -> Result<(Uuid, String), UnknownObject> {
    if let Some(seen) = find(world, identity).or_else(|| find_deleted(world, identity)) {
        return Ok((seen.id, seen.entry_sid().to_owned()));
    }
    if !identity.starts_with("S-1-") {
        return Err(UnknownObject(identity.to_owned()));
    }
    let known = world.directory.with_sid(identity);
    let id = known.unwrap_or_else(|| world.random.uuid());
    world.directory.insert_gone(id, identity);
    Ok((id, identity.to_owned()))
}

/// In the journal it stands as the cmdlet that makes such entries.
fn record(world: &mut World, cmdlet: &str, target: &ObjectView, row: Value, changed: bool) {
    let mut parameters = row;
    if let Value::Object(fields) = &mut parameters {
        fields.insert("Identity".to_owned(), target.guid.to_string().into());
    }
    let kind = JournalKind::Cmdlet {
        name: cmdlet.to_owned(),
        parameters,
        batch_item: None,
    };
    let outcome = Outcome {
        status: 200,
        changed,
        ..Outcome::default()
    };
    world.record(Actor::Admin, None, kind, outcome);
}
