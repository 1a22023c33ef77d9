//! Groups as they are, and person by person.

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::RightState;
use simulator::{GroupKind, GroupQuirks, HiddenMembers, Seed, SeedGroup, SeedUser};
use testkit::{World, permission, with};

pub const ALL_STAFF: &str = "all-staff@contoso.com";

/// `all-staff`, a distribution list, person by person.
fn expanded() -> Value {
    expanded_as("team", ALL_STAFF)
}

/// Everybody in a group may send as `sales`.
pub fn expanded_as(name: &str, group: &str) -> Value {
    with(
        permission(name, "sales", &[], &["SendAs"]),
        &json!({ "spec": { "members": [{ "group": group, "expand": true }] } }),
    )
}

pub fn person(number: usize) -> String {
    format!("person{number}@contoso.com")
}

fn seed(people: usize) -> Seed {
    staff(people, people)
}

/// So many people, of whom the first are in `all-staff`.
pub fn staff(members: usize, people: usize) -> Seed {
    let names: Vec<String> = (0..people).map(person).collect();
    let members: Vec<&str> = names.iter().take(members).map(String::as_str).collect();
    let mut seed = Seed::contoso();
    seed.groups.retain(|group| group.address != ALL_STAFF);
    for name in &names {
        seed = seed.with_user(SeedUser::person(name, name));
    }
    seed.with_group(SeedGroup::new(
        ALL_STAFF,
        "All Staff",
        GroupKind::Distribution,
        &members,
    ))
}

async fn with_group(people: usize) -> World {
    let world = world(seed(people), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&expanded()).await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2).await;
    forget(&world);
    world
}

#[tokio::test(start_paused = true)]
async fn everybody_in_a_group_is_granted_followed_and_reported() {
    let world = with_group(3).await;
    assert_eq!(view(&world).send_as.len(), 3);
    let status = world.permission("team").await.status.unwrap();
    assert_eq!(status.member_summary.as_deref(), Some("1/1"));
    assert_eq!(status.members.len(), 4, "the group and its people");
    assert!(
        status.members[1..]
            .iter()
            .all(|member| member.via.as_deref() == Some(ALL_STAFF))
    );

    world
        .tenant
        .remove_group_member(ALL_STAFF, "person0@contoso.com")
        .unwrap();
    world.tenant.add_group_member(ALL_STAFF, FIRST).unwrap();
    let (left, joined) = (
        world.tenant.object_id("person0@contoso.com").unwrap(),
        world.tenant.object_id(FIRST).unwrap(),
    );
    until(&world, "joiner in, leaver out", || {
        view(&world).send_as.contains(&joined) && !view(&world).send_as.contains(&left)
    })
    .await;
    assert_eq!(sent(&world, "Add-RecipientPermission"), 1);
    assert_eq!(sent(&world, "Remove-RecipientPermission"), 1);
    world.sleep(INTERVAL).await;
    let events = events_about(&world, "team").await;
    for said in [
        format!("granted: SendAs to {FIRST} in {ALL_STAFF}"),
        format!("revoked: SendAs of person0@contoso.com in {ALL_STAFF}"),
    ] {
        assert!(
            events.iter().any(|event| event.contains(&said)),
            "{said}: {events:#?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_left_a_group_while_nobody_watched_is_named_all_the_same() {
    let mut world = with_group(3).await;
    world.crash_operator().await;
    world
        .tenant
        .remove_group_member(ALL_STAFF, "person0@contoso.com")
        .unwrap();
    world.start_operator();
    let left = world.tenant.object_id("person0@contoso.com").unwrap();
    until(&world, "the leaver is out", || {
        !view(&world).send_as.contains(&left)
    })
    .await;
    world.sleep(INTERVAL).await;
    let events = events_about(&world, "team").await;
    let said = format!("revoked: SendAs of person0@contoso.com in {ALL_STAFF}");
    assert!(events.iter().any(|event| event.contains(&said)), "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn nested_people_are_granted_and_whoever_cannot_hold_a_grant_is_skipped() {
    let seed = seed(1)
        .with_group(SeedGroup::new(
            "inner@contoso.com",
            "Inner",
            GroupKind::MailEnabledSecurity,
            &[SECOND],
        ))
        .with_user(SeedUser::guest("anna@fabrikam.com", "Anna"));
    let world = world(seed, json!({})).await;
    for member in ["inner@contoso.com", "no.mailbox@contoso.com", "anna@fabrikam.com"] {
        world.tenant.add_group_member(ALL_STAFF, member).unwrap();
    }
    world.apply(&sales(json!({}))).await;
    world.apply(&expanded()).await;
    let permission = world.wait_permission("team", "True", "Granted").await;
    assert!(
        view(&world)
            .send_as
            .contains(&world.tenant.object_id(SECOND).unwrap())
    );
    let members = permission.status.unwrap().members;
    let skipped = members
        .iter()
        .filter(|member| member.rights[0].state == RightState::Skipped);
    let skipped: Vec<&str> = skipped.map(|member| member.address.as_str()).collect();
    assert_eq!(
        skipped,
        ["anna@fabrikam.com", "no.mailbox@contoso.com"],
        "nobody is an id"
    );
    says(
        members[0].message.as_deref().unwrap(),
        &["4 people", "2 granted", "2 skipped"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_too_large_or_cannot_be_read_is_refused_and_keeps_what_it_had() {
    let world = with_group(2).await;
    world.tenant.set_graph_group_read(false);
    world.tenant.revoke_tokens();
    let permission = world.wait_permission("team", "False", "MembersRefused").await;
    says(&stalled(&permission, "MembersRefused"), &["GroupMember.Read.All"]);
    assert_eq!(view(&world).send_as.len(), 2);
    world.tenant.set_graph_group_read(true);
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(world.writes(), NOTHING);

    let large = super::groups::world_with_large_group().await;
    let permission = large.wait_permission("team", "False", "MembersRefused").await;
    says(
        &stalled(&permission, "MembersRefused"),
        &["201 people", "at most 200"],
    );
}

async fn world_with_large_group() -> World {
    let world = world(seed(201), json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.apply(&expanded()).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_group_that_changes_all_at_once_is_held_until_exactly_that_is_approved() {
    let world = with_group(20).await;
    for number in 0..15 {
        let name = format!("person{number}@contoso.com");
        world.tenant.remove_group_member(ALL_STAFF, &name).unwrap();
    }
    let mailbox = world.wait_mailbox("sales", "False", "Held").await;
    stalled(&mailbox, "Held");
    assert_eq!(view(&world).send_as.len(), 20, "nobody lost anything");
    let held = mailbox.status.unwrap().held.unwrap();
    assert_eq!(held.count, 15);
    approve(&world, &held.id).await;
    until(&world, "fifteen are gone", || view(&world).send_as.len() == 5).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

/// `all-staff` hides its members, or a group in it does.
fn hidden(nested: bool) -> Seed {
    let mut seed = seed(3);
    let hide = |address: &str, seed: &mut Seed| {
        let group = seed.groups.iter_mut().find(|group| group.address == address);
        group.expect("the group is there").hidden_membership = true;
    };
    if nested {
        let inner = SeedGroup::new("inner@contoso.com", "Inner", GroupKind::Microsoft365, &[SECOND]);
        seed = seed.with_group(inner);
        hide("inner@contoso.com", &mut seed);
        let outer = seed.groups.iter_mut().find(|group| group.address == ALL_STAFF);
        outer
            .expect("it is there")
            .members
            .push("inner@contoso.com".to_owned());
    } else {
        hide(ALL_STAFF, &mut seed);
    }
    seed
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hides_its_members_is_refused_whatever_is_shown_of_them() {
    for nested in [false, true] {
        for hidden_members in [HiddenMembers::Empty, HiddenMembers::Shown] {
            let world = world(hidden(nested), json!({})).await;
            let mut quirks = world.tenant.quirks();
            quirks.groups = GroupQuirks {
                hidden_members,
                show_visibility: true,
            };
            world.tenant.set_quirks(quirks);
            world.apply(&sales(json!({}))).await;
            world.apply(&expanded()).await;
            let permission = world.wait_permission("team", "False", "MembersRefused").await;
            says(
                &stalled(&permission, "MembersRefused"),
                &["hides its members", "HiddenMembership", "leave out expand"],
            );
            assert_eq!(view(&world).send_as.len(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_members_are_hidden_later_keeps_what_it_had() {
    for show_visibility in [true, false] {
        let world = world(seed(3), json!({})).await;
        let mut quirks = world.tenant.quirks();
        quirks.groups.show_visibility = show_visibility;
        world.tenant.set_quirks(quirks);
        world.apply(&sales(json!({}))).await;
        world.apply(&expanded()).await;
        world.wait_permission("team", "True", "Granted").await;
        world.tenant.set_hidden_membership(ALL_STAFF, true).unwrap();
        if show_visibility {
            world.wait_permission("team", "False", "MembersRefused").await;
        } else {
            let mailbox = world.wait_mailbox("sales", "False", "Held").await;
            assert_eq!(mailbox.status.unwrap().held.unwrap().count, 3);
        }
        world.sleep(3 * INTERVAL).await;
        assert_eq!(view(&world).send_as.len(), 3, "nobody lost anything");
        world.tenant.set_hidden_membership(ALL_STAFF, false).unwrap();
        world.wait_permission("team", "True", "Granted").await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        assert_eq!(view(&world).send_as.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_nested_group_that_hides_its_members_and_does_not_say_so_costs_nobody_their_rights() {
    let mut seed = hidden(true);
    for group in &mut seed.groups {
        group.hidden_membership = false;
    }
    let world = world(seed, json!({})).await;
    let mut quirks = world.tenant.quirks();
    quirks.groups.show_visibility = false;
    world.tenant.set_quirks(quirks);
    world.apply(&sales(json!({}))).await;
    world.apply(&expanded()).await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(view(&world).send_as.len(), 4);

    world
        .tenant
        .set_hidden_membership("inner@contoso.com", true)
        .unwrap();
    let mailbox = world.wait_mailbox("sales", "False", "Held").await;
    assert_eq!(mailbox.status.unwrap().held.unwrap().count, 1);
    world.sleep(3 * INTERVAL).await;
    assert_eq!(view(&world).send_as.len(), 4, "nobody lost anything");

    world
        .tenant
        .set_hidden_membership("inner@contoso.com", false)
        .unwrap();
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world
        .tenant
        .remove_group_member("inner@contoso.com", SECOND)
        .unwrap();
    world.tenant.add_group_member("inner@contoso.com", FIRST).unwrap();
    let second = world.tenant.object_id(SECOND).unwrap();
    until(&world, "who left a group that shows its members loses it", || {
        !view(&world).send_as.contains(&second)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_emptied_group_waits_for_approval_however_small_it_was() {
    let world = with_group(1).await;
    world
        .tenant
        .remove_group_member(ALL_STAFF, "person0@contoso.com")
        .unwrap();
    let mailbox = world.wait_mailbox("sales", "False", "Held").await;
    assert_eq!(view(&world).send_as.len(), 1, "they keep it until then");
    let held = mailbox.status.unwrap().held.unwrap();
    assert_eq!(held.count, 1);
    world.sleep(3 * INTERVAL).await;
    assert_eq!(view(&world).send_as.len(), 1);
    approve(&world, &held.id).await;
    until(&world, "nobody is left", || view(&world).send_as.is_empty()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}
