//! The text in a mailbox's marker attribute that says whose it is.

use std::fmt;
use std::str::FromStr;

use super::MailboxGuid;

/// Which cluster: the tenant's `clusterId` and the first eight letters of the kube-system namespace's uid,
/// so that manifests copied to another cluster own nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterId {
    pub name: String,
    pub uid_part: String,
}

/// Which resource a mailbox belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MarkerOwner {
    pub cluster: ClusterId,
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// The whole marker. Its GUID must be that of the mailbox it stands on: copied text proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    pub owner: MarkerOwner,
    pub mailbox: MailboxGuid,
}

const PREFIX: &str = "Managed by shared-mailbox-operator v1;";
const ADVICE: &str = "change the Kubernetes resource, not this mailbox";

impl Marker {
    /// True when the marker names `owner` in all but the uid: the same resource, perhaps deleted and applied again; or that
    /// of a cluster which the owner's succeeds.
    pub fn names_same_resource(&self, owner: &MarkerOwner, succeeds: &[ClusterId]) -> bool {
        self.has_name_of(owner)
            && (self.owner.cluster == owner.cluster || succeeds.contains(&self.owner.cluster))
    }

    /// True when the marker names a resource of the owner's namespace and name, in whichever cluster.
    pub fn has_name_of(&self, owner: &MarkerOwner) -> bool {
        self.owner.namespace == owner.namespace && self.owner.name == owner.name
    }
}

impl MarkerOwner {
    /// The resource of the same namespace and name in another cluster.
    pub fn in_cluster(&self, cluster: &ClusterId) -> Self {
        Self {
            cluster: cluster.clone(),
            ..self.clone()
        }
    }

    /// What every marker of this resource starts with, whichever uid it names.
    pub fn start_of_marker(&self) -> String {
        let Self {
            cluster,
            namespace,
            name,
            uid: _,
        } = self;
        format!("{PREFIX} cluster={cluster}; resource={namespace}/{name};")
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.uid_part)
    }
}

impl FromStr for ClusterId {
    type Err = NotAMarker;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, uid_part) = text.split_once('/').ok_or(NotAMarker)?;
        Ok(Self {
            name: name.to_owned(),
            uid_part: uid_part.to_owned(),
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, mailbox } = self;
        let start = owner.start_of_marker();
        write!(f, "{start} uid={}; mailbox={mailbox}; {ADVICE}", owner.uid)
    }
}

/// Text that is not a marker of ours, of any version we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is no marker of this operator")]
pub struct NotAMarker;

impl FromStr for Marker {
    type Err = NotAMarker;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix(PREFIX).ok_or(NotAMarker)?;
        let mut fields = rest.split("; ").map(str::trim);
        let mut field = |key: &str| {
            fields
                .next()
                .and_then(|f| f.strip_prefix(key))
                .and_then(|f| f.strip_prefix('='))
                .ok_or(NotAMarker)
        };
        let cluster = field("cluster")?.parse()?;
        let (namespace, name) = field("resource")?.split_once('/').ok_or(NotAMarker)?;
        let uid = field("uid")?;
        let mailbox = field("mailbox")?.parse().map_err(|_| NotAMarker)?;
        let marker = Self {
            owner: MarkerOwner {
                cluster,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: uid.to_owned(),
            },
            mailbox,
        };
        // What does not print back to the same text was edited by somebody.
        if marker.to_string() == text {
            Ok(marker)
        } else {
            Err(NotAMarker)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        Marker {
            owner: MarkerOwner {
                cluster: ClusterId {
                    name: "production-1".into(),
                    uid_part: "0a1b2c3d".into(),
                },
                namespace: "team-sales".into(),
                name: "sales".into(),
                uid: "9d4f0c5e-0000-4000-8000-000000000001".into(),
            },
            mailbox: "44444444-4444-4444-8444-444444444444".parse().unwrap(),
        }
    }

    #[test]
    fn a_marker_reads_back_as_written() {
        let text = marker().to_string();
        assert_eq!(
            text,
            "Managed by shared-mailbox-operator v1; cluster=production-1/0a1b2c3d; resource=team-sales/sales; \
             uid=9d4f0c5e-0000-4000-8000-000000000001; mailbox=44444444-4444-4444-8444-444444444444; \
             change the Kubernetes resource, not this mailbox"
        );
        assert_eq!(text.parse::<Marker>().unwrap(), marker());
    }

    #[test]
    fn the_longest_legal_marker_fits_the_attribute() {
        let mut longest = marker();
        longest.owner.cluster.name = "c".repeat(63);
        longest.owner.namespace = "n".repeat(63);
        longest.owner.name = "m".repeat(253);
        assert!(
            longest.to_string().len() <= 1024,
            "CustomAttribute1..15 hold 1024 characters"
        );
    }

    #[test]
    fn any_other_text_is_not_ours() {
        let text = marker().to_string();
        for other in [
            "",
            "cost centre 4711",
            &text.replace("v1", "v2"),
            &text.replace("; uid", "; note=x; uid"),
            &format!("{text} (checked by Jo)"),
            &text.replace("mailbox=4", "mailbox=x"),
        ] {
            assert_eq!(other.parse::<Marker>(), Err(NotAMarker), "{other}");
        }
    }

    #[test]
    fn the_same_resource_with_another_uid_is_recognised_and_another_cluster_is_not() {
        let mut owner = marker().owner;
        owner.uid = "new".into();
        assert!(marker().names_same_resource(&owner, &[]));
        owner.cluster.uid_part = "ffffffff".into();
        assert!(!marker().names_same_resource(&owner, &[]));
    }
}
