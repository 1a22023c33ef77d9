//! What leads mail out or answers it: who may be named, what becomes of it when it is dropped, and who else may change it.

use super::kit::*;
use serde_json::{Value, json};
use simulator::{EmptyList, Quirks, Seed};
use testkit::{World, condition, with};

const FORWARDED: &str = "ForwardingAddress";
const OUTSIDE: &str = "ForwardingSmtpAddress";
const ONLY_FROM: &str = "AcceptMessagesOnlyFromSendersOrMembers";

/// `sales` in a namespace whose rule has no power.
async fn plain() -> World {
    let rule = json!({ "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"],
        "members": ["first.member@contoso.com", "second.member@contoso.com", "*@fabrikam.com"],
        "groups": ["sales-team@contoso.com"], "rights": ["FullAccess", "SendAs"] });
    let world = world(Seed::contoso(), json!({ "spec": { "access": [rule] } })).await;
    settle(&world, &[FIRST]).await;
    world
}

fn forwarding(to: &str) -> Value {
    json!({ "forwarding": { "mode": "Internal", "to": to } })
}

fn shown(world: &World, name: &str) -> Value {
    view(world).settings.get(name).unwrap()
}

/// As Exchange shows somebody.
fn name_of(world: &World, address: &str) -> Value {
    let rows = world
        .tenant
        .admin_cmdlet("Get-Recipient", json!({ "Identity": address }))
        .unwrap();
    rows[0]["Name"].clone()
}

#[tokio::test(start_paused = true)]
async fn forwarding_keeps_a_copy_unless_it_is_told_otherwise() {
    let world = plain().await;
    world.apply(&sales(forwarding(FIRST))).await;
    let first = name_of(&world, FIRST);
    until(&world, "it is forwarded", || shown(&world, FORWARDED) == first).await;
    assert_eq!(shown(&world, "DeliverToMailboxAndForward"), json!(true));
    let without = json!({ "forwarding": { "mode": "Internal", "to": SECOND, "keepCopy": false } });
    world.apply(&sales(without)).await;
    let second = name_of(&world, SECOND);
    until(&world, "to somebody else", || shown(&world, FORWARDED) == second).await;
    assert_eq!(shown(&world, "DeliverToMailboxAndForward"), json!(false));
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn who_is_not_admitted_is_not_looked_up_and_what_was_declared_before_stays() {
    let world = plain().await;
    world.apply(&sales(forwarding(FIRST))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let first = name_of(&world, FIRST);
    for (wish, words) in [
        (forwarding(THIRD), "members: [third.member@contoso.com]"),
        (
            forwarding("nobody@fabrikam.com"),
            "no recipient in the tenant has the address nobody@fabrikam.com",
        ),
        (
            json!({ "forwarding": { "mode": "External", "externalAddress": "x@partner.example" } }),
            "powers: [ForwardExternally]",
        ),
        (
            json!({ "forwarding": { "mode": "External", "externalAddress": FIRST } }),
            "is an address of this organisation",
        ),
        (forwarding(SALES), "members: [sales@contoso.com]"),
    ] {
        world.tenant.clear_journal();
        world.apply(&sales(wish.clone())).await;
        let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
        says(&stalled(&object, "SettingRefused"), &["forwarding", words]);
        assert_eq!(shown(&world, FORWARDED), first, "{wish}");
        assert_eq!(world.writes(), NOTHING, "{wish}");
        if words.starts_with("members") {
            assert_eq!(
                sent(&world, "Get-Recipient"),
                0,
                "the directory is no oracle: {wish}"
            );
        }
        world.apply(&sales(forwarding(FIRST))).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
    for list in ["acceptFrom", "rejectFrom"] {
        world
            .apply(&sales(json!({ "delivery": { list: [FIRST, THIRD] } })))
            .await;
        let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
        says(
            &stalled(&object, "SettingRefused"),
            &[&format!("delivery.{list}"), THIRD],
        );
        assert_eq!(
            shown(&world, ONLY_FROM),
            json!([]),
            "nobody is left out of a list"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn forwarding_that_an_admin_set_is_left_alone_until_it_is_declared() {
    let world = plain().await;
    world
        .tenant
        .set_setting(SALES, OUTSIDE, &json!("x@partner.example"))
        .unwrap();
    world.sleep(INTERVAL).await;
    assert_eq!(shown(&world, OUTSIDE), "smtp:x@partner.example");
    world
        .apply(&sales(json!({ "forwarding": { "mode": "None" } })))
        .await;
    until(&world, "it is closed", || shown(&world, OUTSIDE).is_null()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_forwarding_is_withdrawn_whatever_an_admin_made_of_it() {
    let world = plain().await;
    world.apply(&sales(forwarding(FIRST))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world
        .tenant
        .set_setting(SALES, FORWARDED, &json!(SECOND))
        .unwrap();
    world.apply(&sales(json!({}))).await;
    until(&world, "it is closed", || shown(&world, FORWARDED).is_null()).await;
    assert_eq!(shown(&world, "DeliverToMailboxAndForward"), json!(false));
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn somebody_who_changes_an_automatic_reply_in_outlook_is_overruled_once() {
    let world = plain().await;
    let away = |text: &str| json!({ "automaticReplies": { "state": "Enabled", "internal": text, "external": text } });
    world.apply(&sales(away("We are away."))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(120).await;
    let by_hand = || {
        world
            .tenant
            .set_setting(SALES, "AutoReplyState", &json!("Disabled"))
            .unwrap();
    };
    by_hand();
    world.sleep(INTERVAL).await;
    assert_eq!(shown(&world, "AutoReplyState"), "Enabled");
    by_hand();
    let object = world.wait_mailbox("sales", "False", "Contested").await;
    says(&stalled(&object, "Contested"), &["automaticReplies.state"]);
    forget(&world);
    world.sleep(12 * 3600).await;
    assert_eq!(shown(&world, "AutoReplyState"), "Disabled");
    assert_eq!(world.writes(), NOTHING);
    world.apply(&sales(away("We are away until Monday."))).await;
    until(&world, "an edit", || shown(&world, "AutoReplyState") == "Enabled").await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_has_ended_is_neither_written_nor_withdrawn() {
    let world = plain().await;
    let scheduled = |start: &str, end: &str| {
        json!({ "automaticReplies": { "state": "Scheduled", "internal": "Away", "audience": "None",
            "start": start, "end": end } })
    };
    forget(&world);
    world
        .apply(&sales(scheduled("2026-11-01T08:00:00Z", "2026-11-20T08:00:00Z")))
        .await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    world
        .apply(&sales(scheduled("2026-11-01T08:00:00Z", "2026-11-22T12:00:00Z")))
        .await;
    until(&world, "it has not ended", || {
        shown(&world, "AutoReplyState") == "Scheduled"
    })
    .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    forget(&world);
    world.sleep(6 * 3600).await;
    world
        .tenant
        .set_setting(SALES, "AutoReplyState", &json!("Disabled"))
        .unwrap();
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_list_is_emptied_in_whichever_way_the_service_takes() {
    for empties in [EmptyList::Null, EmptyList::Empty] {
        let world = plain().await;
        world.tenant.set_quirks(Quirks {
            lists_are_emptied_by: empties,
            ..Quirks::default()
        });
        let from = |list: Value| json!({ "delivery": { "acceptFrom": list } });
        world
            .apply(&sales(from(json!([FIRST, "sales-team@contoso.com"]))))
            .await;
        until(&world, "two senders", || {
            shown(&world, ONLY_FROM).as_array().unwrap().len() == 2
        })
        .await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.apply(&sales(from(json!([])))).await;
        until(&world, "everybody", || shown(&world, ONLY_FROM) == json!([])).await;
        let object = world.wait_mailbox("sales", "True", "UpToDate").await;
        assert_eq!(condition(&object, "SettingsSynced").unwrap().status, "True");
    }
}

#[tokio::test(start_paused = true)]
async fn an_archive_without_a_licence_names_the_licence_and_one_that_is_there_is_never_deleted() {
    let world = plain().await;
    let archive = |on: bool| json!({ "archive": { "enabled": on } });
    world
        .apply(&sales(with(archive(true), &json!({ "mailTip": "Hello" }))))
        .await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&object, "SettingRefused"),
        &["archive", "license doesn't permit"],
    );
    says(
        &condition(&object, "LicenseRequired").unwrap().message,
        &["archive needs Exchange Online Plan 2"],
    );
    world.tenant.set_licensed(SALES, true).unwrap();
    world.sleep(2 * 3600).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    forget(&world);
    world.apply(&sales(archive(false))).await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&object, "SettingRefused"),
        &["ArchiveExists", "Disable-Mailbox -Archive"],
    );
    assert_eq!(
        world.writes(),
        NOTHING.to_vec(),
        "but for the mail tip, which stays"
    );
}
