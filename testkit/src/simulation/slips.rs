//! What people and tools do to the operator's memory and to what it reports: statuses scrambled, ledgers deleted, restored
//! and copied, a mailbox rebuilt object by object.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxLedger, MailboxPermission, SharedMailbox};

use super::ledgers::text;
use super::model::{self, home, name};
use super::rights::{Pair, changes};
use super::sent::{Sent, entry};
use super::sequence::{LEGACY, USERS};
use super::wishes::{self, Right};
use super::{Action, INTERVAL, Patience, Simulation};
use crate::rng::Rng;

/// So long after a ledger was restored nothing that it lists is revoked; the operator counts from when it sees it.
const GRACE: SignedDuration = SignedDuration::from_mins(59);
/// What was under way when it was restored may still be done.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(2);

/// One thing that happens to the ledger of the resource of a name, or to a status.
#[derive(Clone, Debug)]
pub enum Slip {
    /// Fields of the mailbox's status and of its permissions' are lost or forged, as drawn.
    Scramble(String, u64),
    Backup,
    Forget(String),
    /// As it was at the last backup, in place of what there is. With true the backup lacks one of its permissions.
    Restore(String, bool),
    /// As it was at the last backup, while nothing is under way.
    RestoreAtRest(String),
    /// As it was at the last backup, or as it is, beside the living one.
    Copy(String),
    /// The mailbox and its permissions are deleted and come back one by one, in an order that is drawn.
    Rebuild(String, u64),
    /// A ledger of another cluster's mailbox comes with somebody's backup.
    Stray(String),
}

/// What the oracles must know of slips.
#[derive(Default)]
pub struct Slips {
    backup: BTreeMap<String, MailboxLedger>,
    /// When the ledger of a mailbox (GUID) was restored, and how long what was under way may still be done.
    pub restored: BTreeMap<String, Vec<(Timestamp, SignedDuration)>>,
    /// A SharedMailbox was deleted: once it is back, what its permissions drop may stay for the hour.
    pub has_deleted: bool,
    /// When the ledger of which mailbox (GUID) was touched: what was announced before may be sent with no ledger around.
    pub touched: Vec<(Timestamp, String)>,
    /// Resources (uid) of whose mailboxes nothing is known any more.
    pub forgotten: BTreeSet<String>,
    pub wrongs: Vec<String>,
}

impl Simulation {
    pub(super) async fn slip(&mut self, slip: &Slip) -> Result<(), String> {
        match slip {
            Slip::Scramble(name, how) => self.scramble(name, *how).await,
            Slip::Backup => {
                for ledger in self.world.ledgers().await {
                    let own = ledger.spec.resource_ref.name.clone();
                    if is_settled(&ledger) {
                        self.slips.backup.insert(own, ledger);
                    }
                }
            }
            Slip::Forget(name) => {
                self.forget_ledger(name).await;
            }
            Slip::RestoreAtRest(name) => {
                self.restore(name, SignedDuration::ZERO).await;
            }
            Slip::Restore(name, lacks_one) => {
                if !self.restore(name, UNDER_WAY).await {
                    return Ok(());
                }
                let all = model::permissions(&self.world);
                let lost = all
                    .iter()
                    .find(|permission| lacks_one & (home(permission) == *name));
                if let Some(lost) = lost {
                    let lost = Action::delete_permission(&model::name(lost));
                    Box::pin(self.run(&lost)).await?;
                }
            }
            Slip::Copy(name) => {
                if let Some(living) = self.ledger_of(name).await {
                    let guid =
                        |ledger: &MailboxLedger| ledger.spec.mailbox.as_ref().map(|mailbox| mailbox.guid);
                    let of_same = |backup: &&MailboxLedger| guid(backup) == guid(&living);
                    let backup = self.slips.backup.get(name).filter(of_same).cloned();
                    self.touch(&living);
                    self.expected.release(&self.world, name);
                    self.create(&format!("copy-of-{name}"), &backup.unwrap_or(living))
                        .await;
                }
            }
            Slip::Rebuild(name, order) => return self.rebuild(name, *order).await,
            Slip::Stray(address) => self.stray(address).await,
        }
        Ok(())
    }

    /// The ledger of a mailbox that is marked: before, only the ledger knows whose it is.
    async fn ledger_of(&self, name: &str) -> Option<MailboxLedger> {
        let all = self.world.ledgers().await.into_iter();
        let mut own = all.filter(|ledger| ledger.spec.resource_ref.name == name && is_settled(ledger));
        let ledger = own.next()?;
        let guid = ledger.spec.mailbox.as_ref()?.guid.to_string();
        let view = self.world.tenant.mailbox(&guid)?;
        (model::marked_name(&view).as_deref() == Some(name)).then_some(ledger)
    }

    fn touch(&mut self, ledger: &MailboxLedger) {
        let guid = ledger
            .spec
            .mailbox
            .as_ref()
            .map(|mailbox| mailbox.guid.to_string());
        let now = self.world.server.now();
        self.slips.touched.push((now, guid.unwrap_or_default()));
    }

    async fn forget_ledger(&mut self, name: &str) -> bool {
        let Some(ledger) = self.ledger_of(name).await else {
            return false;
        };
        self.touch(&ledger);
        self.slips.forgotten.insert(ledger.spec.resource_ref.uid.clone());
        self.expected.release(&self.world, name);
        let api: Api<MailboxLedger> = Api::all(self.world.client.clone());
        let name = ledger.metadata.name.unwrap_or_default();
        api.delete(&name, &DeleteParams::default()).await.is_ok()
    }

    async fn restore(&mut self, name: &str, under_way: SignedDuration) -> bool {
        let Some(copy) = self.slips.backup.get(name).cloned() else {
            return false;
        };
        if !self.forget_ledger(name).await {
            return false;
        }
        self.create(&copy.metadata.name.clone().unwrap_or_default(), &copy)
            .await;
        let guid = copy.spec.mailbox.map(|mailbox| mailbox.guid.to_string());
        let times = self.slips.restored.entry(guid.unwrap_or_default()).or_default();
        times.push((self.world.server.now(), under_way));
        true
    }

    async fn create(&self, name: &str, of: &MailboxLedger) {
        let api: Api<MailboxLedger> = Api::all(self.world.client.clone());
        let copy = MailboxLedger::new(name, of.spec.clone());
        let _ = api.create(&PostParams::default(), &copy).await;
    }

    async fn stray(&mut self, address: &str) {
        let marker = "Managed by shared-mailbox-operator; cluster=other/00000000; resource=team-sales/elsewhere; \
                      uid=77777777-0000-4000-8000-000000000001";
        let mark = Action::Admin(
            "Set-Mailbox",
            json!({ "Identity": address, "CustomAttribute15": marker }),
        );
        let _ = Box::pin(self.run(&mark)).await;
        let (Some(view), Some(like)) = (
            self.world.tenant.mailbox(address),
            self.world.ledgers().await.into_iter().find(is_settled),
        ) else {
            return;
        };
        let mut stray = like;
        let spec = &mut stray.spec;
        "other/00000000".clone_into(&mut spec.cluster);
        "elsewhere".clone_into(&mut spec.resource_ref.name);
        "77777777-0000-4000-8000-000000000001".clone_into(&mut spec.resource_ref.uid);
        if let (Some(mailbox), Ok(guid)) = (&mut spec.mailbox, view.exchange_guid.to_string().parse()) {
            mailbox.guid = guid;
            mailbox.object_id = None;
            mailbox.address = address.parse().ok();
        }
        self.create("77777777-0000-4000-8000-000000000001", &stray).await;
    }

    /// Statuses and labels may say anything: at rest nothing is sent because of them, and statuses are put right.
    pub(super) async fn scramble_all_at_rest(&mut self, how: u64) -> Result<(), String> {
        let from = self.world.server.now();
        let sequence = self.last_sent();
        for mailbox in model::mailboxes(&self.world) {
            self.scramble(&name(&mailbox), how).await;
        }
        self.pass(INTERVAL + Duration::from_mins(1)).await;
        let sent = self.sent_since(sequence);
        if !sent.is_empty() {
            return Err(format!(
                "statuses and labels were scrambled at {from}, and this was sent: {sent:#?}"
            ));
        }
        self.settle(Patience::usual().at_once()).await
    }

    async fn scramble(&mut self, name: &str, how: u64) {
        let mut rng = Rng::seeded(how);
        // Somebody else's mailbox, and somebody else's account, which may sign in.
        let tenant = &self.world.tenant;
        let forged = json!({ "mailboxGuid": tenant.mailbox(LEGACY).map(|view| view.exchange_guid),
                             "objectId": tenant.object_id(USERS[0]), "summary": "Expired",
                             "lastHandledReconcileAt": "forged", "lastHandledOrphanRemoval": "forged",
                             "revoked": [{ "address": "nobody@contoso.com", "objectId": tenant.object_id(USERS[0]),
                                           "right": "SendAs", "revokedAt": "2036-01-01T00:00:00Z" }] });
        self.label::<SharedMailbox>(self.world.api(), name, &mut rng)
            .await;
        if let Some(ledger) = self.ledger_of(name).await {
            let all: Api<MailboxLedger> = Api::all(self.world.client.clone());
            self.label(all, &ledger.name_any(), &mut rng).await;
        }
        let params = PostParams {
            field_manager: Some("tests".to_owned()),
            ..PostParams::default()
        };
        let api = self.world.api::<SharedMailbox>();
        if let Ok(Some(object)) = api.get_opt(name).await
            && let Some(object) = scrambled(&object, &forged, &mut rng)
        {
            let _ = api.replace_status(name, &params, &object).await;
        }
        let api = self.world.api::<MailboxPermission>();
        for permission in model::permissions(&self.world) {
            if home(&permission) != name {
                continue;
            }
            let own = model::name(&permission);
            self.label::<MailboxPermission>(self.world.api(), &own, &mut rng)
                .await;
            if let Ok(Some(object)) = api.get_opt(&own).await
                && let Some(object) = scrambled(&object, &forged, &mut rng)
            {
                let _ = api.replace_status(&own, &params, &object).await;
            }
        }
    }

    /// As people and tools label what they own, or think they own.
    async fn label<K>(&self, api: Api<K>, name: &str, rng: &mut Rng)
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let owner = rng.pick(&["team-sales", "argo-cd", "nobody"]);
        let labels = json!({ "app.kubernetes.io/managed-by": owner, "argocd.argoproj.io/instance": owner });
        let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
        let params = PatchParams {
            field_manager: Some("tests".to_owned()),
            ..PatchParams::default()
        };
        let _ = api.patch(name, &params, &patch).await;
    }

    /// Nobody whom both the old and the returned manifests name may lose anything on the way.
    async fn rebuild(&mut self, own: &str, order: u64) -> Result<(), String> {
        let mut rng = Rng::seeded(order);
        let plain = |object: &Value| {
            json!({ "apiVersion": object["apiVersion"], "kind": object["kind"], "spec": object["spec"],
                    "metadata": { "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"] } })
        };
        let mailboxes = model::mailboxes(&self.world);
        let Some(mailbox) = mailboxes.iter().find(|mailbox| name(mailbox) == own) else {
            return Ok(());
        };
        let mailbox = plain(mailbox);
        let permissions = model::permissions(&self.world);
        let mut back: Vec<Value> = permissions
            .iter()
            .filter(|permission| home(permission) == own)
            .map(|permission| plain(permission))
            .collect();
        let before = wishes::wanted(&self.world);
        let sent = self.wire.sent().len();
        Box::pin(self.run(&Action::delete_mailbox(own))).await?;
        for permission in &back {
            Box::pin(self.run(&Action::delete_permission(&name(permission)))).await?;
        }
        self.pass(Duration::from_secs(rng.between(1, 1_000))).await;
        // The mailbox may be neither the first nor the last.
        let first = rng.below(3) == 0 && !back.is_empty();
        if first {
            let manifest = back.swap_remove(0);
            Box::pin(self.run(&Action::Apply(manifest))).await?;
        }
        Box::pin(self.run(&Action::Apply(mailbox))).await?;
        while !back.is_empty() {
            let next = usize::try_from(rng.below(back.len() as u64)).unwrap();
            let manifest = back.swap_remove(next);
            self.pass(Duration::from_secs(rng.between(1, 900))).await;
            Box::pin(self.run(&Action::Apply(manifest))).await?;
        }
        let after = wishes::wanted(&self.world);
        let departed = wishes::departed(&self.world);
        for sent in self.wire.sent().into_iter().skip(sent) {
            let is_its = |ledger: &std::sync::Arc<Value>| ledger["spec"]["resourceRef"]["name"] == own;
            if !sent.ledgers.iter().any(is_its) {
                continue;
            }
            for (holder, right) in changes(&sent.cmdlet, &sent.parameters).taken {
                let (Some(member), Some(right)) = (self.world.tenant.object_id(&holder), Right::parse(right))
                else {
                    continue;
                };
                let key = wishes::Key {
                    mailbox: own.to_owned(),
                    member,
                    right,
                };
                let is_kept =
                    before.contains_key(&key) && after.contains_key(&key) && !departed.contains(&member);
                if is_kept && !self.expected.was_remapped(&key) {
                    self.slips
                        .wrongs
                        .push(format!("{}: {key:?} was revoked while {own} came back", sent.at));
                }
            }
        }
        Ok(())
    }

    /// Whether the ledger of its mailbox was touched a moment before.
    pub(super) fn is_touched(&self, sent: &Sent) -> bool {
        let identity = text(&sent.parameters["Identity"]);
        // Mailboxes are named by their GUIDs; the mailbox may be gone by now.
        let view = self.world.tenant.mailbox(identity);
        let guid = view.map_or_else(|| identity.to_lowercase(), |view| view.exchange_guid.to_string());
        let mut touched = self.slips.touched.iter().filter(|(_, of)| *of == guid);
        touched.any(|(since, _)| *since <= sent.at && sent.at.duration_since(*since) <= UNDER_WAY)
    }

    /// Whether the ledger of this mailbox (GUID) was touched at any time.
    pub(super) fn was_touched(&self, guid: &str) -> bool {
        self.slips.touched.iter().any(|(_, of)| of == guid)
    }

    /// Nothing that a restored ledger lists is revoked for an hour, but of people who have left.
    pub(super) fn too_early(&self, sent: &Sent, pair: &Pair) -> bool {
        sent.ledgers.iter().any(|ledger| {
            let guid = ledger["spec"]["mailbox"]["guid"].as_str().unwrap_or_default();
            let Some(entry) = entry(ledger, pair) else {
                return false;
            };
            let granted: Option<Timestamp> = entry["at"].as_str().and_then(|at| at.parse().ok());
            let mut times = self.slips.restored.get(guid).into_iter().flatten();
            let is_fresh = times.any(|(since, under_way)| {
                let long = sent.at.duration_since(*since);
                // What was granted since then is not from the restored ledger.
                let is_new = granted.is_some_and(|granted| granted > *since);
                long >= *under_way && long < GRACE && !is_new
            });
            is_fresh && entry["remapping"] != true && entry["state"] != "Removed"
        }) && !self.had_left(sent, &pair.0, sent.at.saturating_sub(UNDER_WAY).unwrap())
    }

    /// How long what was restored or brought back may take.
    pub(super) fn grace(&self) -> Duration {
        if self.slips.touched.is_empty() && !self.slips.has_deleted {
            Duration::ZERO
        } else {
            Duration::from_mins(65)
        }
    }
}

fn is_settled(ledger: &MailboxLedger) -> bool {
    ledger.spec.intent.is_none()
        && ledger.spec.mailbox.is_some()
        && ledger.spec.gone_at.is_none()
        && !ledger.spec.cluster.starts_with("other/")
}

/// The object with some of its status lost, or forged to say less or something else than is so.
fn scrambled<T: Serialize + DeserializeOwned>(object: &T, forged: &Value, rng: &mut Rng) -> Option<T> {
    let mut value = serde_json::to_value(object).ok()?;
    if rng.percent(30) {
        value.as_object_mut()?.remove("status");
    }
    if let Some(status) = value["status"].as_object_mut() {
        for field in ["revoked", "lastHandledReconcileAt", "lastHandledOrphanRemoval"] {
            status.entry(field).or_insert(Value::Null);
        }
        let fields: Vec<String> = status.keys().cloned().collect();
        for field in fields {
            match (field.as_str(), rng.below(3)) {
                (_, 0) => {
                    status.remove(&field);
                }
                (
                    "mailboxGuid"
                    | "objectId"
                    | "summary"
                    | "lastHandledReconcileAt"
                    | "lastHandledOrphanRemoval"
                    | "revoked",
                    1,
                ) => status[&field] = forged[&field].clone(),
                ("observedGeneration", 1) => status[&field] = json!(0),
                ("conditions", 1) => {
                    for condition in status[&field].as_array_mut().into_iter().flatten() {
                        condition["status"] = json!("False");
                    }
                    if let Some(conditions) = status[&field].as_array_mut() {
                        conditions.retain(|condition| condition["type"] != "RevocationDue");
                        conditions.push(json!({ "type": "RevocationDue", "status": "True", "reason": "TakenUp",
                                                "message": "forged", "lastTransitionTime": "2026-01-01T00:00:00Z" }));
                    }
                }
                _ => {}
            }
        }
    }
    serde_json::from_value(value).ok()
}
