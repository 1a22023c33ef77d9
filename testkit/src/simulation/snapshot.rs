//! The end of a run as text that can be compared with another run's: without times and without ids that are
//! drawn anew each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use simulator::{Actor, JournalKind};

use super::Simulation;
use super::model;

/// Everything that may differ between two runs that came to the same end.
const FLEETING: [&str; 12] = [
    "managedFields",
    "resourceVersion",
    "creationTimestamp",
    "uid",
    "lastTransitionTime",
    "since",
    "revokedAt",
    "expectedBy",
    "at",
    // Until when sign-in is proven.
    "signInProof",
    // What happened lately: a crash may have kept it from happening at all.
    "revoked",
    // What was weighed just before a crash is weighed once more after it.
    "revocations",
];

/// How a run ended and what it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub state: String,
    /// How often each kind of write changed something, by what it was about.
    pub changes: BTreeMap<String, usize>,
    /// Writes to our kinds that changed something.
    pub kubernetes_writes: usize,
}

impl Simulation {
    /// The end, and what changed since the given journal entry and point in the request log.
    pub fn end(&self, sequence: u64, requests: usize) -> End {
        let names = self.names();
        let plain = |value: &Value| {
            let text = serde_json::to_string_pretty(value).unwrap_or_default();
            names.iter().fold(text, |text, (id, name)| text.replace(id, name))
        };
        let mut changes = BTreeMap::new();
        for entry in self.world.tenant.journal_since(sequence) {
            if entry.actor != Actor::App || !entry.changed {
                continue;
            }
            let what = match &entry.kind {
                JournalKind::Cmdlet { name, parameters, .. } => {
                    let word = |key: &str| parameters[key].as_str().unwrap_or_default().to_owned();
                    let about = if name == "New-Mailbox" {
                        word("PrimarySmtpAddress")
                    } else {
                        word("Identity")
                    };
                    format!("{name} {about} {}{}", word("User"), word("Trustee"))
                }
                JournalKind::Graph { method, path, .. } => format!("{method} {path}"),
                other @ (JournalKind::Token { .. } | JournalKind::Other { .. }) => format!("{other:?}"),
            };
            *changes.entry(plain(&json!(what))).or_default() += 1;
        }
        let written = self.world.server.requests();
        let kubernetes_writes = written.iter().skip(requests).filter(|request| {
            let is_ours = request.group == "sharedmailbox.dev" && request.manager != "tests";
            // The time of proof on the tenant moves on by itself.
            request.changed && is_ours && request.plural != "exchangetenants"
        });
        End {
            state: plain(&self.state()),
            changes,
            kubernetes_writes: kubernetes_writes.count(),
        }
    }

    fn state(&self) -> Value {
        let mut mailboxes = Vec::new();
        for mut view in self.world.tenant.mailboxes() {
            view.addresses.sort();
            view.full_access.sort_by_key(|entry| entry.trustee);
            view.send_as.sort();
            view.on_behalf.sort();
            let enabled = self.world.tenant.account_enabled(&view.object_id.to_string());
            mailboxes.push(json!([view, enabled]));
        }
        let mut resources = model::mailboxes(&self.world);
        resources.extend(model::permissions(&self.world));
        resources.extend(
            self.world
                .server
                .objects("sharedmailbox.dev", "exchangetenants", None),
        );
        let mut resources: Vec<Value> = resources.into_iter().map(Arc::unwrap_or_clone).collect();
        resources.iter_mut().for_each(strip);
        json!({ "tenant": mailboxes, "kubernetes": resources })
    }

    /// A stable name for each id that is drawn while running.
    fn names(&self) -> Vec<(String, String)> {
        let mut names = Vec::new();
        for view in self.world.tenant.mailboxes() {
            let address = &view.primary_address;
            if let Some(sid) = self.world.tenant.sid(&view.object_id.to_string()) {
                names.push((sid, format!("sid of {address}")));
            }
            names.push((
                view.exchange_guid.to_string(),
                format!("mailbox guid of {address}"),
            ));
            names.push((view.object_id.to_string(), format!("object id of {address}")));
            names.push((view.guid.to_string(), format!("guid of {address}")));
        }
        for resource in model::mailboxes(&self.world) {
            let uid = resource["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            names.push((uid, format!("uid of {}", model::name(&resource))));
        }
        names
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !FLEETING.contains(&key.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
