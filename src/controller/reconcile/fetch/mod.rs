//! What Exchange and the directory show. Reads only.

mod identities;
mod members;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use tokio::time::Instant;

use super::outcome::Stall;
use super::validate::Admitted;
use crate::api::Record;
use crate::controller::state::tenants::Tenant;
use crate::exchange::{
    ErrorClass, ExchangeError, FullAccessRow, MailboxRow, RecipientIdentity, RecipientKind, RecipientQuery,
    RecipientRow, SendAsRow, UserRow,
};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, Marker, MarkerOwner, Nickname, ObjectId, Right, Sid, SmtpAddress};
use crate::plan::{Desired, Entry, Holders, Observed, OnBehalf, WantedGrant};

/// Numbered nicknames that are tried when none is declared.
const NICKNAMES: u32 = 9;

/// One mailbox, seen whole.
pub struct Seen {
    pub observed: Observed,
    /// RecipientTypeDetails.
    pub kind: String,
}

/// Where the mailbox of a resource without a GUID is.
pub enum Located {
    /// Possibly ours: to be read and judged.
    Mailbox(MailboxGuid),
    /// Nobody holds its addresses; this nickname is free.
    Nowhere(Nickname),
}

pub struct Fetch<'a> {
    pub tenant: &'a Tenant,
    pub lane: Lane,
    pub now: Instant,
}

impl Fetch<'_> {
    /// Looks up every claimed address at once: recipients of any kind, soft-deleted ones too, and people
    /// whose sign-in name it is; and the mailbox that carries the resource's marker, whatever its address.
    pub async fn locate(
        &self,
        admitted: &Admitted,
        owner: &MarkerOwner,
        record: &Record,
    ) -> Result<Result<Located, Stall>, ExchangeError> {
        let tenant = self.tenant;
        let claimed: BTreeSet<SmtpAddress> = admitted
            .aliases
            .iter()
            .chain([&admitted.address])
            .cloned()
            .collect();
        let nicknames: Vec<(Nickname, SmtpAddress)> = candidates(admitted)
            .into_iter()
            .filter_map(|nickname| {
                let address = SmtpAddress::of(nickname.as_str(), &tenant.initial_domain).ok()?;
                Some((nickname, address))
            })
            .collect();
        let all: BTreeSet<SmtpAddress> = nicknames
            .iter()
            .map(|(_, a)| a)
            .chain(&claimed)
            .cloned()
            .collect();
        let mut queries: Vec<RecipientQuery> = all.iter().cloned().map(RecipientQuery::Address).collect();
        queries.extend(
            record
                .intent
                .iter()
                .map(|i| RecipientQuery::DisplayName(i.one_time_name.clone())),
        );
        queries.push(RecipientQuery::Marker(tenant.marker_attribute, owner.clone()));
        let upns: Vec<SmtpAddress> = all.into_iter().collect();
        let (recipients, users) = futures::try_join!(
            tenant.gateway.find_recipients(self.lane, &queries),
            tenant.gateway.find_users_by_upn(self.lane, &upns),
        )?;
        if let Some(guid) = announced(&recipients, record) {
            return Ok(Ok(Located::Mailbox(guid)));
        }
        let holders = Holding {
            recipients: &recipients,
            users: &users,
            marker_attribute: tenant.marker_attribute,
        };
        let marked = holders.marked(owner);
        let mut taken = None;
        for address in &claimed {
            match holders.of(address, owner) {
                Hold::Free => {}
                Hold::MaybeOurs(guid) => return Ok(Ok(Located::Mailbox(guid))),
                Hold::Taken(by) => {
                    taken.get_or_insert_with(|| format!("{address} {by}"));
                }
            }
        }
        if let Some(guid) = marked.first() {
            return Ok(Ok(Located::Mailbox(*guid)));
        }
        if let Some(taken) = taken {
            return Ok(Err(Stall::AddressInUse(taken)));
        }
        let free = |(_, address): &&(Nickname, SmtpAddress)| matches!(holders.of(address, owner), Hold::Free);
        Ok(match nicknames.iter().find(free) {
            Some((nickname, _)) => Ok(Located::Nowhere(nickname.clone())),
            None => Err(Stall::AddressInUse(format!(
                "the nickname is taken: somebody has {} (every nickname claims an address in the initial domain); \
                 set spec.alias to another one",
                nicknames
                    .first()
                    .map_or_else(String::new, |(_, address)| address.to_string())
            ))),
        })
    }

    /// Reads one mailbox whole, in one batch: itself, its two permission lists, and a question for each
    /// wanted member whose SID nobody knows yet; its account in Graph where the app may read users.
    pub async fn mailbox(
        &self,
        guid: MailboxGuid,
        account: Option<ObjectId>,
        desired: &Desired,
        record: &Record,
    ) -> Result<Seen, ExchangeError> {
        let gateway = &self.tenant.gateway;
        let asks = questions(&desired.grants, record);
        let of = |right: Right| {
            asks.iter()
                .filter(move |(_, asked)| *asked == right)
                .map(|(id, _)| *id)
        };
        let ask_full_access = of(Right::FullAccess).map(|id| async move {
            let rows = gateway.full_access(self.lane, guid, Some(&id)).await;
            Ok::<_, ExchangeError>((id, none_if_gone(rows, &id)?))
        });
        let ask_send_as = of(Right::SendAs).map(|id| async move {
            let rows = gateway.send_as(self.lane, guid, Some(&id)).await;
            Ok::<_, ExchangeError>((id, none_if_gone(rows, &id)?))
        });
        let account_state = async {
            match account {
                Some(id) => self.directory_enabled(id).await,
                None => Ok(None),
            }
        };
        let (row, full_access, send_as, asked_full_access, asked_send_as, mut enabled) = futures::try_join!(
            gateway.mailbox(self.lane, guid),
            gateway.full_access(self.lane, guid, None),
            gateway.send_as(self.lane, guid, None),
            try_join_all(ask_full_access),
            try_join_all(ask_send_as),
            account_state,
        )?;
        // The mailbox itself says which account is behind it; what the status says was only a head start.
        if let Some(id) = row.object_id.filter(|id| account != Some(*id)) {
            enabled = self.directory_enabled(id).await?;
        }
        let on_behalf = self.on_behalf(&row.on_behalf).await;
        let first_sid = |rows: &[FullAccessRow]| rows.iter().find_map(full_access_holder);
        let mut observed = Observed {
            full_access: Holders {
                entries: full_access.iter().filter_map(full_access_entry).collect(),
                asked: asked_full_access
                    .into_iter()
                    .map(|(id, rows)| (id, first_sid(&rows)))
                    .collect(),
            },
            send_as: Holders {
                entries: send_as.iter().filter_map(send_as_entry).collect(),
                asked: asked_send_as
                    .into_iter()
                    .map(|(id, rows)| (id, rows.iter().find_map(send_as_holder)))
                    .collect(),
            },
            on_behalf,
            directory_enabled: enabled,
            ..plain(&row, self.tenant.marker_attribute)
        };
        observed.identities = self.identities(desired, &observed, record).await?;
        Ok(Seen {
            observed,
            kind: row.kind,
        })
    }

    /// None when the app may not read users, or the directory does not show the account yet.
    async fn directory_enabled(&self, id: ObjectId) -> Result<Option<bool>, ExchangeError> {
        if !self.tenant.directory.users_are_readable(self.now) {
            return Ok(None);
        }
        match self.tenant.gateway.directory_user(self.lane, &id).await {
            Ok(user) => Ok(Some(user.account_enabled)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) if error.class == ErrorClass::Denied => {
                self.tenant.directory.users_turned_out_unreadable(self.now);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Ids as they are; names, which older objects show, are looked up. What can't be tied stays unknown.
    async fn on_behalf(&self, entries: &[String]) -> OnBehalf {
        let mut on_behalf = OnBehalf::default();
        let mut names = Vec::new();
        for entry in entries {
            match entry.parse() {
                Ok(id) => {
                    on_behalf.ids.insert(id);
                }
                Err(_) => names.push(entry),
            }
        }
        let looked_up = join_all(names.into_iter().map(|name| async move {
            let identity = RecipientIdentity::read_back(name)?;
            self.tenant
                .gateway
                .recipient(self.lane, &identity)
                .await
                .ok()?
                .object_id
        }));
        for id in looked_up.await {
            match id {
                Some(id) => {
                    on_behalf.ids.insert(id);
                }
                None => on_behalf.untied += 1,
            }
        }
        on_behalf
    }
}

/// Whoever Exchange does not find has no rows. An error about the mailbox stays one.
fn none_if_gone<T>(rows: Result<Vec<T>, ExchangeError>, member: &ObjectId) -> Result<Vec<T>, ExchangeError> {
    match rows {
        Err(error) if error.does_not_find(member) => Ok(Vec::new()),
        other => other,
    }
}

/// One question for each wanted member without a known SID, about the right whose row shows it first.
fn questions(
    wanted: &BTreeMap<(ObjectId, Right), WantedGrant>,
    record: &Record,
) -> BTreeSet<(ObjectId, Right)> {
    let mut asks = BTreeMap::new();
    for (id, right) in wanted.keys() {
        // Send on Behalf has no rows; a person's SID is the same for both other rights.
        if *right != Right::SendOnBehalf && record.sid_of(id).is_none() {
            asks.entry(*id).or_insert(*right);
        }
    }
    asks.into_iter().collect()
}

fn candidates(admitted: &Admitted) -> Vec<Nickname> {
    if let Some(declared) = &admitted.alias {
        return vec![declared.clone()];
    }
    let derived = Nickname::derived_from(admitted.address.local_part());
    (1..=NICKNAMES).map(|number| derived.numbered(number)).collect()
}

fn announced(recipients: &[RecipientRow], record: &Record) -> Option<MailboxGuid> {
    let name = record.intent.as_ref()?.one_time_name.as_str();
    recipients
        .iter()
        .find(|row| row.display_name == name && !row.soft_deleted)?
        .guid
}

struct Holding<'a> {
    recipients: &'a [RecipientRow],
    users: &'a [UserRow],
    marker_attribute: u8,
}

enum Hold {
    Free,
    /// It carries a marker that names this resource.
    MaybeOurs(MailboxGuid),
    /// By whom, as the rest of a sentence that starts with the address.
    Taken(String),
}

impl Holding<'_> {
    /// Mailboxes whose own marker names this resource, in an order that is always the same.
    fn marked(&self, owner: &MarkerOwner) -> BTreeSet<MailboxGuid> {
        let live = self.recipients.iter().filter(|row| !row.soft_deleted);
        live.filter_map(|row| self.named_by_marker(row, owner)).collect()
    }

    /// The mailbox when it carries its own marker, and that names this resource.
    fn named_by_marker(&self, row: &RecipientRow, owner: &MarkerOwner) -> Option<MailboxGuid> {
        let marker: Marker = row.custom_attribute(self.marker_attribute).parse().ok()?;
        row.guid
            .filter(|guid| marker.names_same_resource(owner) && marker.mailbox == *guid)
    }

    fn of(&self, address: &SmtpAddress, owner: &MarkerOwner) -> Hold {
        if let Some(row) = self.recipients.iter().find(|row| row.has_address(address)) {
            return self.recipient(row, owner);
        }
        let signs_in = |user: &&UserRow| user.user_principal_name.eq_ignore_ascii_case(address.as_str());
        match self.users.iter().find(signs_in) {
            Some(_) => Hold::Taken("is the sign-in name of a person: take another address".to_owned()),
            None => Hold::Free,
        }
    }

    fn recipient(&self, row: &RecipientRow, owner: &MarkerOwner) -> Hold {
        if row.soft_deleted {
            let text = "is held by a soft-deleted mailbox: restore that one, purge it, or wait the 30 days it is kept";
            return Hold::Taken(text.to_owned());
        }
        match (row.guid, self.named_by_marker(row, owner)) {
            (_, Some(ours)) => Hold::MaybeOurs(ours),
            _ if row.kind == RecipientKind::UserMailbox => {
                Hold::Taken("is a person's own mailbox: it is never touched".to_owned())
            }
            (Some(_), _) if row.kind == RecipientKind::SharedMailbox => Hold::Taken(
                "is a shared mailbox that is not ours: no resource of this name made it".to_owned(),
            ),
            _ => Hold::Taken(format!(
                "is held by a {}: take another address",
                row.kind.as_str()
            )),
        }
    }
}

fn full_access_entry(row: &FullAccessRow) -> Option<Entry> {
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

fn send_as_entry(row: &SendAsRow) -> Option<Entry> {
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

fn full_access_holder(row: &FullAccessRow) -> Option<Sid> {
    holder_of(full_access_entry(row)?, Right::FullAccess)
}

fn send_as_holder(row: &SendAsRow) -> Option<Sid> {
    holder_of(send_as_entry(row)?, Right::SendAs)
}

fn holder_of(entry: Entry, right: Right) -> Option<Sid> {
    let allows = !entry.denies && entry.rights.contains(right.as_str());
    entry.sid.filter(|_| allows)
}

/// The mailbox itself, without what the other reads show.
fn plain(row: &MailboxRow, marker_attribute: u8) -> Observed {
    Observed {
        guid: row.guid,
        object_id: row.object_id,
        display_name: row.display_name.clone(),
        alias: row.alias.clone(),
        primary: row.primary.clone(),
        addresses: row.smtp_addresses().collect(),
        attribute: row.custom_attribute(marker_attribute).to_owned(),
        account_disabled: row.account_disabled,
        directory_enabled: None,
        full_access: Holders::default(),
        send_as: Holders::default(),
        on_behalf: OnBehalf::default(),
        identities: BTreeMap::new(),
        hidden: row.hidden_from_address_lists,
        forwarding: row.forwarding.clone(),
    }
}
