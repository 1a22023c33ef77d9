//! Members that are refused: by name, with the reason, and without holding up anybody else.

use super::kit::*;
use serde_json::{Value, json};
use simulator::{Rename, Seed, SeedUser};
use testkit::{World, condition, permission, tenant, with};

/// A permission for one member, written as `user` or `group`.
fn one(kind: &str, address: &str) -> Value {
    let members = json!({ "spec": { "members": [{ kind: address }] } });
    with(
        permission("team", "sales", &[], &["FullAccess", "SendAs"]),
        &members,
    )
}

const MAILBOX_ONLY: [&str; 2] = ["New-Mailbox", "Set-Mailbox"];

#[tokio::test(start_paused = true)]
async fn each_member_is_refused_for_its_own_reason_and_gets_nothing() {
    let groups = json!([
        "sales-team@contoso.com",
        "plain-group@contoso.com",
        "all-staff@contoso.com",
        FIRST
    ]);
    let rules = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"],
        "members": ["*@contoso.com"], "groups": groups, "rights": ["FullAccess", "SendAs"] }] } });
    let guest = SeedUser {
        addresses: vec!["guest@contoso.com".to_owned()],
        ..SeedUser::person("guest@sales.contoso.com", "Guest")
    };
    for (kind, address, parts) in [
        (
            "user",
            "nobody@contoso.com",
            ["MemberNotFound", "no recipient in the tenant"],
        ),
        (
            "user",
            "no.mailbox@contoso.com",
            ["MemberHasNoMailbox", "person without a mailbox"],
        ),
        (
            "user",
            "sales-team@contoso.com",
            ["MemberIsGroup", "write group instead of user"],
        ),
        (
            "user",
            "all-staff@contoso.com",
            ["MemberIsGroup", "write group instead of user"],
        ),
        ("group", FIRST, ["MemberIsUser", "write user instead of group"]),
        (
            "group",
            "plain-group@contoso.com",
            ["GroupCannotHoldRights", "not mail-enabled"],
        ),
        (
            "group",
            "all-staff@contoso.com",
            ["GroupCannotHoldRights", "not a mail-enabled security group"],
        ),
        (
            "group",
            "other-team@contoso.com",
            ["AccessDenied", "groups: [other-team@contoso.com]"],
        ),
        (
            "user",
            "somebody@fabrikam.com",
            ["AccessDenied", "members: [somebody@fabrikam.com]"],
        ),
        (
            "user",
            "guest@contoso.com",
            ["AccessDenied", "guest@contoso.com is guest@sales.contoso.com"],
        ),
    ] {
        let world = world(Seed::contoso().with_user(guest.clone()), rules.clone()).await;
        world.apply(&sales(json!({}))).await;
        world.apply(&one(kind, address)).await;
        let team = world.wait_permission("team", "False", "MembersRefused").await;
        let message = stalled(&team, "MembersRefused");
        says(&message, &["1 of 1 member is refused", address]);
        says(&member_message(&team, address), &parts);
        assert_eq!(condition(&team, "Granted").unwrap().status, "False");
        assert_eq!(team.status.unwrap().member_summary.as_deref(), Some("0/1"));
        assert_eq!(world.writes(), MAILBOX_ONLY, "{address}");
        let mailbox = world.wait_mailbox("sales", "True", "UpToDate").await;
        assert_eq!(
            condition(&mailbox, "PermissionsSynced").unwrap().reason,
            "MembersRefused"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_alias_inside_the_rule_does_not_admit_a_primary_address_that_cannot_be_judged() {
    let outside = SeedUser {
        addresses: vec!["oneil@contoso.com".to_owned()],
        ..SeedUser::person("o'neil@sales.contoso.com", "O'Neil")
    };
    let world = world(Seed::contoso().with_user(outside), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&one("user", "oneil@contoso.com")).await;
    let team = world.wait_permission("team", "False", "MembersRefused").await;
    says(
        &member_message(&team, "oneil@contoso.com"),
        &["MemberCannotHoldRights", "primary address"],
    );
    assert_eq!(world.writes(), MAILBOX_ONLY);
}

#[tokio::test(start_paused = true)]
async fn a_member_outside_the_rule_is_not_even_looked_up() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&one("user", "boss@fabrikam.com")).await;
    world.wait_permission("team", "False", "MembersRefused").await;
    let journal = format!("{:?}", world.tenant.journal());
    assert!(
        !journal.contains("boss@fabrikam.com"),
        "the directory would become an oracle"
    );
}

#[tokio::test(start_paused = true)]
async fn a_right_that_the_rule_does_not_give_is_refused_for_that_right() {
    let rules = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"],
        "members": ["*@contoso.com"], "rights": ["SendAs"] }] } });
    let world = world(Seed::contoso(), rules).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    let team = world.wait_permission("team", "False", "MembersRefused").await;
    says(
        &member_message(&team, FIRST),
        &["AccessDenied", "FullAccess for the user", "rights: [FullAccess]"],
    );
    assert_eq!(world.writes(), MAILBOX_ONLY);
}

#[tokio::test(start_paused = true)]
async fn the_api_server_refuses_a_member_that_is_neither_or_both() {
    let world = World::start().await;
    for member in [
        json!({}),
        json!({ "user": FIRST, "group": "sales-team@contoso.com" }),
    ] {
        let manifest = with(team(&[]), &json!({ "spec": { "members": [member] } }));
        let error = world.try_apply(&manifest).await.unwrap_err().to_string();
        assert!(error.contains("a member is either a user or a group"), "{error}");
    }
    let error = world
        .try_apply(&team(&["*@contoso.com"]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("spec.members[0].user"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_unknown_member_keeps_nobody_else_from_being_granted() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST, "nobody@contoso.com", SECOND])).await;
    let team = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(
        &stalled(&team, "PartiallyGranted"),
        &["1 of 3 members", "nobody@contoso.com"],
    );
    assert_eq!(condition(&team, "Granted").unwrap().status, "False");
    let status = team.status.unwrap();
    assert_eq!(status.member_summary.as_deref(), Some("2/3"));
    assert_eq!(status.summary.as_deref(), Some("PartiallyGranted"));
    assert_eq!(view(&world).full_access.len(), 2);
    assert_eq!(view(&world).send_as.len(), 2);
    let mailbox = world.wait_mailbox("sales", "True", "UpToDate").await;
    let synced = condition(&mailbox, "PermissionsSynced").unwrap();
    assert_eq!(synced.in_short(), "False MembersRefused");
    assert_eq!(condition(&mailbox, "Stalled"), None);
}

#[tokio::test(start_paused = true)]
async fn a_message_names_at_most_five_members() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    let unknown: Vec<String> = (1..=8).map(|n| format!("nobody{n}@contoso.com")).collect();
    world
        .apply(&team(&unknown.iter().map(String::as_str).collect::<Vec<_>>()))
        .await;
    let team = world.wait_permission("team", "False", "MembersRefused").await;
    let message = stalled(&team, "MembersRefused");
    says(&message, &["8 of 8 members", "nobody5@contoso.com", "and 3 more"]);
    assert!(!message.contains("nobody6@contoso.com"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_member_who_can_no_longer_be_found_or_allowed_keeps_what_was_granted() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let gone = Rename {
        upn: Some("renamed@contoso.com".into()),
        address: Some("renamed@contoso.com".into()),
        display_name: None,
        drop_old_address: true,
    };
    world.tenant.rename_user(SECOND, &gone).unwrap();
    let narrower = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"],
        "members": [SECOND], "rights": ["FullAccess", "SendAs"] }] } });
    world.apply(&with(tenant(), &narrower)).await;
    world.sleep(3 * 3600).await;
    let team = world.wait_permission("team", "False", "MembersRefused").await;
    says(&member_message(&team, FIRST), &["AccessDenied"]);
    says(&member_message(&team, SECOND), &["MemberNotFound"]);
    assert_eq!(world.writes(), NOTHING, "nobody asked for a revocation");
    assert_eq!(view(&world).full_access.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_exchange_refuses_for_good_is_refused_on_that_member_alone() {
    let world = World::start().await;
    let refused = simulator::FaultRule::next(1, refusal("The user can't be granted this."));
    world.tenant.add_fault(refused.on(&["Add-RecipientPermission"]));
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    let team = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(
        &stalled(&team, "PartiallyGranted"),
        &["1 of 2 members", "can't be granted this"],
    );
    assert_eq!(view(&world).full_access.len(), 2);
    assert_eq!(view(&world).send_as.len(), 1);
    world.sleep(INTERVAL).await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(view(&world).send_as.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_an_address_that_the_mailbox_only_asks_for_keeps_what_they_have() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    let mut staff = permission("staff", "sales", &[SECOND], &["SendAs"]);
    let everybody = json!({ "group": "all-staff@contoso.com", "expand": true });
    staff["spec"]["members"].as_array_mut().unwrap().push(everybody);
    world.apply(&staff).await;
    world.wait_permission("staff", "True", "Granted").await;
    let held = view(&world).send_as;
    let first = world.tenant.object_id(FIRST).unwrap();
    assert!(held.contains(&first), "they are in the group");
    for theirs in [FIRST, SECOND] {
        world.apply(&sales(json!({ "emailAddress": theirs }))).await;
        world.wait_mailbox("sales", "False", "SettingRefused").await;
        world.sleep(INTERVAL).await;
        assert_eq!(view(&world).send_as, held);
        world.wait_permission("staff", "True", "Granted").await;
    }
}
