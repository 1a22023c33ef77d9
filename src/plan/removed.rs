//! What was taken away, which counts as removed only once no replica can hide it any more.
//!
//! A read that does not show a grant says little when it comes from a replica that has not seen the grant yet: that
//! Exchange acknowledged the removal does not mean that it keeps it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::hold::counts_until;
use super::{Acknowledged, Change, Desired, Observed, settings};
use crate::ledger::{Ledger, RecordedGrant, Removed, RightOf, SHOWN_BY_THEN, WeighedRemoval, Withdrawn};
use crate::mail::{Holder, ObjectId, Right, Sid};

/// What was taken away and is shown nevertheless is to be removed once more; what is declared again, or can't be hidden
/// any more, is forgotten once it does not count with other removals either.
pub fn reopen(ledger: &mut Ledger, desired: &Desired, observed: &Observed) {
    for removed in std::mem::take(&mut ledger.removed) {
        let is_over = removed.until <= desired.now;
        let counts = removed
            .weighed_at
            .is_some_and(|at| counts_until(at, desired.policy.period) > desired.now);
        match &removed.what {
            // Only what is granted again is ours again.
            Withdrawn::Grant(grant) if desired.declares_grant(grant) => {
                if !desired.purpose.grants() && (!is_over || counts) {
                    ledger.removed.push(removed);
                }
            }
            Withdrawn::Address(address) if desired.declares_address(address) => {}
            Withdrawn::Setting(name) if declares_setting(name, desired) => {}
            Withdrawn::Grant(grant) if !is_over && is_shown(grant, observed) => {
                // It was weighed, or needed no weighing, when it was taken away.
                ledger.weighed.push(WeighedRemoval {
                    what: grant.right_of(),
                    at: removed.weighed_at.unwrap_or(desired.now),
                    with_resource: false,
                });
                ledger.grants.push(grant.clone());
            }
            Withdrawn::Address(address) if !is_over && observed.addresses.contains(address) => {
                ledger.addresses.push(address.clone());
            }
            Withdrawn::Setting(name) if !is_over && settings::is_closed(name, observed) == Some(false) => {
                ledger.opened.insert(name.clone());
            }
            Withdrawn::Grant(_) | Withdrawn::Address(_) | Withdrawn::Setting(_) if is_over && !counts => {}
            Withdrawn::Grant(_) | Withdrawn::Address(_) | Withdrawn::Setting(_) => {
                ledger.removed.push(removed);
            }
        }
    }
}

/// Takes grants out whose removal Exchange acknowledged, or which it said not to have, and does not show, and addresses that nobody declares
/// and it does not show. What a replica may not know of yet is rechecked a while longer: any address, any setting, and
/// grants that were added lately. Returns the grants.
pub fn confirm_removed(
    ledger: &mut Ledger,
    desired: &Desired,
    acknowledged: &Acknowledged,
    said_missing: &BTreeSet<(Holder, Right)>,
    observed: &Observed,
) -> Vec<RecordedGrant> {
    let hidden: BTreeSet<(ObjectId, Right)> = ledger
        .grants
        .iter()
        .map(RecordedGrant::key)
        .filter(|(id, right)| {
            let row = (Holder::ObjectId(*id), *right);
            let is_said = said_missing.contains(&row) || desired.stuck.contains(&row);
            is_said && may_be_untied(*id, *right, ledger, observed)
        })
        .collect();
    let (gone, left) = std::mem::take(&mut ledger.grants)
        .into_iter()
        .partition::<Vec<_>, _>(|grant| {
            let revoked = acknowledged.contains(&Change::Revoked(grant.object_id, grant.right));
            let may_be_there =
                is_shown(grant, observed) || observed.is_unread(grant.right) || hidden.contains(&grant.key());
            let is_gone = (revoked || is_stuck(grant, desired)) && !may_be_there;
            is_gone && !desired.declares_grant(grant)
        });
    ledger.grants = left;
    let (hidden, left) = std::mem::take(&mut ledger.addresses)
        .into_iter()
        .partition::<Vec<_>, _>(|address| {
            !desired.declares_address(address) && !observed.addresses.contains(address)
        });
    ledger.addresses = left;
    let (closed, open) = std::mem::take(&mut ledger.opened)
        .into_iter()
        .partition::<BTreeSet<_>, _>(|name| {
            desired.withdrawn.contains_key(name.as_str()) && settings::is_closed(name, observed) == Some(true)
        });
    ledger.opened = open;
    let weighed = std::mem::take(&mut ledger.weighed);
    let weighed_at = |grant: &RecordedGrant| {
        let what = grant.right_of();
        let earlier = weighed.iter().find(|one| one.what == what);
        earlier.map(|one| one.at)
    };
    let grants = gone.iter().filter_map(|grant| {
        let weighed_at = weighed_at(grant);
        let counts = weighed_at.is_some_and(|at| counts_until(at, desired.policy.period) > desired.now);
        let until = grant.at.map_or(desired.now, shown_by_then);
        (counts || until > desired.now).then(|| Removed {
            until,
            // Nothing is left of a change of automapping that was under way.
            what: Withdrawn::Grant(RecordedGrant {
                remapping: false,
                ..grant.clone()
            }),
            weighed_at,
        })
    });
    let grants: Vec<Removed> = grants.collect();
    let is_gone: BTreeSet<RightOf> = gone.iter().map(RecordedGrant::right_of).collect();
    ledger.weighed = weighed;
    ledger.weighed.retain(|one| !is_gone.contains(&one.what));
    let addresses = hidden.into_iter().map(|address| Removed {
        until: shown_by_then(desired.now),
        what: Withdrawn::Address(address),
        weighed_at: None,
    });
    let settings = closed.into_iter().map(|name| Removed {
        until: shown_by_then(desired.now),
        what: Withdrawn::Setting(name),
        weighed_at: None,
    });
    let removed = grants.into_iter().chain(addresses).chain(settings);
    ledger.removed.extend(removed);
    gone
}

fn declares_setting(name: &str, desired: &Desired) -> bool {
    desired.settings.contains_key(name) || desired.unwritten.contains_key(name)
}

/// When every replica shows what was written at `written`.
pub(super) fn shown_by_then(written: Timestamp) -> Timestamp {
    written.saturating_add(SHOWN_BY_THEN).unwrap_or(Timestamp::MAX)
}

/// Whether Exchange has shown its row and said that it does not exist.
pub(super) fn is_stuck(grant: &RecordedGrant, desired: &Desired) -> bool {
    let holder = match &grant.sid {
        Some(sid) => Holder::Sid(sid.clone()),
        None => Holder::ObjectId(grant.object_id),
    };
    desired.stuck.contains(&(holder, grant.right))
}

/// Whether a person whose SID nobody knows may be behind a row that is tied to nobody: that Exchange finds no row of theirs
/// proves nothing then. A mailbox of a linked account has rows with the SID of its account in another forest.
pub fn may_be_untied(id: ObjectId, right: Right, ledger: &Ledger, observed: &Observed) -> bool {
    let is_named = ledger.sid_for(&id, right).is_some() || !observed.sids_of(&id).is_empty();
    let known: BTreeSet<&Sid> = ledger
        .grants
        .iter()
        .filter_map(|grant| grant.sid.as_ref())
        .collect();
    !is_named && observed.has_untied(right, |sid| known.contains(sid))
}

/// Grants that are to be revoked, of which Exchange finds no row and may show one all the same.
pub fn unproven<'a>(desired: &'a Desired, ledger: &'a Ledger) -> impl Iterator<Item = &'a RecordedGrant> {
    let grants = ledger.grants.iter();
    grants.filter(|grant| grant.sid.is_none() && is_stuck(grant, desired) && !desired.declares_grant(grant))
}

/// Whether a read shows the grant, as far as that can be known.
fn is_shown(grant: &RecordedGrant, observed: &Observed) -> bool {
    let id = &grant.object_id;
    match grant.right {
        Right::FullAccess | Right::SendAs => {
            let known = grant.sid.iter().chain(observed.sids_of(id));
            let shown = |sid: &Sid| observed.shows(sid, grant.right);
            known.into_iter().any(shown)
        }
        Right::SendOnBehalf => observed.on_behalf.ids.contains(id),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{address, desired, entry, identity, our_mailbox, person, sid, wants};
    use super::super::{Holders, Identity, OnBehalf, Purpose};
    use super::*;
    use jiff::SignedDuration;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    fn grant(right: Right, at: Option<Timestamp>) -> RecordedGrant {
        RecordedGrant {
            object_id: person(1),
            right,
            sid: None,
            auto_mapping: None,
            remapping: false,
            member: address("person1"),
            also: Vec::new(),
            by: vec!["team".to_owned()],
            at,
            pending: false,
            until: None,
        }
    }

    fn nothing() -> BTreeSet<(Holder, Right)> {
        BTreeSet::new()
    }

    fn recorded(right: Right, at: Option<Timestamp>) -> Ledger {
        Ledger {
            grants: vec![grant(right, at)],
            ..Ledger::default()
        }
    }

    fn acknowledged(right: Right) -> Acknowledged {
        Acknowledged::from([Change::Revoked(person(1), right)])
    }

    fn showing(right: Right) -> Observed {
        let holders = Holders {
            entries: vec![entry(1, &[right.as_str()])],
            ..Holders::default()
        };
        let mut observed = our_mailbox();
        // The row carries a SID: who is behind it was looked up.
        observed.identities = [(Holder::Sid(sid(1)), identity(1))].into();
        match right {
            Right::FullAccess => observed.full_access = holders,
            Right::SendAs => observed.send_as = holders,
            Right::SendOnBehalf => {
                observed.on_behalf = OnBehalf {
                    ids: [person(1)].into(),
                    untied: 0,
                }
            }
        }
        observed
    }

    const RIGHTS: [Right; 3] = [Right::FullAccess, Right::SendAs, Right::SendOnBehalf];

    #[test]
    fn a_grant_that_was_added_and_taken_away_and_is_shown_again_is_removed_without_being_weighed() {
        for right in RIGHTS {
            let mut desired = desired();
            let mut ledger = recorded(right, Some(desired.now));
            let gone = confirm_removed(
                &mut ledger,
                &desired,
                &acknowledged(right),
                &nothing(),
                &our_mailbox(),
            );
            assert_eq!((gone.len(), ledger.grants.len(), ledger.removed.len()), (1, 0, 1));
            desired.now += 20 * MINUTE;
            reopen(&mut ledger, &desired, &our_mailbox());
            assert_eq!((ledger.grants.len(), ledger.removed.len()), (0, 1), "rechecked");
            reopen(&mut ledger, &desired, &showing(right));
            assert_eq!((ledger.grants.len(), ledger.removed.len()), (1, 0), "{right}");
            let plan = super::super::plan(&desired, &showing(right), &ledger);
            assert_eq!(plan.changes(), acknowledged(right));
            let weighed = super::super::weigh(&plan, &ledger, &Acknowledged::new());
            assert!(weighed.new_removals.is_empty(), "{weighed:?}");
        }
    }

    #[test]
    fn it_is_forgotten_once_no_replica_can_hide_it_or_once_it_is_declared_again() {
        let mut desired = desired();
        let mut ledger = recorded(Right::SendAs, Some(desired.now));
        confirm_removed(
            &mut ledger,
            &desired,
            &acknowledged(Right::SendAs),
            &nothing(),
            &our_mailbox(),
        );
        let mut declared = desired.clone();
        wants(&mut declared, 1, Right::SendAs, true);
        let mut again = ledger.clone();
        reopen(&mut again, &declared, &showing(Right::SendAs));
        assert_eq!(again, Ledger::default());
        desired.now += 35 * MINUTE;
        reopen(&mut ledger, &desired, &our_mailbox());
        assert_eq!(ledger, Ledger::default());
    }

    #[test]
    fn it_stays_removed_where_what_is_declared_is_not_granted() {
        for purpose in [Purpose::OnlyRemove, Purpose::Protect] {
            let mut ledger = recorded(Right::SendAs, Some(desired().now));
            let removed = acknowledged(Right::SendAs);
            confirm_removed(&mut ledger, &desired(), &removed, &nothing(), &our_mailbox());
            let mut declared = desired();
            declared.purpose = purpose;
            wants(&mut declared, 1, Right::SendAs, true);
            let before = ledger.clone();
            reopen(&mut ledger, &declared, &showing(Right::SendAs));
            assert_eq!(
                ledger, before,
                "{purpose:?}: rechecked when it is declared no more"
            );
            declared.now += 35 * MINUTE;
            reopen(&mut ledger, &declared, &our_mailbox());
            assert_eq!(ledger, Ledger::default(), "{purpose:?}");
        }
    }

    #[test]
    fn a_grant_that_every_replica_knows_is_gone_when_it_is_not_shown() {
        let mut desired = desired();
        desired.now += 35 * MINUTE;
        for at in [Some(Timestamp::UNIX_EPOCH), None] {
            let mut ledger = recorded(Right::FullAccess, at);
            let gone = confirm_removed(
                &mut ledger,
                &desired,
                &acknowledged(Right::FullAccess),
                &nothing(),
                &our_mailbox(),
            );
            assert_eq!((gone.len(), ledger), (1, Ledger::default()));
        }
    }

    #[test]
    fn a_row_that_exchange_said_not_to_have_is_gone_once_it_is_not_shown_any_more() {
        let right = Right::FullAccess;
        let mut desired = desired();
        desired.stuck.insert((Holder::Sid(sid(1)), right));
        let mut ledger = recorded(right, None);
        ledger.grants[0].sid = Some(sid(1));
        let none = Acknowledged::new();
        assert!(confirm_removed(&mut ledger, &desired, &none, &nothing(), &showing(right)).is_empty());
        assert_eq!(
            confirm_removed(&mut ledger, &desired, &none, &nothing(), &our_mailbox()).len(),
            1
        );
        assert_eq!(ledger, Ledger::default());
    }

    #[test]
    fn a_warning_that_there_is_no_row_proves_nothing_while_a_row_may_be_theirs() {
        for right in [Right::FullAccess, Right::SendAs] {
            let desired = desired();
            let said = BTreeSet::from([(Holder::ObjectId(person(1)), right)]);
            let gone = |said, observed: &Observed| {
                let mut ledger = recorded(right, None);
                confirm_removed(&mut ledger, &desired, &acknowledged(right), said, observed).len()
            };
            let mut of_nobody = showing(right);
            of_nobody.identities.clear();
            assert_eq!(
                gone(&said, &of_nobody),
                0,
                "{right}: a row that is tied to nobody"
            );
            let mut untied = showing(right);
            untied.identities = [(Holder::Sid(sid(1)), Identity::Untied)].into();
            assert_eq!(gone(&said, &untied), 0, "{right}");
            let mut of_another = showing(right);
            of_another.identities = [(Holder::Sid(sid(1)), identity(2))].into();
            assert_eq!(gone(&said, &of_another), 1, "{right}: somebody else's row");
            assert_eq!(gone(&said, &our_mailbox()), 1, "{right}");
            assert_eq!(gone(&nothing(), &untied), 1, "{right}: Exchange has removed it");
        }
    }

    #[test]
    fn nothing_is_gone_that_is_shown_or_declared_or_was_not_acknowledged() {
        let right = Right::SendAs;
        let plain = desired();
        let mut declared = desired();
        wants(&mut declared, 1, right, true);
        let none = Acknowledged::new();
        for (desired, acknowledged, observed) in [
            (&plain, acknowledged(right), showing(right)),
            (&declared, acknowledged(right), our_mailbox()),
            (&plain, none, our_mailbox()),
        ] {
            let mut ledger = recorded(right, Some(desired.now));
            assert!(confirm_removed(&mut ledger, desired, &acknowledged, &nothing(), &observed).is_empty());
            assert_eq!(ledger, recorded(right, Some(desired.now)));
        }
    }

    #[test]
    fn an_address_that_is_not_shown_is_rechecked_like_a_grant() {
        let mut desired = desired();
        let mut ledger = Ledger {
            addresses: vec![address("info")],
            ..Ledger::default()
        };
        let none = Acknowledged::new();
        confirm_removed(&mut ledger, &desired, &none, &nothing(), &our_mailbox());
        assert_eq!((ledger.addresses.len(), ledger.removed.len()), (0, 1));
        let mut shown = our_mailbox();
        shown.addresses.insert(address("info"));
        let mut back = ledger.clone();
        reopen(&mut back, &desired, &shown);
        assert_eq!(
            (back.addresses.as_slice(), back.removed.len()),
            (&[address("info")][..], 0)
        );
        desired.now += 35 * MINUTE;
        reopen(&mut ledger, &desired, &our_mailbox());
        assert_eq!(ledger, Ledger::default());
    }
}
