//! What the chart grants to the operator and what the operator asks for are the same. Both sides are read from the API
//! server: the roles as they are installed, and the audit log.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{Cluster, RELEASE};
use testkit::OPERATOR_NAMESPACE;

/// A Secret that an ExchangeTenant names and no value of the chart does.
pub const UNNAMED_SECRET: &str = "another-app";

/// One request, or what one rule grants of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    verb: String,
    group: String,
    /// With its subresource, as in `sharedmailboxes/status`.
    resource: String,
    /// None where a rule grants all names, and for requests that any name would do for.
    name: Option<String>,
    /// None for all namespaces.
    namespace: Option<String>,
}

impl Access {
    /// Whether a request is one of those that this rule is there for.
    fn covers(&self, request: &Access) -> bool {
        let Access {
            verb,
            group,
            resource,
            name,
            namespace,
        } = self;
        *verb == request.verb
            && *group == request.group
            && *resource == request.resource
            && (name.is_none() || *name == request.name)
            && (namespace.is_none() || *namespace == request.namespace)
    }
}

pub fn everything_granted_is_used_and_everything_asked_is_granted(cluster: &Cluster) {
    let granted = granted(cluster);
    let Asked { allowed, refused } = asked(cluster);
    assert!(
        granted.len() > 15 && allowed.len() > 15,
        "{granted:?} {allowed:?}"
    );

    let unused: Vec<_> = granted
        .iter()
        .filter(|rule| !is_needed_beyond_this_story(rule))
        .filter(|rule| !allowed.iter().any(|request| rule.covers(request)))
        .collect();
    assert!(unused.is_empty(), "granted and never used: {unused:#?}");
    let uncovered: Vec<_> = allowed
        .iter()
        .filter(|request| !granted.iter().any(|rule| rule.covers(request)))
        .collect();
    assert!(
        uncovered.is_empty(),
        "used, and granted by nobody: {uncovered:#?}"
    );
    let expected = Access {
        verb: "get".to_owned(),
        group: String::new(),
        resource: "secrets".to_owned(),
        name: Some(UNNAMED_SECRET.to_owned()),
        namespace: Some(OPERATOR_NAMESPACE.to_owned()),
    };
    assert_eq!(refused, BTreeSet::from([expected]));
}

/// `operate` is a verb of no request: the policy that guards MailboxLedgers asks for it. One is deleted when its mailbox
/// is gone for long, or when there are two for one mailbox; that the operator may is in `ledger.rs`. The Lease of a tenant
/// is renewed after five minutes.
fn is_needed_beyond_this_story(rule: &Access) -> bool {
    let is_of_tenant = rule.namespace.as_deref() == Some("kube-system");
    match (rule.resource.as_str(), rule.verb.as_str()) {
        ("mailboxledgers", "operate" | "delete") => true,
        ("leases", "update") => is_of_tenant,
        _ => false,
    }
}

/// What the chart's three roles grant, a line for each verb, resource and name.
fn granted(cluster: &Cluster) -> Vec<Access> {
    let everywhere = cluster.get(&format!("clusterrole {RELEASE}"));
    let at_home = cluster.get(&format!("role {RELEASE} -n {OPERATOR_NAMESPACE}"));
    let shared = cluster.get(&format!("role {RELEASE}-{OPERATOR_NAMESPACE} -n kube-system"));
    let roles = [
        (everywhere, None),
        (at_home, Some(OPERATOR_NAMESPACE)),
        (shared, Some("kube-system")),
    ];
    let mut all = Vec::new();
    for (role, namespace) in roles {
        for rule in role["rules"].as_array().unwrap() {
            assert!(!rule.to_string().contains('*'), "{rule}");
            let names = match texts(&rule["resourceNames"]) {
                names if names.is_empty() => vec![None],
                names => names.into_iter().map(Some).collect(),
            };
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        all.extend(names.iter().map(|name| Access {
                            verb: verb.clone(),
                            group: group.clone(),
                            resource: resource.clone(),
                            name: name.clone(),
                            namespace: namespace.map(str::to_owned),
                        }));
                    }
                }
            }
        }
    }
    all
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What the operator's service account asked for.
#[derive(Default)]
struct Asked {
    /// By the chart's bindings and nobody else's.
    allowed: BTreeSet<Access>,
    refused: BTreeSet<Access>,
}

fn asked(cluster: &Cluster) -> Asked {
    let mut asked = Asked::default();
    let user = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{RELEASE}");
    let log = fs::read_to_string(cluster.control_plane.audit_log().unwrap()).unwrap();
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        if entry["user"]["username"] != user.as_str() {
            continue;
        }
        let access = access(&entry);
        let decision = &entry["annotations"]["authorization.k8s.io/decision"];
        if decision == "allow" {
            let reason = entry["annotations"]["authorization.k8s.io/reason"]
                .as_str()
                .unwrap();
            assert!(
                reason.contains(&format!("Binding \"{RELEASE}")),
                "{reason}: {entry}"
            );
            let status = &entry["responseStatus"]["code"];
            assert!(*status != 403, "refused by admission: {entry}");
            asked.allowed.insert(access);
        } else {
            asked.refused.insert(access);
        }
    }
    asked
}

fn access(entry: &Value) -> Access {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let object = &entry["objectRef"];
    assert!(object.is_object(), "no request for an object: {entry}");
    let resource = text(&object["resource"]).unwrap();
    let resource = match text(&object["subresource"]) {
        Some(part) => format!("{resource}/{part}"),
        None => resource,
    };
    Access {
        verb: text(&entry["verb"]).unwrap(),
        group: text(&object["apiGroup"]).unwrap_or_default(),
        resource,
        name: text(&object["name"]),
        namespace: text(&object["namespace"]),
    }
}
