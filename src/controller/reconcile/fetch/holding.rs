//! Who holds an address that a resource claims.

use std::collections::BTreeSet;

use crate::exchange::{RecipientKind, RecipientRow, UserRow};
use crate::mail::{ClusterId, MailboxGuid, Marker, MarkerOwner, SmtpAddress};

/// What was found about all claimed addresses.
pub struct Holding<'a> {
    pub recipients: &'a [RecipientRow],
    pub users: &'a [UserRow],
    pub marker_attribute: u8,
    pub owner: &'a MarkerOwner,
    pub succeeds: &'a [ClusterId],
}

pub enum Hold {
    Free,
    /// It carries a marker that names this resource.
    MaybeOurs(MailboxGuid),
    /// It is a shared mailbox and carries no marker that is its own.
    Existing(MailboxGuid),
    /// By whom, as the rest of a sentence that starts with the address.
    Taken(String),
}

impl Holding<'_> {
    /// Mailboxes whose own marker names this resource, in an order that is always the same.
    pub fn marked(&self) -> BTreeSet<MailboxGuid> {
        let live = self.recipients.iter().filter(|row| !row.soft_deleted);
        live.filter_map(|row| self.named_by_marker(row)).collect()
    }

    /// The mailbox when it carries its own marker, and that names this resource.
    fn named_by_marker(&self, row: &RecipientRow) -> Option<MailboxGuid> {
        let marker = self.own_marker(row)?;
        let is_ours = marker.names_same_resource(self.owner, self.succeeds);
        is_ours.then_some(marker.mailbox)
    }

    /// The marker of the row, unless it was copied from another mailbox.
    fn own_marker(&self, row: &RecipientRow) -> Option<Marker> {
        let marker: Marker = row.custom_attribute(self.marker_attribute).parse().ok()?;
        (row.guid == Some(marker.mailbox)).then_some(marker)
    }

    pub fn of(&self, address: &SmtpAddress) -> Hold {
        if let Some(row) = self.recipients.iter().find(|row| row.has_address(address)) {
            return self.recipient(row);
        }
        match self.users.iter().find(|user| user.signs_in_as(address)) {
            Some(_) => Hold::Taken("is the sign-in name of a person: take another address".to_owned()),
            None => Hold::Free,
        }
    }

    fn recipient(&self, row: &RecipientRow) -> Hold {
        if row.soft_deleted {
            let text = "is held by a soft-deleted mailbox: restore that one, purge it, or wait the 30 days it is kept";
            return Hold::Taken(text.to_owned());
        }
        if let Some(ours) = self.named_by_marker(row) {
            return Hold::MaybeOurs(ours);
        }
        let by_another = || {
            let kind = row.kind.in_words();
            Hold::Taken(format!("is held by {kind}: take another address"))
        };
        match &row.kind {
            RecipientKind::UserMailbox => {
                Hold::Taken("is a person's own mailbox: it is never touched".to_owned())
            }
            RecipientKind::SharedMailbox => match (row.guid, self.own_marker(row)) {
                (None, _) => by_another(),
                (Some(_), Some(marker)) => Hold::Taken(self.marked_otherwise(&marker)),
                (Some(guid), None) => Hold::Existing(guid),
            },
            RecipientKind::OtherMailbox(_)
            | RecipientKind::MailUser
            | RecipientKind::Guest
            | RecipientKind::MailContact
            | RecipientKind::SecurityGroup
            | RecipientKind::DistributionGroup
            | RecipientKind::Microsoft365Group
            | RecipientKind::Other(_) => by_another(),
        }
    }

    /// Names of other namespaces' resources are nobody else's business.
    fn marked_otherwise(&self, marker: &Marker) -> String {
        let Marker { owner, mailbox: _ } = marker;
        if marker.has_name_of(self.owner) && owner.cluster != self.owner.cluster {
            let cluster = &owner.cluster;
            return format!(
                "belongs to the mailbox of the SharedMailbox of this name in the cluster {cluster}: take another address, \
                 or, when this cluster is to take it over, have the platform team list {cluster} in \
                 spec.ownership.succeeds of the ExchangeTenant"
            );
        }
        if owner.cluster == self.owner.cluster && owner.namespace == self.owner.namespace {
            return format!(
                "belongs to the mailbox of the SharedMailbox {:?} of this namespace: apply that one again, or take \
                 another address",
                owner.name
            );
        }
        let whose = if owner.cluster == self.owner.cluster {
            "a SharedMailbox of another namespace"
        } else {
            "a SharedMailbox of another cluster"
        };
        format!(
            "belongs to the mailbox of {whose}, and can't be taken over. Take another address, or have the platform team find \
             out whose it is (kubectl get mailboxledgers) and hand it back first (docs/adoption.md)"
        )
    }
}
