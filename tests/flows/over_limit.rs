//! A namespace that has more than it may: what is over the limit grants nothing and takes nothing away, says so, and costs
//! nobody else anything.

use super::kit::*;
use super::remembered::*;
use serde_json::json;
use shared_mailbox_operator::api::{MailboxPermission, SharedMailbox};
use testkit::api_server::{Disturbance, Verb};
use testkit::{World, condition, permission, tenant, with};

/// 49 permissions with 500 members and one with 499: one member less than a namespace may have. They name a mailbox that is
/// not there.
async fn almost_full(world: &World) {
    for number in 0..50 {
        let count = if number == 49 { 499 } else { 500 };
        let members: Vec<String> = (0..count).map(|one| format!("p{one}@contoso.com")).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let name = format!("filler-{number:02}");
        world
            .apply(&permission(&name, "nobody", &members, &["SendAs"]))
            .await;
    }
    world.sleep(2).await;
}

fn over_limit(object: &MailboxPermission) {
    says(
        &stalled(object, "OverLimit"),
        &["500 MailboxPermissions", "25000 members", "Delete others"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_grows_over_the_limit_neither_grants_nor_revokes_until_there_is_room() {
    let mut world = World::start().await;
    almost_full(&world).await;
    settle(&world, &[FIRST]).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    over_limit(&world.wait_permission("team", "False", "OverLimit").await);
    let told = events_about(&world, "team").await.join("\n");
    says(&told, &["OverLimit: "]);
    world.sleep(INTERVAL).await;
    assert_eq!(
        holders(&world),
        held(1, 1),
        "who has a right keeps it, and nobody gets one"
    );
    assert_eq!(world.writes(), NOTHING);
    // Not even what it declares no longer is revoked: nobody reads it.
    world.apply(&team(&[SECOND, THIRD])).await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    // A restart comes to the same.
    world.crash_operator().await;
    world.start_operator();
    world.sleep(INTERVAL).await;
    assert_eq!((holders(&world), world.writes()), (held(1, 1), vec![]));
    over_limit(&world.permission("team").await);
    world.delete_permission("filler-00").await;
    world.wait_permission("team", "True", "Granted").await;
    let ids = [SECOND, THIRD].map(|who| world.tenant.object_id(who).unwrap());
    let mut send_as = view(&world).send_as;
    send_as.sort();
    let mut expected = ids.to_vec();
    expected.sort();
    assert_eq!(send_as, expected);
}

#[tokio::test(start_paused = true)]
async fn what_protects_is_done_although_a_permission_is_over_the_limit() {
    let world = World::start().await;
    almost_full(&world).await;
    settle(&world, &[FIRST]).await;
    let end = world.server.now() + jiff::SignedDuration::from_mins(30);
    let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
    let more = permission("more", "sales", &[SECOND], &["FullAccess", "SendAs"]);
    world.apply(&more).await;
    over_limit(&world.wait_permission("more", "False", "OverLimit").await);
    world.delete_permission("filler-00").await;
    world.wait_permission("more", "True", "Granted").await;
    world.apply(&with(more.clone(), &ends)).await;
    world.sleep(60).await;
    assert_eq!(holders(&world), held(2, 2));
    // The end is remembered, whatever becomes of the permission.
    let crowd: Vec<String> = (0..500).map(|one| format!("q{one}@contoso.com")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    world
        .apply(&permission("more", "sales", &crowd, &["FullAccess"]))
        .await;
    world.sleep(60).await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.sleep(1800 + INTERVAL).await;
    let first = world.tenant.object_id(FIRST).unwrap();
    assert_eq!(view(&world).send_as, [first], "the end has come");
    assert!(view(&world).account_disabled);
    depart(&world, FIRST).await;
    world.sleep(INTERVAL).await;
    assert_eq!(holders(&world), held(0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_full_takes_nothing_from_another() {
    let both = json!({ "namespaces": { "names": ["team-sales", "team-other"] } });
    let mut rule = tenant()["spec"]["access"][0].clone();
    rule["namespaces"] = both["namespaces"].clone();
    let world = world(
        simulator::Seed::contoso(),
        json!({ "spec": { "access": [rule] } }),
    )
    .await;
    make_namespace(&world, "team-other").await;
    almost_full(&world).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    world.wait_permission("team", "False", "OverLimit").await;
    let elsewhere = json!({ "metadata": { "namespace": "team-other" } });
    world.apply(&with(sales(json!({})), &elsewhere)).await;
    world.apply(&with(team(&[FIRST, SECOND]), &elsewhere)).await;
    wait_in(&world, "team-other", "sales", "True", "UpToDate").await;
    until(&world, "both are granted", || holders(&world) == held(2, 2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_grows_over_the_limit_keeps_what_it_has_and_says_so() {
    let world = World::start().await;
    // Nobody admits them, and they take all the room all the same.
    let text = "x".repeat(60);
    let aliases: Vec<String> = (0..300)
        .map(|number| format!("{number}@{text}.{text}.{text}.{text}.com"))
        .collect();
    for number in 0..105 {
        // The last one leaves room for a small mailbox.
        let count = if number == 104 { 110 } else { 300 };
        let filler = testkit::mailbox(
            &format!("filler-{number:03}"),
            &format!("filler{number}@elsewhere.example"),
        );
        world
            .apply(&with(
                filler,
                &json!({ "spec": { "aliases": &aliases[..count] } }),
            ))
            .await;
    }
    world.sleep(2).await;
    settle(&world, &[FIRST, SECOND]).await;
    let many: Vec<String> = (0..300)
        .map(|number| format!("sales{number}{}@contoso.com", &text[..55]))
        .collect();
    world.apply(&sales(json!({ "aliases": many }))).await;
    let object = world.wait_mailbox("sales", "False", "OverLimit").await;
    says(
        &stalled(&object, "OverLimit"),
        &["25000 addresses", "Shorten or delete"],
    );
    world.apply(&team(&[FIRST])).await;
    until(&world, "who is taken out is revoked", || {
        holders(&world) == held(1, 1)
    })
    .await;
    assert_eq!(sent(&world, "Set-Mailbox"), 0);
    world.apply(&sales(json!({}))).await;
    let object: SharedMailbox = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(condition(&object, "SignInBlocked").unwrap().status, "True");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_has_500_people_over_all_its_permissions_and_no_more() {
    let mut seed = simulator::Seed::contoso();
    let people: Vec<String> = (0..499).map(|number| format!("p{number}@contoso.com")).collect();
    for person in &people {
        seed = seed.with_user(simulator::SeedUser::person(person, person));
    }
    let world = world(seed, json!({})).await;
    world.apply(&sales(json!({}))).await;
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    world
        .apply(&permission("crowd", "sales", &people, &["SendAs"]))
        .await;
    world.wait_permission("crowd", "True", "Granted").await;
    world.apply(&team(&[FIRST, SECOND])).await;
    let team: MailboxPermission = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(
        &member_message(&team, SECOND),
        &["TooManyMembers", "500 people", "security group"],
    );
    assert_eq!(holders(&world), held(1, 500));
    // A permission that comes first takes nothing from who is there.
    world
        .apply(&permission("about", "sales", &[THIRD], &["SendAs"]))
        .await;
    world.wait_permission("about", "False", "MembersRefused").await;
    world.sleep(INTERVAL).await;
    assert_eq!(holders(&world), held(1, 500));
    assert!(
        view(&world)
            .send_as
            .contains(&world.tenant.object_id(FIRST).unwrap())
    );
    // Whoever goes makes room.
    world
        .apply(&permission("crowd", "sales", &people[..450], &["SendAs"]))
        .await;
    world.wait_permission("about", "True", "Granted").await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(holders(&world), held(2, 453));
}

#[tokio::test(start_paused = true)]
async fn one_object_over_the_limit_that_nobody_can_read_holds_up_no_other() {
    let world = World::start().await;
    almost_full(&world).await;
    world.server.disturb_by(|call| {
        let is_poison = call.verb == Verb::Get && call.name == "poison";
        is_poison.then(|| Disturbance::refused(500))
    });
    let many = [FIRST, SECOND, THIRD];
    for name in ["poison", "another", "team"] {
        world.apply(&permission(name, "sales", &many, &["SendAs"])).await;
    }
    world.sleep(60).await;
    over_limit(&world.permission("another").await);
    over_limit(&world.permission("team").await);
    world.server.calm();
    world.wait_permission("poison", "False", "OverLimit").await;
}
