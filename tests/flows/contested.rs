//! No wars: what somebody keeps changing back is repaired seldom, but the door stays shut.

use serde_json::json;

use testkit::{World, mailbox};

const NAME: &str = "sales@contoso.com";

fn rename_behind_our_back(world: &World, name: &str) {
    world
        .tenant
        .admin_cmdlet("Set-Mailbox", json!({ "Identity": NAME, "DisplayName": name }))
        .unwrap();
}

fn display_name(world: &World) -> String {
    world.tenant.mailbox(NAME).unwrap().display_name
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_changed_again_and_again_is_contested_and_repaired_once_an_hour() {
    let world = World::start().await;
    world.apply(&mailbox("sales", NAME)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    for round in 0..3 {
        rename_behind_our_back(&world, &format!("theirs {round}"));
        world
            .wait("the repair", async || {
                (display_name(&world) == "sales").then_some(())
            })
            .await;
        world.sleep(300).await;
    }
    rename_behind_our_back(&world, "theirs again");
    let contested = world.wait_mailbox("sales", "False", "Contested").await;
    assert!(
        contested
            .status
            .unwrap()
            .conditions
            .iter()
            .any(|c| c.type_ == "Stalled" && c.message.contains("sales"))
    );
    assert_eq!(display_name(&world), "theirs again");

    world.tenant.set_account_enabled(NAME, true).unwrap();
    world
        .wait("the block", async || {
            world.tenant.mailbox(NAME).unwrap().account_disabled.then_some(())
        })
        .await;
    assert_eq!(
        display_name(&world),
        "theirs again",
        "sign-in is repaired, the name rests"
    );

    world
        .wait("the repair after the rest", async || {
            (display_name(&world) == "sales").then_some(())
        })
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_manifest_ends_the_rest() {
    let world = World::start().await;
    let manifest = mailbox("sales", NAME);
    world.apply(&manifest).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    for round in 0..4 {
        rename_behind_our_back(&world, &format!("theirs {round}"));
        world.sleep(700).await;
    }
    world.wait_mailbox("sales", "False", "Contested").await;
    let edited = testkit::with(manifest, &json!({ "spec": { "displayName": "ours" } }));
    world.apply(&edited).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(display_name(&world), "ours");
}
