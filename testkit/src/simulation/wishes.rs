//! What the manifests ask for: which grants, of whom, until when.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::model::{home, name, permissions, tenants, texts};
use crate::api_server::ApiServer;
use crate::world::World;

/// The groups that the access rule names and that can hold rights.
const GROUPS: [&str; 1] = ["sales-team@contoso.com"];
/// In the directory, without a mailbox.
const WITHOUT_MAILBOX: [&str; 1] = ["no.mailbox@contoso.com"];
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    FullAccess,
    SendAs,
    SendOnBehalf,
}

impl Right {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "FullAccess" => Some(Self::FullAccess),
            "SendAs" => Some(Self::SendAs),
            "SendOnBehalf" => Some(Self::SendOnBehalf),
            _ => None,
        }
    }
}

/// One right of one member on the mailbox of one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub mailbox: String,
    pub member: Uuid,
    pub right: Right,
}

/// People whom the tenant's manifest calls departed: they hold nothing anywhere.
pub fn departed(world: &World) -> BTreeSet<Uuid> {
    let tenants = tenants(world);
    let names = tenants
        .iter()
        .flat_map(|tenant| texts(&tenant["spec"]["departed"]));
    names.filter_map(|name| world.tenant.object_id(&name)).collect()
}

/// Whether time alone changes what is wanted.
pub fn something_ends(world: &World) -> bool {
    permissions(world)
        .iter()
        .any(|permission| end_of(permission).is_some())
}

/// When time alone changed last what is wanted.
pub fn last_end(world: &World) -> Option<Timestamp> {
    let now = world.server.now();
    let ends = permissions(world);
    ends.iter()
        .filter_map(|permission| end_of(permission))
        .filter(|end| *end <= now)
        .max()
}

/// When time alone will change what is wanted, the earliest first.
pub fn next_ends(world: &World) -> Vec<Timestamp> {
    let now = world.server.now();
    let permissions = permissions(world);
    let ends = permissions.iter().filter_map(|permission| end_of(permission));
    let mut ends: Vec<Timestamp> = ends.filter(|end| *end > now).collect();
    ends.sort_unstable();
    ends
}

fn end_of(permission: &Value) -> Option<Timestamp> {
    permission["spec"]["expiresAt"].as_str()?.parse().ok()
}

pub fn has_ended(world: &World, permission: &Value) -> bool {
    end_of(permission).is_some_and(|end| end <= world.server.now())
}

/// The MailboxPermissions whose end has come, by name.
pub fn ended(server: &ApiServer) -> Vec<String> {
    let now = server.now();
    let all = server.objects("sharedmailbox.dev", "mailboxpermissions", None);
    let ended = all
        .iter()
        .filter(|permission| end_of(permission).is_some_and(|end| end <= now));
    ended.map(|permission| name(permission)).collect()
}

/// The people in a group, those of nested groups too.
fn people_in(world: &World, group: &str) -> BTreeSet<Uuid> {
    let mut people = BTreeSet::new();
    let mut groups = vec![group.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(group) = groups.pop().filter(|group| seen.insert(group.clone())) {
        for member in world.tenant.group_members(&group).unwrap_or_default() {
            let id = member.to_string();
            if world.tenant.group_members(&id).is_some() {
                groups.push(id);
            } else if world.tenant.mailbox(&id).is_some() {
                people.insert(member);
            }
        }
    }
    people
}

/// The object id of a member that may be granted something.
pub fn valid_member(world: &World, member: &Value) -> Option<Uuid> {
    let (kind, address) = match (member["user"].as_str(), member["group"].as_str()) {
        (Some(user), _) => ("user", user.to_lowercase()),
        (_, Some(group)) => ("group", group.to_lowercase()),
        _ => return None,
    };
    let is_group = GROUPS.contains(&address.as_str());
    let fits = if kind == "user" {
        !is_group && world.tenant.mailbox(&address).is_some()
    } else {
        is_group
    };
    let known = !WITHOUT_MAILBOX.contains(&address.as_str()) && address.ends_with("@contoso.com");
    if fits && known {
        world
            .tenant
            .object_id(&address)
            .filter(|id| !departed(world).contains(id))
    } else {
        None
    }
}

/// Every grant that the manifests ask for, with automapping.
pub fn wanted(world: &World) -> BTreeMap<Key, bool> {
    wanted_by(world, Members::All)
}

/// Which members count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Members {
    All,
    /// Only those who are named: whoever comes with a group is noticed at a regular recheck.
    Named,
}

pub fn wanted_by(world: &World, which: Members) -> BTreeMap<Key, bool> {
    let mut grants = BTreeMap::new();
    let mut people = People::default();
    for permission in permissions(world) {
        let mapped = permission["spec"]["autoMapping"].as_bool().unwrap_or(true);
        for key in grants_of(world, &mut people, &permission, which) {
            let both = grants.entry(key).or_insert(true);
            *both &= mapped;
        }
    }
    grants
}

/// Members that were looked up already: many manifests name the same people.
#[derive(Default)]
pub struct People(BTreeMap<String, Option<Uuid>>);

impl People {
    fn behind(&mut self, world: &World, member: &Value, which: Members) -> BTreeSet<Uuid> {
        match (member["expand"].as_bool(), which) {
            (Some(true), Members::Named) => BTreeSet::new(),
            (Some(true), Members::All) => {
                let group = member["group"].as_str().unwrap_or_default();
                let departed = departed(world);
                let people = people_in(world, group).into_iter();
                people.filter(|person| !departed.contains(person)).collect()
            }
            _ => self.valid(world, member).into_iter().collect(),
        }
    }

    fn valid(&mut self, world: &World, member: &Value) -> Option<Uuid> {
        let known = self.0.entry(member.to_string());
        *known.or_insert_with(|| valid_member(world, member))
    }
}

/// Every grant that is declared with an end, and when that comes or came.
pub fn declared_ends(world: &World) -> BTreeSet<(Key, Timestamp)> {
    let mut people = People::default();
    let mut ends = BTreeSet::new();
    for permission in permissions(world) {
        if let Some(end) = end_of(&permission) {
            let grants = declared_by(world, &mut people, &permission, Members::All);
            ends.extend(grants.into_iter().map(|key| (key, end)));
        }
    }
    ends
}

/// The grants that one manifest asks for.
pub fn grants_of(world: &World, people: &mut People, permission: &Value, which: Members) -> Vec<Key> {
    if has_ended(world, permission) {
        return Vec::new();
    }
    declared_by(world, people, permission, which)
}

/// The grants that one manifest names, ended or not.
fn declared_by(world: &World, people: &mut People, permission: &Value, which: Members) -> Vec<Key> {
    let list = |field: &str| permission["spec"][field].as_array().cloned().unwrap_or_default();
    let rights = list("rights");
    let rights: Vec<Right> = rights
        .iter()
        .filter_map(Value::as_str)
        .filter_map(Right::parse)
        .collect();
    let members = list("members");
    let members = members
        .iter()
        .flat_map(|member| people.behind(world, member, which));
    let key = |member, right| Key {
        mailbox: home(permission),
        member,
        right,
    };
    members
        .flat_map(|member| rights.iter().map(move |right| (member, *right)))
        .map(|(m, r)| key(m, r))
        .collect()
}
