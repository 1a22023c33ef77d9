//! Making directory objects: from the seed, by the admin, by New-Mailbox.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::directory::{Group, Handle, Mailbox, MailboxType, Object, View, Visibility};
use crate::seed::{GroupKind, SeedGroup, SeedMailbox, SeedUser};
use crate::world::World;

impl World {
    pub fn new_sid(&mut self) -> String {
        self.next_rid += 1;
        format!("S-1-5-21-3787293746-1043275628-2190718315-{}", self.next_rid)
    }

    /// A fresh object without addresses, mailbox or group.
    pub fn blank_object(&mut self, id: Option<Uuid>, display_name: &str) -> Object {
        let id = id.unwrap_or_else(|| self.random.uuid());
        let now = self.now();
        Object {
            id,
            guid: self.random.uuid(),
            sid: self.new_sid(),
            name: id.to_string(),
            display_name: display_name.to_owned(),
            alias: None,
            upn: None,
            addresses: Vec::new(),
            group: None,
            mailbox: None,
            send_as: Vec::new(),
            custom_attributes: BTreeMap::new(),
            dir_synced: false,
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
        object.upn = Some(user.upn.clone());
        object.dir_synced = user.dir_synced;
        object.licensed = user.licensed;
        object.custom_attributes.clone_from(&user.custom_attributes);
        let mailbox_type = match user.mailbox {
            SeedMailbox::None => None,
            SeedMailbox::User => Some(MailboxType::User),
            SeedMailbox::Shared => Some(MailboxType::Shared),
            SeedMailbox::Room => Some(MailboxType::Room),
            SeedMailbox::Equipment => Some(MailboxType::Equipment),
        };
        if let Some(mailbox_type) = mailbox_type {
            let local = user.upn.split('@').next().unwrap_or_default().to_owned();
            let alias = user.alias.clone().unwrap_or(local);
            let mailbox = self.blank_mailbox(mailbox_type);
            object.addresses = self.service_addresses(&user.upn, &alias, mailbox.exchange_guid);
            object
                .addresses
                .extend(user.addresses.iter().map(|address| format!("smtp:{address}")));
            object.alias = Some(alias);
            object.mailbox = Some(mailbox);
        }
        self.directory.insert(object, !user.account_disabled, visibility)
    }

    pub fn add_group(&mut self, group: &SeedGroup, visibility: Visibility) -> Handle {
        let mut object = self.blank_object(group.object_id, &group.display_name);
        let local = group.address.split('@').next().unwrap_or_default().to_owned();
        if group.kind == GroupKind::PlainSecurity {
            object.name.clone_from(&local);
        } else {
            object.addresses = vec![format!("SMTP:{}", group.address)];
            object.alias = Some(local);
        }
        let members = group.members.iter().filter_map(|upn| {
            self.directory
                .matching(upn, View::Newest)
                .first()
                .map(|member| member.id)
        });
        object.group = Some(Group {
            kind: group.kind,
            members: members.collect(),
        });
        self.directory.insert(object, true, visibility)
    }
}
