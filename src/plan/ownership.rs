//! Whose mailbox is it? Decided from the mailbox itself, as read in the task that wants to write.

use super::Observed;
use crate::ledger::Ledger;
use crate::mail::{ClusterId, Marker, MarkerOwner};

/// How a mailbox stands to the resource that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It carries our marker.
    Ours,
    /// It was created by the New-Mailbox that the ledger announced and is not marked yet.
    JustCreated,
    /// It carries the marker of a resource of the same name that is gone, deleted and applied again, or that was in a
    /// cluster which this one succeeds.
    Reattached,
    NotOurs(NotOurs),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error("it carries no marker of this operator")]
    Unmarked,
    /// The text itself is nobody's business here: status may have been pointed at any mailbox.
    #[error("its marker attribute holds other text")]
    OtherText,
    #[error("its marker names the SharedMailbox {0:?} of this namespace")]
    Neighbour(String),
    /// Names of other namespaces' resources are nobody else's business.
    #[error("its marker names a SharedMailbox of another namespace")]
    OtherNamespace,
    #[error("its marker names a SharedMailbox of another cluster, and not the one of this name")]
    OtherResource,
    #[error("its marker names the same resource in the cluster {0}")]
    OtherCluster(ClusterId),
    #[error("its marker was copied from another mailbox")]
    CopiedMarker,
}

/// `succeeds`: the clusters whose mailboxes are taken over; `uid_is_alive` says whether a SharedMailbox with this uid
/// exists.
pub fn ownership(
    owner: &MarkerOwner,
    succeeds: &[ClusterId],
    observed: &Observed,
    ledger: &Ledger,
    uid_is_alive: impl Fn(&str) -> bool,
) -> Ownership {
    if observed.attribute.is_empty() {
        let announced = ledger
            .intent
            .as_ref()
            .is_some_and(|intent| intent.one_time_name.as_str() == observed.display_name);
        return if announced {
            Ownership::JustCreated
        } else {
            Ownership::NotOurs(NotOurs::Unmarked)
        };
    }
    let Ok(marker) = observed.attribute.parse::<Marker>() else {
        return Ownership::NotOurs(NotOurs::OtherText);
    };
    if marker.mailbox != observed.guid {
        Ownership::NotOurs(NotOurs::CopiedMarker)
    } else if marker.owner == *owner {
        Ownership::Ours
    } else if marker.names_same_resource(owner, succeeds) && !uid_is_alive(&marker.owner.uid) {
        Ownership::Reattached
    } else if marker.owner.cluster != owner.cluster && marker.has_name_of(owner) {
        Ownership::NotOurs(NotOurs::OtherCluster(marker.owner.cluster))
    } else if marker.owner.cluster != owner.cluster {
        Ownership::NotOurs(NotOurs::OtherResource)
    } else if marker.owner.namespace != owner.namespace {
        Ownership::NotOurs(NotOurs::OtherNamespace)
    } else {
        Ownership::NotOurs(NotOurs::Neighbour(marker.owner.name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{intent, mailbox, owner};
    use super::*;

    fn marked(change: impl FnOnce(&mut Marker)) -> Observed {
        let mut observed = mailbox();
        let mut marker = Marker {
            owner: owner(),
            mailbox: observed.guid,
        };
        change(&mut marker);
        observed.attribute = marker.to_string();
        observed
    }

    fn stands(observed: &Observed) -> Ownership {
        ownership(&owner(), &[], observed, &Ledger::default(), |uid| uid == "alive")
    }

    #[test]
    fn our_own_marker_on_its_own_mailbox_is_proof() {
        assert_eq!(stands(&marked(|_| {})), Ownership::Ours);
    }

    #[test]
    fn a_resource_applied_again_takes_its_mailbox_up_again() {
        assert_eq!(
            stands(&marked(|m| m.owner.uid = "gone".into())),
            Ownership::Reattached
        );
    }

    #[test]
    fn a_living_resource_keeps_its_mailbox() {
        assert_eq!(
            stands(&marked(|m| m.owner.uid = "alive".into())),
            Ownership::NotOurs(NotOurs::Neighbour(owner().name))
        );
    }

    #[test]
    fn the_same_resource_of_a_cluster_that_this_one_succeeds_is_taken_over_and_another_is_not() {
        let theirs = |m: &mut Marker| {
            m.owner.cluster.uid_part = "ffffffff".into();
            m.owner.uid = "theirs".into();
        };
        let other = marked(theirs).attribute.parse::<Marker>().unwrap().owner.cluster;
        let stands = |observed: &Observed| {
            let succeeds = std::slice::from_ref(&other);
            ownership(&owner(), succeeds, observed, &Ledger::default(), |uid| {
                uid == "alive"
            })
        };
        assert_eq!(stands(&marked(theirs)), Ownership::Reattached);
        let renamed = marked(|m| {
            theirs(m);
            m.owner.name = "other".into();
        });
        assert_eq!(stands(&renamed), Ownership::NotOurs(NotOurs::OtherResource));
        let third = marked(|m| m.owner.cluster.uid_part = "eeeeeeee".into());
        assert!(matches!(
            stands(&third),
            Ownership::NotOurs(NotOurs::OtherCluster(_))
        ));
    }

    #[test]
    fn other_clusters_other_names_copied_and_edited_markers_prove_nothing() {
        for (observed, why) in [
            (
                marked(|m| m.owner.cluster.uid_part = "ffffffff".into()),
                NotOurs::OtherCluster(ClusterId {
                    uid_part: "ffffffff".into(),
                    ..owner().cluster
                }),
            ),
            (
                marked(|m| m.owner.name = "other".into()),
                NotOurs::Neighbour("other".into()),
            ),
            (
                marked(|m| m.owner.namespace = "other".into()),
                NotOurs::OtherNamespace,
            ),
            (
                marked(|m| m.mailbox = "99999999-9999-4999-8999-999999999999".parse().unwrap()),
                NotOurs::CopiedMarker,
            ),
            (
                Observed {
                    attribute: "cost centre 7".into(),
                    ..mailbox()
                },
                NotOurs::OtherText,
            ),
            (mailbox(), NotOurs::Unmarked),
        ] {
            assert_eq!(stands(&observed), Ownership::NotOurs(why));
        }
    }

    #[test]
    fn the_one_time_name_of_the_announced_creation_is_proof_until_the_marker_stands() {
        let ledger = Ledger {
            intent: Some(intent()),
            ..Ledger::default()
        };
        let mut observed = mailbox();
        observed.display_name = intent().one_time_name.to_string();
        assert_eq!(
            ownership(&owner(), &[], &observed, &ledger, |_| false),
            Ownership::JustCreated
        );
        observed.attribute = "cost centre 7".into();
        assert!(matches!(
            ownership(&owner(), &[], &observed, &ledger, |_| false),
            Ownership::NotOurs(_)
        ));
    }
}
