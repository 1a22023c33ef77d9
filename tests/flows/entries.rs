//! Whose a permission entry is: several SIDs, accounts of another forest, role groups. An entry is somebody's only when
//! Exchange itself says so, and whoever is revoked has none left.

use super::kit::*;
use super::unkind::{entry_sid, hold, in_tenant, sent_by_app, stays_quiet_in};
use serde_json::json;
use simulator::{AccessQuirks, Linked, OrganizationRows, Quirks, UserFilter};
use testkit::{World, condition, permission, with};

/// A tenant in which entries behave like this, with the mailbox as it is declared.
async fn sales_where(change: impl FnOnce(&mut AccessQuirks)) -> World {
    let mut quirks = Quirks::default();
    change(&mut quirks.access);
    let world = world(in_tenant(quirks), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_grant_of_which_no_entry_can_be_tied_to_its_member_is_unverified_and_never_waited_for_for_ever() {
    let mut quirks = Quirks::default();
    quirks.access.linked = Linked::NotFound;
    quirks.access.adding_answers_the_row = false;
    let world = world(in_tenant(quirks), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    let permission = world.wait_permission("team", "False", "GrantUnverified").await;
    says(
        &stalled(&permission, "GrantUnverified"),
        &["1 of 1", "once an hour"],
    );
    says(
        &member_message(&permission, FIRST),
        &["nobody knows whether they hold it"],
    );
    let mailbox = world.wait_mailbox("sales", "False", "GrantUnverified").await;
    says(&stalled(&mailbox, "GrantUnverified"), &[FIRST, "FullAccess"]);
    forget(&world);
    world.sleep(6 * 3600).await;
    let tries = sent_by_app(&world, "Add-MailboxPermission");
    assert!((4..=7).contains(&tries), "once an hour, not {tries} times in six");
}

#[tokio::test(start_paused = true)]
async fn a_right_of_which_no_entry_can_be_found_is_never_called_revoked_while_one_may_be_theirs() {
    for is_departed in [false, true] {
        let mut quirks = Quirks::default();
        quirks.access.linked = Linked::NotFound;
        quirks.access.adding_answers_the_row = false;
        let world = world(in_tenant(quirks), json!({})).await;
        world.apply(&sales(json!({}))).await;
        world
            .apply(&permission("team", "sales", &[FIRST], &["FullAccess"]))
            .await;
        world.wait_permission("team", "False", "GrantUnverified").await;
        if is_departed {
            let departed = json!({ "spec": { "departed": [FIRST] } });
            world.apply(&with(testkit::tenant(), &departed)).await;
        } else {
            world
                .apply(&permission("team", "sales", &[], &["FullAccess"]))
                .await;
        }

        // Exchange finds no entry of theirs, and shows one of nobody.
        let mailbox = world.wait_mailbox("sales", "False", "GrantStuck").await;
        let text = [
            "FullAccess of first.member@contoso.com",
            "can't be tied to anybody",
            "by hand",
        ];
        says(&stalled(&mailbox, "GrantStuck"), &text);
        world.sleep(6 * 3600).await;
        assert_eq!(view(&world).full_access.len(), 1);
        let mailbox = world.mailbox("sales").await;
        assert_eq!(
            condition(&mailbox, "Ready").unwrap().in_short(),
            "False GrantStuck"
        );
        assert!(
            mailbox.status.unwrap().revoked.is_empty(),
            "nobody knows whether it is gone"
        );

        let entry =
            json!({ "Identity": SALES, "User": entry_sid(&world, FIRST), "AccessRights": ["FullAccess"] });
        admin(&world, "Remove-MailboxPermission", entry);
        assert!(view(&world).full_access.is_empty());
        world.sleep(2 * 3600).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_to_a_linked_account_before_is_found_or_told_as_unverified() {
    for (linked, reason) in [(Linked::Found, "Granted"), (Linked::NotFound, "GrantUnverified")] {
        let world = sales_where(|access| access.linked = linked).await;
        let row = json!({ "Identity": SALES, "User": FIRST, "AccessRights": ["FullAccess"] });
        admin(&world, "Add-MailboxPermission", row);
        forget(&world);
        world
            .apply(&permission("team", "sales", &[FIRST], &["FullAccess"]))
            .await;
        let status = if reason == "Granted" { "True" } else { "False" };
        world.wait_permission("team", status, reason).await;
        assert_eq!(view(&world).full_access.len(), 1);
        if linked == Linked::Found {
            assert_eq!(world.writes(), NOTHING);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_entries_of_two_sids_holds_the_right_and_nothing_is_written() {
    let world = sales_where(|access| access.user_filter = UserFilter::EverySid).await;
    let add = |right: &str, who: &str, cmdlet: &str| {
        let row = json!({ "Identity": SALES, who: FIRST, "AccessRights": [right] });
        admin(&world, cmdlet, row);
    };
    add("FullAccess", "User", "Add-MailboxPermission");
    world.tenant.change_sid(FIRST).unwrap();
    add("FullAccess", "User", "Add-MailboxPermission");
    assert_eq!(view(&world).full_access.len(), 2);
    world.sleep(INTERVAL).await;
    forget(&world);
    world
        .apply(&permission("team", "sales", &[FIRST], &["FullAccess"]))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(3 * INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    // Revoked is whoever has no entry left.
    world
        .apply(&permission("team", "sales", &[], &["FullAccess"]))
        .await;
    until(&world, "both entries are gone", || {
        view(&world).full_access.is_empty()
    })
    .await;
    assert_eq!(sent_by_app(&world, "Remove-MailboxPermission"), 2);
    let status = world.wait_mailbox("sales", "True", "UpToDate").await.status;
    assert_eq!(status.unwrap().revoked.len(), 1);
    stays_quiet_in(&world, "two SIDs").await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_a_former_sid_that_somebody_else_added_goes_with_the_right_that_was_granted() {
    let world = sales_where(|access| access.user_filter = UserFilter::EverySid).await;
    let row = json!({ "Identity": SALES, "User": FIRST, "AccessRights": ["FullAccess"] });
    admin(&world, "Add-MailboxPermission", row);
    world.tenant.change_sid(FIRST).unwrap();
    world.sleep(INTERVAL).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2 * INTERVAL).await;
    let first = world.tenant.object_id(FIRST).unwrap();
    let left = || {
        view(&world)
            .full_access
            .iter()
            .filter(|entry| entry.trustee == first)
            .count()
    };
    world.apply(&team(&[SECOND])).await;
    until(&world, "nothing of theirs is left", || left() == 0).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    stays_quiet_in(&world, "a former SID").await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_tied_to_their_entry_only_when_exchange_itself_ties_it() {
    // Who is behind a linked account is found by asking for the person that the row shows, or it is not.
    for (linked, is_tied) in [(Linked::Found, true), (Linked::NotFound, false)] {
        let world = sales_where(|access| access.linked = linked).await;
        for who in [FIRST, SECOND] {
            let row = json!({ "Identity": SALES, "User": who, "AccessRights": ["FullAccess"] });
            admin(&world, "Add-MailboxPermission", row);
            let row = json!({ "Identity": SALES, "Trustee": who, "AccessRights": ["SendAs"] });
            admin(&world, "Add-RecipientPermission", row);
        }
        forget(&world);
        let departed = json!({ "spec": { "departed": [FIRST] } });
        world.apply(&with(testkit::tenant(), &departed)).await;
        let held = |who: &str| {
            let id = world.tenant.object_id(who).unwrap();
            let view = view(&world);
            let full = view
                .full_access
                .iter()
                .filter(|entry| entry.trustee == id)
                .count();
            full + view.send_as.iter().filter(|trustee| **trustee == id).count()
        };
        if is_tied {
            until(&world, "the departed one has nothing left", || held(FIRST) == 0).await;
        } else {
            world.sleep(3 * INTERVAL).await;
            assert_eq!((held(FIRST), world.writes().len()), (2, 0), "it may be anybody");
        }
        assert_eq!(held(SECOND), 2, "Additive leaves them");
        let exclusive = json!({ "permissions": { "mode": "Exclusive" } });
        world.apply(&sales(exclusive)).await;
        world.sleep(2 * INTERVAL).await;
        let expected = if is_tied { 0 } else { 2 };
        assert_eq!(held(SECOND), expected, "{linked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_gets_another_sid_and_loses_the_right_has_it_again_with_one_write() {
    for adding_answers_the_row in [true, false] {
        let mut quirks = Quirks::default();
        quirks.access.adding_answers_the_row = adding_answers_the_row;
        let world = world(in_tenant(quirks), json!({})).await;
        settle(&world, &[FIRST]).await;
        let old = entry_sid(&world, FIRST);
        world.tenant.change_sid(FIRST).unwrap();
        let row = json!({ "Identity": SALES, "User": old, "AccessRights": ["FullAccess"] });
        admin(&world, "Remove-MailboxPermission", row);
        world.sleep(2 * INTERVAL).await;
        hold(&world, "another SID", &[FIRST]).await;
        world.sleep(2 * INTERVAL).await;
        stays_quiet_in(&world, "another SID").await;
        world.apply(&team(&[])).await;
        until(&world, "nothing is left", || {
            view(&world).full_access.is_empty() && view(&world).send_as.is_empty()
        })
        .await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_warning_about_former_sids_never_makes_a_row_stuck() {
    let mut quirks = Quirks::default();
    quirks.access.former_sids = true;
    quirks.access.warns_of_former_sids = true;
    let world = world(in_tenant(quirks), json!({})).await;
    settle(&world, &[FIRST]).await;
    for _ in 0..5 {
        world.apply(&team(&[FIRST, SECOND])).await;
        hold(&world, "before", &[FIRST, SECOND]).await;
        world.apply(&team(&[FIRST])).await;
        hold(&world, "after", &[FIRST]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_group_on_the_mailbox_is_neither_a_leftover_nor_a_stranger_to_remove() {
    use simulator::{GroupKind, SeedGroup};
    for is_known in [false, true] {
        let mut quirks = Quirks::default();
        quirks.access.organization_rows = OrganizationRows::OnTheMailbox;
        let mut seed = in_tenant(quirks);
        if is_known {
            let address = "discovery@contoso.com";
            seed = seed.with_group(SeedGroup::new(
                address,
                "Discovery Management",
                GroupKind::Role,
                &[],
            ));
        }
        let world = world(seed, json!({})).await;
        world
            .apply(&sales(json!({ "permissions": { "mode": "Exclusive" } })))
            .await;
        world.apply(&team(&[FIRST])).await;
        world.wait_permission("team", "True", "Granted").await;
        world.sleep(3 * INTERVAL).await;
        assert_eq!(sent_by_app(&world, "Remove-MailboxPermission"), 0);
        let status = world
            .wait_mailbox("sales", "True", "UpToDate")
            .await
            .status
            .unwrap();
        assert_eq!(status.orphaned_grants, None);
        // Where Get-Group says that it is a role group, it is nobody's grant.
        assert_eq!(status.foreign_grants, (!is_known).then_some(1));
    }
}
