//! One call of a cmdlet, and what all cmdlets have in common.

use serde_json::Value;
use uuid::Uuid;

use crate::directory::{Object, ObjectView, View};
use crate::error::CmdletError;
use crate::faults::Origin;
use crate::journal::Actor;
use crate::row::Select;
use crate::world::World;

/// One call in progress.
#[derive(Debug)]
pub struct Call<'w> {
    pub world: &'w mut World,
    pub actor: Actor,
    /// What reads and identities are resolved against; conflicts are checked against the newest state.
    pub view: View,
    pub origin: Origin,
    pub select: Select,
}

/// What a cmdlet that did not fail has to say.
#[derive(Debug, Default)]
pub struct Done {
    pub rows: Vec<Value>,
    pub warnings: Vec<String>,
    /// The directory is different now.
    pub changed: bool,
    /// The question it would have asked; nothing was done.
    pub confirmation: Option<String>,
}

impl Done {
    /// Nothing was done, and this is why.
    pub fn warned(warning: String) -> Self {
        Self {
            warnings: vec![warning],
            ..Self::default()
        }
    }
}

impl Call<'_> {
    /// The one object in scope that `identity` names, as this call's view shows it.
    pub fn resolve(
        &self,
        identity: &str,
        scope: impl Fn(&Object) -> bool,
    ) -> Result<ObjectView, CmdletError> {
        // Of a distinguished name, the common name is what distinguishes objects.
        let name = identity
            .strip_prefix("CN=")
            .and_then(|rest| rest.split_once(",OU="));
        let name = name.map_or(identity, |(name, _)| name);
        let mut found: Vec<ObjectView> = self
            .world
            .directory
            .matching(name, self.view)
            .into_iter()
            .filter(|seen| scope(seen))
            .collect();
        match (found.pop(), found.is_empty()) {
            (None, _) => Err(CmdletError::not_found(identity)),
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(CmdletError::ambiguous(identity)),
        }
    }

    /// The object to write to: found through the view, then taken in its newest version.
    pub fn resolve_newest(
        &self,
        identity: &str,
        scope: impl Fn(&Object) -> bool,
    ) -> Result<ObjectView, CmdletError> {
        let seen = self.resolve(identity, &scope)?;
        let newest = self.world.directory.seen(seen.handle, View::Newest);
        newest
            .filter(|newest| scope(newest))
            .ok_or_else(|| CmdletError::not_found(identity))
    }

    /// The user or group that a permission goes to or comes from.
    pub fn trustee(&self, identity: &str) -> Result<ObjectView, CmdletError> {
        self.resolve(identity, |object| {
            object.is_live() && object.is_security_principal()
        })
        .map_err(|error| {
            if error.status == 404 {
                CmdletError::trustee_not_found(identity)
            } else {
                error
            }
        })
    }

    /// The account that an entry names, as this call's view shows it.
    pub fn account_behind(&self, id: Uuid) -> Account {
        let directory = &self.world.directory;
        let seen = directory
            .by_id(id, self.view)
            .or_else(|| directory.by_id(id, View::Newest));
        match seen {
            None => Account::Gone,
            Some(seen) if seen.is_live() => Account::Live(seen),
            Some(seen) => Account::SoftDeleted(seen),
        }
    }
}

/// What became of an account that an entry names.
#[derive(Debug)]
pub enum Account {
    Live(ObjectView),
    /// Can still be restored.
    SoftDeleted(ObjectView),
    /// The identifier no longer resolves.
    Gone,
}

/// How permission rows show an account: users by UPN, groups by display name.
pub fn shown_name(seen: &ObjectView) -> String {
    seen.upn.clone().unwrap_or_else(|| seen.display_name.clone())
}

/// What Exchange says when asked to remove an entry that comes down from above.
pub fn inherited_ignored(object: &str, deny: bool) -> String {
    let control = if deny { "Deny" } else { "Allow" };
    format!(
        "An inherited access control entry has been specified: [Rights: CreateChild, ControlType: {control}] and was \
         ignored on object \"{object}\"."
    )
}

pub fn is_live_mailbox(object: &Object) -> bool {
    object.mailbox.is_some() && object.is_live()
}
