//! Making directory objects: from the seed, by the admin, by New-Mailbox.

use std::collections::BTreeMap;
use std::mem;

use uuid::Uuid;

use crate::directory::{Group, Handle, Mailbox, MailboxType, Object, Outside, OutsideKind, View, Visibility};
use crate::faults::Origin;
use crate::quirks::Linked;
use crate::seed::{Seed, SeedContact, SeedGroup, SeedMailbox, SeedUser};
use crate::world::World;

impl World {
    pub fn new_sid(&mut self) -> String {
        self.next_rid += 1;
        format!("S-1-5-21-3787293746-1043275628-2190718315-{}", self.next_rid)
    }

    /// A tenant with everybody and everything that the seed lists.
    pub fn seeded(mut seed: Seed) -> Self {
        let (users, contacts) = (mem::take(&mut seed.users), mem::take(&mut seed.contacts));
        let groups = mem::take(&mut seed.groups);
        let mut world = Self::empty(seed);
        for user in &users {
            world.add_user(user, Visibility::default());
        }
        for contact in &contacts {
            world.add_contact(contact, Visibility::default());
        }
        let add = |group| world.add_group(group, Visibility::default());
        let handles: Vec<Handle> = groups.iter().map(add).collect();
        // Once more now that every group is there to be a member.
        for (handle, group) in handles.into_iter().zip(&groups) {
            let members = world.ids_of(&group.members);
            world.update(handle, Origin::Directory, |object| {
                if let Some(group) = &mut object.group {
                    group.members = members;
                }
            });
        }
        world
    }

    /// Object ids by any identity; what means nothing is left out.
    fn ids_of(&self, identities: &[String]) -> Vec<Uuid> {
        let found = identities
            .iter()
            .filter_map(|identity| self.directory.matching(identity, View::Newest).into_iter().next());
        found.map(|seen| seen.id).collect()
    }

    /// A fresh object without addresses, mailbox or group.
    pub fn blank_object(&mut self, id: Option<Uuid>, display_name: &str) -> Object {
        let id = id.unwrap_or_else(|| self.random.uuid());
        let now = self.now();
        Object {
            id,
            guid: self.random.uuid(),
            sid: self.new_sid(),
            master_sid: None,
            sid_history: Vec::new(),
            name: id.to_string(),
            display_name: display_name.to_owned(),
            alias: None,
            upn: None,
            addresses: Vec::new(),
            group: None,
            mailbox: None,
            outside: None,
            send_as: Vec::new(),
            custom_attributes: BTreeMap::new(),
            dir_synced: false,
            cloud_managed: false,
            licensed: false,
            created: now,
            changed: now,
            soft_deleted: None,
        }
    }

    pub fn blank_mailbox(&mut self, kind: MailboxType) -> Mailbox {
        Mailbox {
            exchange_guid: self.random.uuid(),
            kind,
            full_access: Vec::new(),
            on_behalf: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    /// The addresses that the service gives a mailbox by itself, besides the primary one.
    pub fn service_addresses(&self, primary: &str, alias: &str, exchange_guid: Uuid) -> Vec<String> {
        let nickname = format!("{alias}@{}", self.tenant.initial_domain);
        let mut addresses = vec![format!("SMTP:{primary}")];
        if !nickname.eq_ignore_ascii_case(primary) {
            addresses.push(format!("smtp:{nickname}"));
        }
        addresses.push(format!("SPO:SPO_{exchange_guid}@SPO_{}", self.tenant.id));
        addresses
    }

    pub fn add_user(&mut self, user: &SeedUser, visibility: Visibility) -> Handle {
        let mut object = self.blank_object(user.object_id, &user.display_name);
        if let Some(name) = &user.name {
            object.name.clone_from(name);
        }
        object.created = user.created.unwrap_or(object.created);
        object.upn = Some(user.upn.clone());
        object.dir_synced = user.dir_synced;
        object.licensed = user.licensed;
        object.custom_attributes.clone_from(&user.custom_attributes);
        let local = user.upn.split('@').next().unwrap_or_default().to_owned();
        let alias = user.alias.clone().unwrap_or(local);
        let elsewhere = user.external_address.as_ref().unwrap_or(&user.upn).clone();
        match user.mailbox {
            SeedMailbox::None => {}
            SeedMailbox::User => self.give_mailbox(&mut object, MailboxType::User, user, alias),
            SeedMailbox::Shared => self.give_mailbox(&mut object, MailboxType::Shared, user, alias),
            SeedMailbox::Room => self.give_mailbox(&mut object, MailboxType::Room, user, alias),
            SeedMailbox::Equipment => self.give_mailbox(&mut object, MailboxType::Equipment, user, alias),
            SeedMailbox::MailUser => {
                let nickname = format!("smtp:{alias}@{}", self.tenant.initial_domain);
                object.addresses = vec![format!("SMTP:{}", user.upn), nickname];
                give_outside(&mut object, OutsideKind::MailUser, alias, elsewhere);
            }
            SeedMailbox::Guest => {
                object.addresses = vec![format!("SMTP:{elsewhere}")];
                give_outside(&mut object, OutsideKind::Guest, alias, elsewhere);
            }
        }
        let further = user.addresses.iter().map(|address| format!("smtp:{address}"));
        if object.is_recipient() {
            object.addresses.extend(further);
        }
        let is_person = user.mailbox == SeedMailbox::User;
        if is_person && self.quirks.access.former_sids {
            let former = self.new_sid();
            object.sid_history.push(former);
        }
        if is_person && self.quirks.access.linked != Linked::None {
            self.next_rid += 1;
            object.master_sid = Some(format!(
                "S-1-5-21-2000478354-1708537768-1957994488-{}",
                self.next_rid
            ));
        }
        self.directory.insert(object, !user.account_disabled, visibility)
    }

    fn give_mailbox(&mut self, object: &mut Object, kind: MailboxType, user: &SeedUser, alias: String) {
        let mailbox = self.blank_mailbox(kind);
        object.addresses = self.service_addresses(&user.upn, &alias, mailbox.exchange_guid);
        object.alias = Some(alias);
        object.mailbox = Some(mailbox);
    }

    pub fn add_contact(&mut self, contact: &SeedContact, visibility: Visibility) -> Handle {
        let mut object = self.blank_object(contact.object_id, &contact.display_name);
        let address = contact.external_address.clone();
        let alias = address.split('@').next().unwrap_or_default().to_owned();
        object.addresses = vec![format!("SMTP:{address}")];
        give_outside(&mut object, OutsideKind::Contact, alias, address);
        self.directory.insert(object, true, visibility)
    }

    pub fn add_group(&mut self, group: &SeedGroup, visibility: Visibility) -> Handle {
        let mut object = self.blank_object(group.object_id, &group.display_name);
        let local = group.address.split('@').next().unwrap_or_default().to_owned();
        if group.kind.has_mail() {
            object.addresses = vec![format!("SMTP:{}", group.address)];
            object.alias = Some(local);
        } else {
            object.name.clone_from(&local);
        }
        object.dir_synced = group.dir_synced;
        object.group = Some(Group {
            kind: group.kind,
            members: self.ids_of(&group.members),
            hidden_membership: group.hidden_membership,
        });
        self.directory.insert(object, true, visibility)
    }
}

fn give_outside(object: &mut Object, kind: OutsideKind, alias: String, address: String) {
    object.alias = Some(alias);
    object.outside = Some(Outside { kind, address });
}
