//! Every right for every kind of member: what becomes of it, in which words, and which cmdlets it takes.

use std::fmt::Debug;

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::ForeignState;
use simulator::{
    AccessRow, GroupKind, MailboxView, Profile, Seed, SeedContact, SeedGroup, SeedMailbox, SeedUser,
    SendAsRow,
};
use testkit::{World, permission, with};
use uuid::Uuid;

const GUEST: &str = "anna@fabrikam.com";
const CONTACT: &str = "ben@fabrikam.com";
const SYNCED: &str = "synced@contoso.com";
const TEAM: &str = "sales-team@contoso.com";
const ALL_SALES: &str = "all-sales@contoso.com";
const LIST: &str = "all-staff@contoso.com";

/// The three rights, each with the cmdlet that gives it and the one that takes it away.
const RIGHTS: [(&str, &str, &str); 3] = [
    ("FullAccess", "Add-MailboxPermission", "Remove-MailboxPermission"),
    ("SendAs", "Add-RecipientPermission", "Remove-RecipientPermission"),
    ("SendOnBehalf", "Set-Mailbox", "Set-Mailbox"),
];

/// Members, and who then gets each right: with one writing cmdlet each, and one to take it away.
struct Granted {
    kind: &'static str,
    members: Value,
    people: &'static [&'static str],
}

/// A member who gets nothing, with the reason and some words of the message.
struct Refused {
    kind: &'static str,
    member: (&'static str, &'static str),
    says: [&'static str; 2],
}

fn user(address: &str) -> Value {
    json!([{ "user": address }])
}

fn group(address: &str) -> Value {
    json!([{ "group": address }])
}

fn granted() -> Vec<Granted> {
    let row = |kind, members, people| Granted {
        kind,
        members,
        people,
    };
    vec![
        row("a person with a mailbox", user(FIRST), &[FIRST]),
        row("a person synced from on premises", user(SYNCED), &[SYNCED]),
        row("a room", user("room@contoso.com"), &["room@contoso.com"]),
        row(
            "a shared mailbox",
            user("info@contoso.com"),
            &["info@contoso.com"],
        ),
        row("a mail user", user("mover@contoso.com"), &["mover@contoso.com"]),
        row("a mail-enabled security group", group(TEAM), &[TEAM]),
        row("a group with groups in it", group(ALL_SALES), &[ALL_SALES]),
        row(
            "everybody in a group and in the groups in it",
            json!([{ "group": ALL_SALES, "expand": true }]),
            &[FIRST, SECOND, THIRD],
        ),
        row(
            "everybody in a list",
            json!([{ "group": LIST, "expand": true }]),
            &[FIRST, SECOND],
        ),
        row(
            "everybody in a Microsoft 365 group",
            json!([{ "group": "board@contoso.com", "expand": true }]),
            &[FIRST],
        ),
        row(
            "one person under two addresses",
            json!([{ "user": SYNCED }, { "user": "s.ynced@contoso.com" }]),
            &[SYNCED],
        ),
    ]
}

fn refused() -> Vec<Refused> {
    let row = |kind, member, reason, words| Refused {
        kind,
        member,
        says: [reason, words],
    };
    let powerless = "not a mail-enabled security group";
    let (user, group) = (|who| ("user", who), |who| ("group", who));
    vec![
        row(
            "a person without a mailbox",
            user("no.mailbox@contoso.com"),
            "MemberHasNoMailbox",
            "without a mailbox",
        ),
        row(
            "a guest",
            user(GUEST),
            "MemberIsExternal",
            "belongs to another organisation",
        ),
        row(
            "a contact",
            user(CONTACT),
            "MemberCannotHoldRights",
            "can't hold rights",
        ),
        row(
            "a group without mail",
            group("plain-group@contoso.com"),
            "GroupCannotHoldRights",
            "not mail-enabled",
        ),
        row(
            "a distribution list",
            group(LIST),
            "GroupCannotHoldRights",
            powerless,
        ),
        row(
            "a Microsoft 365 group",
            group("board@contoso.com"),
            "GroupCannotHoldRights",
            powerless,
        ),
        row(
            "a dynamic distribution group",
            group("rainy@contoso.com"),
            "MemberCannotHoldRights",
            "a distribution group that can't hold rights",
        ),
        row(
            "a group written as user",
            user(TEAM),
            "MemberIsGroup",
            "write group instead of user",
        ),
        row(
            "a person written as group",
            group(FIRST),
            "MemberIsUser",
            "write user instead of group",
        ),
        row(
            "the mailbox itself",
            user(SALES),
            "MemberIsMailbox",
            "the mailbox itself",
        ),
        row(
            "somebody deleted",
            user("gone@contoso.com"),
            "MemberNotFound",
            "no recipient in the tenant",
        ),
        row(
            "somebody unknown",
            user("nobody@contoso.com"),
            "MemberNotFound",
            "no recipient in the tenant",
        ),
        row(
            "somebody whom no rule admits",
            user("somebody@tailspin.com"),
            "AccessDenied",
            "members: [somebody@tailspin.com]",
        ),
        row(
            "somebody who has left",
            user("left@contoso.com"),
            "Departed",
            "spec.departed",
        ),
    ]
}

fn everybody() -> Seed {
    let list = |address, name, kind, members: &[&str]| SeedGroup::new(address, name, kind, members);
    Seed::contoso()
        .with_user(SeedUser {
            dir_synced: true,
            addresses: vec!["s.ynced@contoso.com".to_owned()],
            ..SeedUser::person("synced@contoso.com", "Synced")
        })
        .with_user(SeedUser {
            mailbox: SeedMailbox::Room,
            ..SeedUser::person("room@contoso.com", "Room")
        })
        .with_user(SeedUser::shared_mailbox("info@contoso.com", "Info"))
        .with_user(SeedUser::mail_user(
            "mover@contoso.com",
            "Mover",
            "mover@fabrikam.com",
        ))
        .with_user(SeedUser::guest(GUEST, "Anna"))
        .with_user(SeedUser::person("gone@contoso.com", "Gone"))
        .with_user(SeedUser::person("left@contoso.com", "Left"))
        .with_contact(SeedContact::new(CONTACT, "Ben"))
        .with_group(list(
            ALL_SALES,
            "All Sales",
            GroupKind::MailEnabledSecurity,
            &["sales-team@contoso.com", THIRD, "no.mailbox@contoso.com", CONTACT],
        ))
        .with_group(list(
            "board@contoso.com",
            "Board",
            GroupKind::Microsoft365,
            &[FIRST],
        ))
        .with_group(list("rainy@contoso.com", "Rainy", GroupKind::Dynamic, &[FIRST]))
}

fn rules() -> Value {
    json!({ "spec": { "departed": ["left@contoso.com"], "access": [{
        "namespaces": { "names": ["team-sales"] },
        "addresses": ["*@contoso.com"],
        "members": ["*@contoso.com", "*@fabrikam.com"],
        "groups": ["sales-team@contoso.com", ALL_SALES, "plain-group@contoso.com", "all-staff@contoso.com",
                   "board@contoso.com", "rainy@contoso.com", FIRST],
        "rights": ["FullAccess", "SendAs", "SendOnBehalf"] }] } })
}

/// A Ready mailbox `sales` in a tenant with everybody, and what it took forgotten.
async fn ready() -> World {
    let world = world(everybody(), rules()).await;
    world.tenant.delete_user("gone@contoso.com").unwrap();
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(2).await;
    forget(&world);
    world
}

/// Who holds `right` in the tenant itself.
fn holders(view: &MailboxView, right: &str) -> Vec<Uuid> {
    let mut holders: Vec<Uuid> = match right {
        "FullAccess" => view.full_access.iter().map(|entry| entry.trustee).collect(),
        "SendAs" => view.send_as.clone(),
        _ => view.on_behalf.clone(),
    };
    holders.sort_unstable();
    holders
}

fn ids(world: &World, addresses: &[&str]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = addresses
        .iter()
        .map(|address| world.tenant.object_id(address).unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

/// One writing cmdlet for each, but for Send on Behalf, where one Set-Mailbox does it for all.
fn writes(right: &str, cmdlet: &str, count: usize) -> Vec<String> {
    let times = if right == "SendOnBehalf" { 1 } else { count };
    vec![cmdlet.to_owned(); times]
}

fn same<T: PartialEq + Debug>(left: &T, right: &T, what: &str) {
    assert!(left == right, "{what}: {left:?} instead of {right:?}");
}

#[tokio::test(start_paused = true)]
async fn each_right_is_granted_and_revoked_with_one_cmdlet_for_each_kind_that_can_hold_it() {
    for row in granted() {
        for (right, give, take) in RIGHTS {
            let what = format!("{right} for {}", row.kind);
            let world = ready().await;
            let members = json!({ "spec": { "members": row.members } });
            let manifest = with(permission("team", "sales", &[], &[right]), &members);
            world.apply(&manifest).await;
            world.wait_permission("team", "True", "Granted").await;
            same(&holders(&view(&world), right), &ids(&world, row.people), &what);
            same(&world.writes(), &writes(right, give, row.people.len()), &what);
            world.sleep(2).await;
            forget(&world);
            world.delete_permission("team").await;
            until(&world, "the right is gone", || {
                holders(&view(&world), right).is_empty()
            })
            .await;
            world.sleep(60).await;
            same(&world.writes(), &writes(right, take, row.people.len()), &what);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_right_is_refused_in_words_for_each_kind_that_cannot_hold_it() {
    for row in refused() {
        for (right, _, _) in RIGHTS {
            let what = format!("{right} for {}", row.kind);
            let world = ready().await;
            let (kind, address) = row.member;
            let members = json!({ "spec": { "members": [{ kind: address }] } });
            let manifest = with(permission("team", "sales", &[], &[right]), &members);
            world.apply(&manifest).await;
            let team = world.wait_permission("team", "False", "MembersRefused").await;
            stalled(&team, "MembersRefused");
            says(&member_message(&team, address), &row.says);
            world.wait_mailbox("sales", "True", "UpToDate").await;
            same(&world.writes(), &Vec::new(), &what);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_exchange_refuses_is_refused_on_that_member_alone() {
    // A list of Full Access that is full: the 501st entry.
    let world = ready().await;
    for n in 0..499 {
        let stray = AccessRow::of(&format!("S-1-5-21-1-2-3-{n}"));
        world.tenant.inject_access(SALES, &stray).unwrap();
    }
    world.apply(&team(&[FIRST, SECOND])).await;
    let team = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(&stalled(&team, "PartiallyGranted"), &["500"]);
    let view = view(&world);
    same(&view.full_access.len(), &500, "entries");
    same(&view.send_as.len(), &2, "Send As has a list of its own");
}

#[tokio::test(start_paused = true)]
async fn somebody_with_another_sid_keeps_what_is_declared_and_loses_it_with_the_declaration() {
    let world = ready().await;
    let all = ["FullAccess", "SendAs", "SendOnBehalf"];
    world.apply(&permission("team", "sales", &[FIRST], &all)).await;
    world.wait_permission("team", "True", "Granted").await;
    world.tenant.change_sid(FIRST).unwrap();
    world.sleep(2).await;
    forget(&world);
    world.sleep(2 * INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    world.wait_permission("team", "True", "Granted").await;
    world.delete_permission("team").await;
    // Asked by object id, Exchange knows nothing of the entries that carry the old SID.
    until(&world, "all is gone", || {
        let view = view(&world);
        view.full_access.is_empty() && view.send_as.is_empty() && view.on_behalf.is_empty()
    })
    .await;
    world.sleep(2).await;
    let status = world
        .wait_mailbox("sales", "True", "UpToDate")
        .await
        .status
        .unwrap();
    assert_eq!((status.foreign_grants, status.revoked.len()), (None, 3));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_reported_and_never_said_to_be_revoked() {
    let world = ready().await;
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("team", "True", "Granted").await;
    world.tenant.set_undeletable(SALES, FIRST, true).unwrap();
    world.delete_permission("team").await;
    let stuck = world.wait_mailbox("sales", "False", "GrantStuck").await;
    says(&stalled(&stuck, "GrantStuck"), &[FIRST, "FullAccess", "SendAs"]);
    let status = stuck.status.unwrap();
    assert!(status.revoked.is_empty(), "{:?}", status.revoked);
    // Tried again, seldom, until it is removed.
    forget(&world);
    world.sleep(2 * 3600).await;
    assert!((2..=12).contains(&world.writes().len()), "{:?}", world.writes());
    world.tenant.set_undeletable(SALES, FIRST, false).unwrap();
    let status = world
        .wait_mailbox("sales", "True", "UpToDate")
        .await
        .status
        .unwrap();
    assert!(view(&world).full_access.is_empty() && view(&world).send_as.is_empty());
    assert_eq!((status.foreign_grants, status.revoked.len()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn somebody_with_another_sid_is_no_leftover() {
    if leftovers_are_unseen() {
        return;
    }
    let world = ready().await;
    let stray = "S-1-5-21-1-2-3-4";
    for who in [THIRD, stray] {
        world.tenant.inject_access(SALES, &AccessRow::of(who)).unwrap();
        world.tenant.inject_send_as(SALES, &SendAsRow::of(who)).unwrap();
    }
    world.tenant.change_sid(THIRD).unwrap();
    let asked = json!({ "metadata": { "annotations": { "sharedmailbox.dev/remove-orphaned-grants": "1" } } });
    world.apply(&with(sales(json!({})), &asked)).await;
    until(&world, "the leftover is gone", || {
        view(&world).full_access.len() == 1
    })
    .await;
    world.sleep(2 * INTERVAL).await;
    let third = world.tenant.object_id(THIRD).unwrap();
    let held = view(&world);
    assert_eq!((held.full_access[0].trustee, held.send_as), (third, vec![third]));
    let status = world.mailbox("sales").await.status.unwrap();
    let reported: Vec<_> = status.foreign.iter().map(|row| row.state).collect();
    // Where Exchange answers what somebody holds under any SID, it is known to be theirs.
    let is_tied = tenants_are(&[Profile::Hybrid, Profile::LinkedAccounts]);
    let expected = if is_tied {
        ForeignState::Foreign
    } else {
        ForeignState::Unknown
    };
    assert_eq!(reported, [expected; 2]);
    assert_eq!(status.orphaned_grants, None);
}
