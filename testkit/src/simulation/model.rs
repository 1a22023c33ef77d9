//! What ought to be, worked out from the manifests and the tenant as it truly is, without a line of the
//! operator's own code.
//!
//! Longer than others: it works out once more all that the operator promises, and its parts read each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use simulator::MailboxView;
use uuid::Uuid;

use super::expectations::Expectations;
use super::settings;
use super::wishes::{Key, Members, People, Right, departed, grants_of, has_ended, valid_member, wanted};
use crate::world::{NAMESPACE, World};

const GROUP: &str = "sharedmailbox.dev";

/// What must become of a SharedMailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Ready,
    Refused,
    Paused,
    /// Observed and never written to: what it reports must be true, whatever it is.
    Observed,
    /// Several claim the same address: one of them gets it.
    Contended,
}

pub fn mailboxes(world: &World) -> Vec<Arc<Value>> {
    world.server.objects(GROUP, "sharedmailboxes", None)
}

pub fn permissions(world: &World) -> Vec<Arc<Value>> {
    world.server.objects(GROUP, "mailboxpermissions", None)
}

pub fn tenants(world: &World) -> Vec<Arc<Value>> {
    world.server.objects(GROUP, "exchangetenants", None)
}

pub fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

pub fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_lowercase).collect()
}

pub fn home(permission: &Value) -> String {
    permission["spec"]["mailboxRef"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn members_of(permission: &Value) -> Vec<Value> {
    permission["spec"]["members"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// The mailbox whose GUID the resource knows.
pub fn view_of(world: &World, mailbox: &Value) -> Option<MailboxView> {
    let guid: Uuid = guid_of(world, mailbox)?.parse().ok()?;
    let found = world.tenant.mailbox(&guid.to_string());
    found.filter(|view| view.exchange_guid == guid)
}

/// The GUID that the resource's status reports. A scrambled status is written anew from the ledger, so that counts when
/// there is one.
fn guid_of(world: &World, mailbox: &Value) -> Option<String> {
    let reported = mailbox["status"]["mailboxGuid"].as_str();
    remembered_guid(world, mailbox).or(reported.map(str::to_owned))
}

/// As the ledger of this very resource has it.
fn remembered_guid(world: &World, mailbox: &Value) -> Option<String> {
    let all = super::ledgers::ledgers(world);
    let mut own = all
        .iter()
        .filter(|ledger| ledger["spec"]["resourceRef"]["uid"] == mailbox["metadata"]["uid"]);
    let listed = own.find_map(|ledger| ledger["spec"]["mailbox"]["guid"].as_str());
    listed.map(str::to_owned)
}

/// The name of the resource that the marker names.
pub fn marked_name(view: &MailboxView) -> Option<String> {
    named_by(view.custom_attributes.get(&15)?)
}

/// The name of the resource in a marker.
pub fn named_by(marker: &str) -> Option<String> {
    let rest = marker.split_once(&format!("resource={NAMESPACE}/"))?.1;
    Some(rest.split_once(';')?.0.to_owned())
}

/// Mailboxes, by object id, whose manifest tolerates no grant but its own, and whom it ignores.
pub fn exclusive(world: &World) -> BTreeMap<Uuid, BTreeSet<Uuid>> {
    let all = mailboxes(world).into_iter();
    all.filter(|mailbox| is_exclusive(mailbox))
        .filter_map(|mailbox| {
            // A status that was lost knows no mailbox; its marker leads to it again.
            let view = view_of(world, &mailbox).or_else(|| marked(world, &name(&mailbox)))?;
            Some((view.object_id, ignored(world, &mailbox)))
        })
        .collect()
}

/// The mailbox that carries the marker of the resource of this name.
pub fn marked(world: &World, resource: &str) -> Option<MailboxView> {
    let mut all = world.tenant.mailboxes().into_iter();
    all.find(|view| marked_name(view).as_deref() == Some(resource))
}

pub fn is_exclusive(mailbox: &Value) -> bool {
    mailbox["spec"]["permissions"]["mode"] == "Exclusive"
}

fn ignored(world: &World, mailbox: &Value) -> BTreeSet<Uuid> {
    let patterns = texts(&mailbox["spec"]["permissions"]["ignore"]);
    let people = patterns
        .iter()
        .filter_map(|pattern| world.tenant.object_id(pattern));
    people.collect()
}

/// Who truly holds what.
pub fn held(view: &MailboxView) -> BTreeSet<(Uuid, Right)> {
    let full = view
        .full_access
        .iter()
        .filter(|entry| !entry.deny)
        .map(|entry| (entry.trustee, Right::FullAccess));
    let send_as = view.send_as.iter().map(|id| (*id, Right::SendAs));
    let on_behalf = view.on_behalf.iter().map(|id| (*id, Right::SendOnBehalf));
    full.chain(send_as).chain(on_behalf).collect()
}

/// What Ready says; empty where it says nothing.
#[derive(Debug)]
pub struct Ready {
    pub status: String,
    pub reason: String,
    /// Something differs and is only observed: True says nothing of that.
    differs: bool,
}

impl Ready {
    /// Whether it says that all is as declared.
    pub fn is_true(&self) -> bool {
        self.status == "True" && !self.differs
    }
}

pub fn ready_of(object: &Value) -> Ready {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let found = |kind: &str| conditions.clone().find(|condition| condition["type"] == kind);
    let differs =
        found("Drifted").is_some() || found("Granted").is_some_and(|granted| granted["reason"] == "Observed");
    let found = found("Ready");
    let text = |key: &str| found.and_then(|c| c[key].as_str()).unwrap_or_default().to_owned();
    Ready {
        status: text("status"),
        reason: text("reason"),
        differs,
    }
}

pub fn is_reported(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// Everything that is not as it ought to be, now.
pub fn differences(world: &World, expected: &Expectations) -> Vec<String> {
    let all = mailboxes(world);
    let wanted = wanted(world);
    let mut differences = Vec::new();
    for mailbox in &all {
        if !mailbox["metadata"]["deletionTimestamp"].is_null() {
            differences.push(format!("{} is still being deleted", name(mailbox)));
            continue;
        }
        let judged = Judged {
            world,
            expected,
            mailbox,
            all: &all,
            wanted: &wanted,
        };
        judged.differences(&mut differences);
    }
    for permission in permissions(world) {
        if !all.iter().any(|mailbox| name(mailbox) == home(&permission)) {
            let ready = ready_of(&permission);
            if ready.status != "False" || ready.reason != "MailboxNotFound" {
                differences.push(format!(
                    "permission {} names no mailbox and says {ready:?}",
                    name(&permission)
                ));
            }
        }
    }
    differences
}

struct Judged<'a> {
    world: &'a World,
    expected: &'a Expectations,
    mailbox: &'a Value,
    all: &'a [Arc<Value>],
    wanted: &'a BTreeMap<Key, bool>,
}

impl Judged<'_> {
    fn claims(mailbox: &Value) -> BTreeSet<String> {
        let mut claims: BTreeSet<String> = texts(&mailbox["spec"]["aliases"]).into_iter().collect();
        claims.insert(
            mailbox["spec"]["emailAddress"]
                .as_str()
                .unwrap_or_default()
                .to_lowercase(),
        );
        claims
    }

    fn fate(&self) -> Fate {
        if self.mailbox["spec"]["management"] == "Paused" {
            return Fate::Paused;
        }
        if self.mailbox["spec"]["management"] == "Observe" {
            return Fate::Observed;
        }
        let claims = Self::claims(self.mailbox);
        let own_uid = &self.mailbox["metadata"]["uid"];
        let admitted =
            |address: &String| address.ends_with("@contoso.com") || address.ends_with("@sales.contoso.com");
        if !claims.iter().all(admitted) {
            return Fate::Refused;
        }
        let rivals = self
            .all
            .iter()
            .filter(|other| other["metadata"]["uid"] != *own_uid);
        if rivals
            .clone()
            .any(|other| !Self::claims(other).is_disjoint(&claims))
        {
            return Fate::Contended;
        }
        let own = match guid_of(self.world, self.mailbox) {
            // An earlier resource of this name may have left it.
            None => marked(self.world, &name(self.mailbox)),
            Some(_) => match view_of(self.world, self.mailbox) {
                Some(view) if self.is_marked_ours(&view) => Some(view),
                _ => return Fate::Refused,
            },
        };
        if own
            .as_ref()
            .is_some_and(|view| view.type_details != "SharedMailbox")
        {
            return Fate::Refused;
        }
        for address in &claims {
            let Some(holder) = self.holder(address) else {
                continue;
            };
            let ours = match &own {
                Some(view) => view.object_id == holder,
                None => self.may_be_taken_up(holder) || self.may_be_adopted(holder),
            };
            if !ours {
                return Fate::Refused;
            }
        }
        Fate::Ready
    }

    fn is_marked_ours(&self, view: &MailboxView) -> bool {
        marked_name(view) == Some(name(self.mailbox)) || view.display_name.starts_with("smo-")
    }

    /// Whoever has the address, be it a person without a mailbox or a deleted mailbox.
    fn holder(&self, address: &str) -> Option<Uuid> {
        let deleted = || {
            self.world
                .tenant
                .deleted_mailbox(address)
                .map(|view| view.object_id)
        };
        self.world.tenant.object_id(address).or_else(deleted)
    }

    fn may_be_taken_up(&self, holder: Uuid) -> bool {
        let view = self.world.tenant.mailbox(&holder.to_string());
        view.is_some_and(|view| self.is_marked_ours(&view))
    }

    /// A shared mailbox that nobody marked, under its primary address, all of whose addresses the rule admits.
    fn may_be_adopted(&self, holder: Uuid) -> bool {
        let spec = &self.mailbox["spec"];
        let view = self.world.tenant.mailbox(&holder.to_string());
        spec["adoption"] == "SharedMailbox"
            && view.is_some_and(|view| {
                view.type_details == "SharedMailbox"
                    && spec["emailAddress"] == view.primary_address
                    && !view.custom_attributes.contains_key(&15)
                    && !super::ledgers::remembers(self.world, view.exchange_guid)
                    && view
                        .addresses
                        .iter()
                        .all(|address| address.to_lowercase().contains("contoso."))
            })
    }

    fn differences(&self, found: &mut Vec<String>) {
        let own = name(self.mailbox);
        let fate = self.fate();
        let Ready {
            status,
            reason,
            differs: _,
        } = ready_of(self.mailbox);
        if !is_reported(self.mailbox) {
            found.push(format!("{own}: the status speaks of an old spec"));
        }
        match fate {
            Fate::Ready if (status.as_str(), reason.as_str()) != ("True", "UpToDate") => {
                found.push(format!("{own}: Ready is {status} {reason} and ought to be True"));
            }
            Fate::Refused if status != "False" => {
                found.push(format!("{own}: Ready is {status} {reason} and ought to be False"));
            }
            Fate::Paused if status != "Unknown" => {
                found.push(format!(
                    "{own}: Ready is {status} {reason} and ought to be Unknown"
                ));
            }
            Fate::Ready | Fate::Refused | Fate::Paused | Fate::Observed | Fate::Contended => {}
        }
        let served = fate == Fate::Ready || (fate == Fate::Contended && status == "True");
        for permission in permissions(self.world)
            .iter()
            .filter(|permission| home(permission) == own)
        {
            self.permission(permission, fate, served, found);
        }
        match view_of(self.world, self.mailbox) {
            None if served => found.push(format!("{own}: there is no such mailbox")),
            Some(view) if served => self.tenant(&view, found),
            Some(view) if matches!(fate, Fate::Paused | Fate::Observed) => self.protected(&view, found),
            Some(view) => self.refused(&view, found),
            None => {}
        }
    }

    /// On a mailbox that is ours and that its team pauses or observes: nobody who has left holds anything, and nobody can
    /// sign in whom the manifest does not let in.
    fn protected(&self, view: &MailboxView, found: &mut Vec<String>) {
        let own = name(self.mailbox);
        let is_ours = marked_name(view) == Some(own.clone()) && view.type_details == "SharedMailbox";
        if !is_ours || remembered_guid(self.world, self.mailbox).is_none() {
            return;
        }
        let departed = departed(self.world);
        for (member, right) in held(view) {
            if departed.contains(&member) {
                found.push(format!(
                    "{own} is not enforced, and {member} still holds {right:?}"
                ));
            }
        }
        if self.mailbox["spec"]["signIn"] != "Allowed" && !view.account_disabled {
            found.push(format!("{own} is not enforced, and its account is open"));
        }
    }

    /// On a mailbox that is ours and whose manifest is refused: what was declared and is not any more is gone, and so is
    /// everything of people who have left.
    fn refused(&self, view: &MailboxView, found: &mut Vec<String>) {
        let own = name(self.mailbox);
        if marked_name(view) != Some(own.clone()) || view.type_details != "SharedMailbox" {
            return;
        }
        let permissions = permissions(self.world);
        let here = permissions.iter().filter(|permission| home(permission) == own);
        let mut members = here.flat_map(|permission| members_of(permission));
        // A group is not read for a mailbox that its rule does not admit: who left it may keep what they have.
        let expands = members.any(|member| member["expand"] == true);
        let departed = departed(self.world);
        for (member, right) in held(view).difference(&self.wanted_here()) {
            let grant = (view.object_id, *member, *right);
            let theirs =
                self.expected.foreign_grants.contains(&grant) || self.expected.tolerated.contains(&grant);
            let ours = self.expected.was_wanted(Some(own.as_str()), *member, *right);
            if departed.contains(member) || (ours && !theirs && !expands) {
                found.push(format!("{own} is refused, and {member} still holds {right:?}"));
            }
        }
    }

    fn wanted_here(&self) -> BTreeSet<(Uuid, Right)> {
        let own = name(self.mailbox);
        let here = self.wanted.keys().filter(|key| key.mailbox == own);
        here.map(|key| (key.member, key.right)).collect()
    }

    /// Whether a grant that no manifest asks for may be there.
    fn is_excused(&self, grant: (Uuid, Uuid, Right)) -> bool {
        if self.expected.foreign_grants.contains(&grant) {
            return true;
        }
        let (_, member, _) = grant;
        let is_removed = is_exclusive(self.mailbox)
            && !ignored(self.world, self.mailbox).contains(&member)
            && !is_named(self.world, self.mailbox, member);
        self.expected.tolerated.contains(&grant) && !is_removed && !departed(self.world).contains(&member)
    }

    fn permission(&self, permission: &Value, fate: Fate, served: bool, found: &mut Vec<String>) {
        let members = members_of(permission);
        let valid = members
            .iter()
            .all(|member| valid_member(self.world, member).is_some() || is_expanded(self.world, member))
            || has_ended(self.world, permission);
        let ready = ready_of(permission);
        let granted = ready.is_true();
        let what = format!(
            "permission {}: Ready is {} {}",
            name(permission),
            ready.status,
            ready.reason
        );
        if !is_reported(permission) && fate != Fate::Paused {
            found.push(format!("{what} and the status speaks of an old spec"));
        }
        if served && valid && !granted {
            found.push(format!("{what} and ought to be True"));
        }
        // A mailbox that is refused for another reason hands out rights all the same, but only true ones.
        if granted && !(valid && self.truly_holds(permission)) {
            found.push(format!("{what} and ought not to be True"));
        }
    }

    fn truly_holds(&self, permission: &Value) -> bool {
        let Some(held) = view_of(self.world, self.mailbox).map(|view| held(&view)) else {
            return false;
        };
        grants_of(self.world, &mut People::default(), permission, Members::All)
            .into_iter()
            .all(|key| held.contains(&(key.member, key.right)))
    }

    fn tenant(&self, view: &MailboxView, found: &mut Vec<String>) {
        let own = name(self.mailbox);
        let spec = &self.mailbox["spec"];
        found.extend(
            settings_differ(self.mailbox, view)
                .into_iter()
                .map(|what| format!("{own}: {what}")),
        );
        let mut check = |fine: bool, what: String| {
            if !fine {
                found.push(format!("{own}: {what}"));
            }
        };
        check(
            marked_name(view) == Some(own.clone()),
            format!("is marked {:?}", view.custom_attributes),
        );
        let addresses = addresses_of(view);
        let aliases: BTreeSet<String> = texts(&spec["aliases"]).into_iter().collect();
        let primaries = self.expected.primaries.get(&own).cloned().unwrap_or_default();
        for gone in self.expected.declared_aliases.get(&own).into_iter().flatten() {
            let may_stay = aliases.contains(gone) || primaries.contains(gone);
            check(
                may_stay || !addresses.contains(gone),
                format!("still has the address {gone}"),
            );
        }
        let wanted = self.wanted_here();
        let held = held(view);
        for (member, right) in wanted.difference(&held) {
            check(false, format!("{member} lacks {right:?}"));
        }
        for (member, right) in held.difference(&wanted) {
            let grant = (view.object_id, *member, *right);
            check(
                self.is_excused(grant),
                format!("{member} holds {right:?}, which nobody asks for"),
            );
        }
    }
}

/// Whether a permission names them on this mailbox, refused or not: they keep what they have.
pub fn is_named(world: &World, mailbox: &Value, member: Uuid) -> bool {
    is_named_by(world, mailbox, member, |_| true)
}

/// The same in a permission with this right.
pub fn is_named_with(world: &World, mailbox: &Value, member: Uuid, right: Right) -> bool {
    is_named_by(world, mailbox, member, |permission| {
        let rights = texts(&permission["spec"]["rights"]);
        rights.iter().any(|text| Right::parse(text) == Some(right))
    })
}

fn is_named_by(world: &World, mailbox: &Value, member: Uuid, is_meant: impl Fn(&Value) -> bool) -> bool {
    let own = name(mailbox);
    let permissions = permissions(world);
    let here = permissions.iter().filter(|permission| {
        home(permission) == own && !has_ended(world, permission) && is_meant(permission)
    });
    let mut members = here.flat_map(|permission| members_of(permission));
    members.any(|named| {
        let address = named["user"]
            .as_str()
            .or(named["group"].as_str())
            .unwrap_or_default();
        world.tenant.object_id(address) == Some(member)
    })
}

fn addresses_of(view: &MailboxView) -> BTreeSet<String> {
    let all = view.addresses.iter();
    all.filter_map(|address| address.to_lowercase().strip_prefix("smtp:").map(str::to_owned))
        .collect()
}

/// What the mailbox itself, its address list and its account lack of what is declared.
pub fn settings_differ(mailbox: &Value, view: &MailboxView) -> Vec<String> {
    let spec = &mailbox["spec"];
    let mut found = Vec::new();
    if spec["displayName"] != view.display_name.as_str() {
        found.push(format!("is called {:?}", view.display_name));
    }
    let primary = spec["emailAddress"].as_str().unwrap_or_default();
    if !view.primary_address.eq_ignore_ascii_case(primary) {
        found.push(format!("has address {}", view.primary_address));
    }
    if view.account_disabled != (spec["signIn"] != "Allowed") {
        found.push(format!("sign-in blocked: {}", view.account_disabled));
    }
    let aliases: BTreeSet<String> = texts(&spec["aliases"]).into_iter().collect();
    let addresses = addresses_of(view);
    if !aliases.is_subset(&addresses) {
        found.push(format!("lacks an alias: {addresses:?}"));
    }
    found.extend(settings::differ(mailbox, view));
    found
}

/// A group that is granted person by person: whoever in it can't hold a grant lowers nothing.
fn is_expanded(world: &World, member: &Value) -> bool {
    let group = member["group"].as_str().unwrap_or_default();
    member["expand"] == true && world.tenant.group_members(group).is_some()
}
