//! Which installation serves a tenant, so that two never write to it: a Lease for each tenant, in a namespace that all
//! installations of a cluster share.
//!
//! An installation is its cluster and its namespace, so a reinstall finds its own claim and waits for nobody. Others
//! wait until the Lease is gone, or until they have seen it unchanged for fifteen minutes; whoever serves stops by itself
//! before. What time the Lease names does not count: one of the two clocks may be wrong.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;

use super::fault::Fault;
use crate::api::reason::Reason;
use crate::clock::Clock;
use crate::controller::context::Context;
use crate::leadership::{TenantClaim, lease_spec};
use crate::mail::{ClusterId, TenantGuid};

/// Others take over when a claim was not renewed for so long.
const LAPSES: Duration = Duration::from_mins(15);
/// Whoever serves stops by itself a minute before: clocks of two machines differ, and a request may be under way.
const HOLDS: Duration = Duration::from_mins(14);
/// Claims are renewed by the check of the tenant, every five minutes; a little less, so that none is missed.
const RENEWAL: Duration = Duration::from_secs(290);
/// One that was not renewed for so long is probably of an installation that is gone.
const LATE: Duration = Duration::from_mins(10);
/// Somebody else may write between our read and our write.
const ATTEMPTS: usize = 3;

/// Takes or renews the claim to a tenant. Afterwards its gateway may write until the claim's own deadline.
pub async fn claim(context: &Context, guid: TenantGuid, cluster: &ClusterId) -> Result<(), Fault> {
    let held = context.state.tenants.claim(guid);
    let lease = TenantLease {
        api: Api::namespaced(context.client.clone(), &context.settings.tenant_lease_namespace),
        place: &context.settings.tenant_lease_namespace,
        name: format!("shared-mailbox-operator-{guid}"),
        installation: Installation {
            namespace: &context.settings.operator_namespace,
            cluster,
        },
        clock: context.clock,
        held: &held,
        unchanged_for: &|lease| {
            let now = context.clock.instant();
            context.state.tenants.unchanged_for(guid, lease, now)
        },
    };
    let mut result = lease.attempt().await;
    for _ in 1..ATTEMPTS {
        match &result {
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                result = lease.attempt().await;
            }
            Ok(_) | Err(_) => break,
        }
    }
    match result {
        Ok(None) => Ok(()),
        Ok(Some(other)) => {
            held.give_up();
            Err(lease.served_by(other))
        }
        Err(error) if held.is_current() => {
            tracing::warn!(%error, lease = lease.name, "the lease of a tenant could not be renewed; trying again");
            Ok(())
        }
        Err(error) => Err(lease.unavailable(&error)),
    }
}

struct TenantLease<'a> {
    api: Api<Lease>,
    place: &'a str,
    name: String,
    installation: Installation<'a>,
    clock: Clock,
    held: &'a TenantClaim,
    /// For how long the Lease has been as it is.
    unchanged_for: &'a (dyn Fn(&LeaseSpec) -> Duration + Sync),
}

/// Who serves it, as the Lease says, and for how long they have not said so again.
struct Other {
    holder: String,
    age: Duration,
}

impl TenantLease<'_> {
    /// None when this installation serves the tenant afterwards.
    async fn attempt(&self) -> Result<Option<Other>, kube::Error> {
        // The deadline counts from before the request: when its answer is late, so is our knowledge.
        let started = self.clock.instant();
        let now = MicroTime(self.clock.now());
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(LeaseSpec::default(), true, now)),
            };
            self.api.create(&PostParams::default(), &lease).await?;
            self.held.hold_until(started + HOLDS);
            return Ok(None);
        };
        let old = lease.spec.take().unwrap_or_default();
        let holder = old.holder_identity.clone().unwrap_or_default();
        let is_ours = self.installation.is(&holder);
        if !is_ours && !holder.is_empty() {
            let age = (self.unchanged_for)(&old);
            if age < LAPSES {
                return Ok(Some(Other { holder, age }));
            }
        }
        if is_ours && self.held.left() + RENEWAL > HOLDS {
            return Ok(None);
        }
        lease.spec = Some(self.spec(old, is_ours, now));
        // The version that was read comes along, so a claim written meanwhile is a conflict.
        self.api
            .replace(&self.name, &PostParams::default(), &lease)
            .await?;
        self.held.hold_until(started + HOLDS);
        Ok(None)
    }

    fn spec(&self, old: LeaseSpec, is_ours: bool, now: MicroTime) -> LeaseSpec {
        lease_spec(old, is_ours, self.installation.to_string(), now, LAPSES)
    }

    fn served_by(&self, other: Other) -> Fault {
        let namespace = other.holder.split('/').next().unwrap_or_default();
        let message = format!(
            "this tenant is served by the installation in namespace {namespace:?} ({}), so the one in namespace {:?} \
             writes nothing to it: uninstall one of the two. When the other is gone already, this one takes over once it \
             has seen the Lease {}/{} unchanged for 15 minutes, or as soon as that is deleted",
            other.holder, self.installation.namespace, self.place, self.name
        );
        Fault::ServedByAnother {
            message,
            is_late: other.age >= LATE,
            holder: other.holder,
        }
    }

    fn unavailable(&self, error: &kube::Error) -> Fault {
        let (place, name) = (self.place, &self.name);
        let is_refused =
            matches!(error, kube::Error::Api(status) if status.is_forbidden() || status.code == 404);
        if !is_refused {
            return Fault::Unreachable(format!("the Lease {place}/{name} could not be used: {error}"));
        }
        let message = format!(
            "the Lease {place}/{name} shows which installation serves the tenant, and it can't be used: grant get, \
             create and update of leases in namespace {place:?}, which must exist, or name another one in \
             --tenant-lease-namespace (value tenantLeaseNamespace): {error}"
        );
        Fault::stalled(Reason::LeaseForbidden, message)
    }
}

struct Installation<'a> {
    namespace: &'a str,
    cluster: &'a ClusterId,
}

impl Installation<'_> {
    /// Whether a Lease names this installation, be its cluster renamed (`clusterId`) since.
    fn is(&self, holder: &str) -> bool {
        let namespace = holder.split('/').next();
        let uid_part = holder.rsplit('/').next();
        namespace == Some(self.namespace) && uid_part == Some(self.cluster.uid_part.as_str())
    }
}

impl std::fmt::Display for Installation<'_> {
    /// A namespace and the part of the uid have no slash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ClusterId { name, uid_part } = self.cluster;
        write!(f, "{}/{name}/{uid_part}", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(name: &str, uid_part: &str) -> ClusterId {
        ClusterId {
            name: name.to_owned(),
            uid_part: uid_part.to_owned(),
        }
    }

    #[test]
    fn an_installation_is_its_namespace_and_its_cluster_whatever_the_cluster_is_called() {
        let cluster_of = [
            cluster("production/1", "0a1b2c3d"),
            cluster("renamed", "0a1b2c3d"),
        ];
        let [here, renamed] = cluster_of.each_ref().map(|cluster| Installation {
            namespace: "mail",
            cluster,
        });
        assert_eq!(here.to_string(), "mail/production/1/0a1b2c3d");
        assert!(here.is(&here.to_string()) && here.is(&renamed.to_string()));
        for other in [
            "mail-2/production/1/0a1b2c3d",
            "mail/production/1/ffffffff",
            "mail",
            "",
        ] {
            assert!(!here.is(other), "{other:?}");
        }
    }
}
