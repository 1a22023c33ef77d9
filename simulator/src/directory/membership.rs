//! Who is in a group, and in the groups in it.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Directory, ObjectView, View};

impl Directory {
    /// Direct members that this view shows, in the order in which they joined. Deleted ones are left
    /// out and back after a restore.
    pub fn members(&self, group: &ObjectView, view: View) -> Vec<ObjectView> {
        let ids = group.group.as_ref().map(|group| group.members.as_slice());
        let members = ids.unwrap_or_default().iter();
        members
            .filter_map(|id| self.by_id(*id, view))
            .filter(|member| member.is_live())
            .collect()
    }

    /// Everybody and every group below `group`, each once, nearest first. Circles end, and nothing below a group that
    /// is not `open` is shown.
    pub fn transitive_members(
        &self,
        group: &ObjectView,
        view: View,
        open: impl Fn(&ObjectView) -> bool,
    ) -> Vec<ObjectView> {
        let mut known: BTreeSet<Uuid> = BTreeSet::from([group.id]);
        let mut found: Vec<ObjectView> = Vec::new();
        let mut at = 0;
        let mut next = Some(group.clone());
        while let Some(group) = next {
            let fresh = if open(&group) {
                self.members(&group, view)
            } else {
                Vec::new()
            };
            found.extend(fresh.into_iter().filter(|member| known.insert(member.id)));
            next = found.get(at).cloned();
            at += 1;
        }
        found
    }
}
