//! What somebody changes outside the operator is repaired; what nobody declares is left alone.

use super::kit::*;
use serde_json::{Value, json};
use simulator::Seed;
use testkit::{World, condition, permission};

async fn blocked_again(world: &World) {
    world.sleep(INTERVAL).await;
    assert!(view(world).account_disabled, "sign-in is open");
    assert_eq!(world.tenant.account_enabled(SALES), Some(false));
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn sign_in_is_blocked_again_wherever_it_was_opened_and_however_it_is_controlled() {
    for (control, write) in [("Exchange", "Set-Mailbox"), ("Graph", "Graph")] {
        let world = world(Seed::contoso(), json!({ "spec": { "signInControl": control } })).await;
        settle(&world, &[FIRST]).await;
        assert!(view(&world).account_disabled);
        let object = world.mailbox("sales").await;
        assert_eq!(
            condition(&object, "SignInBlocked").unwrap().reason,
            "Blocked",
            "{control}"
        );
        world.tenant.set_account_enabled(SALES, true).unwrap();
        blocked_again(&world).await;
        assert_eq!(
            world.writes().len(),
            2,
            "with its sessions: {control}: {:?}",
            world.writes()
        );
        assert!(
            world.writes()[0].starts_with(write),
            "{control}: {:?}",
            world.writes()
        );
        forget(&world);
        admin(
            &world,
            "Set-Mailbox",
            json!({ "Identity": SALES, "AccountDisabled": false }),
        );
        blocked_again(&world).await;
        assert_eq!(world.writes().len(), 2, "{control}: {:?}", world.writes());
    }
}

#[tokio::test(start_paused = true)]
async fn the_directory_decides_while_exchange_lags_behind_it() {
    let world = sales_with(&[]).await;
    let lag = simulator::Faults {
        directory_to_exchange_ms: 24 * 3_600_000,
        ..Default::default()
    };
    world.tenant.set_faults(lag);
    world.tenant.set_account_enabled(SALES, true).unwrap();
    blocked_again(&world).await;
}

/// What an admin does by hand, and what the operator sends to put it right.
struct AdminAction {
    cmdlet: &'static str,
    parameters: Value,
    repair: &'static str,
}

fn admin_actions() -> Vec<AdminAction> {
    let remove = |what: &str| json!({ "@odata.type": "#Exchange.GenericHashTable", "remove": [what] });
    let set = |parameters: Value| AdminAction {
        cmdlet: "Set-Mailbox",
        parameters,
        repair: "Set-Mailbox",
    };
    vec![
        set(json!({ "DisplayName": "Vendite" })),
        set(json!({ "EmailAddresses": remove("info@contoso.com") })),
        set(json!({ "GrantSendOnBehalfTo": remove(FIRST) })),
        AdminAction {
            cmdlet: "Remove-MailboxPermission",
            parameters: json!({ "User": FIRST, "AccessRights": ["FullAccess"] }),
            repair: "Add-MailboxPermission",
        },
        AdminAction {
            cmdlet: "Remove-RecipientPermission",
            parameters: json!({ "Trustee": FIRST, "AccessRights": ["SendAs"] }),
            repair: "Add-RecipientPermission",
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_an_admin_takes_away_comes_back_with_one_write() {
    for AdminAction {
        cmdlet,
        parameters,
        repair,
    } in admin_actions()
    {
        let world = World::start().await;
        world
            .apply(&sales(json!({ "aliases": ["info@contoso.com"] })))
            .await;
        world
            .apply(&permission(
                "team",
                "sales",
                &[FIRST],
                &["FullAccess", "SendAs", "SendOnBehalf"],
            ))
            .await;
        world.wait_permission("team", "True", "Granted").await;
        world.sleep(2).await;
        let before = view(&world);
        let mut all = json!({ "Identity": SALES });
        all.as_object_mut()
            .unwrap()
            .extend(parameters.as_object().unwrap().clone());
        admin(&world, cmdlet, all);
        assert_ne!(view(&world), before, "{cmdlet} {parameters}");
        forget(&world);
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), [repair], "{cmdlet} {parameters}");
        let after = view(&world);
        assert_eq!(
            (
                after.display_name,
                after.full_access,
                after.send_as,
                after.on_behalf,
                after.addresses.len()
            ),
            (
                before.display_name,
                before.full_access,
                before.send_as,
                before.on_behalf,
                before.addresses.len()
            )
        );
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.wait_permission("team", "True", "Granted").await;
    }
}

#[tokio::test(start_paused = true)]
async fn grants_of_others_are_counted_and_left_alone() {
    let world = sales_with(&[FIRST]).await;
    let third = json!({ "Identity": SALES, "User": THIRD, "AccessRights": ["FullAccess"] });
    admin(&world, "Add-MailboxPermission", third);
    admin(
        &world,
        "Add-RecipientPermission",
        json!({ "Identity": SALES, "Trustee": THIRD, "AccessRights": ["SendAs"] }),
    );
    let delegate = json!({ "@odata.type": "#Exchange.GenericHashTable", "add": [SECOND] });
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "GrantSendOnBehalfTo": delegate }),
    );
    forget(&world);
    look_now(&world).await;
    assert_eq!(
        world.mailbox("sales").await.status.unwrap().foreign_grants,
        Some(3)
    );
    world.apply(&team(&[])).await;
    world.sleep(INTERVAL).await;
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(
        writes,
        ["Remove-MailboxPermission", "Remove-RecipientPermission"],
        "only ours"
    );
    let view = view(&world);
    assert_eq!(
        (view.full_access.len(), view.send_as.len(), view.on_behalf.len()),
        (1, 1, 1)
    );
    assert_eq!(
        world.mailbox("sales").await.status.unwrap().foreign_grants,
        Some(3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_foreign_grant_that_is_declared_becomes_ours_and_is_revoked_with_its_declaration() {
    let world = sales_with(&[FIRST]).await;
    admin(
        &world,
        "Add-RecipientPermission",
        json!({ "Identity": SALES, "Trustee": THIRD, "AccessRights": ["SendAs"] }),
    );
    world
        .apply(&permission("more", "sales", &[THIRD], &["SendAs"]))
        .await;
    world.wait_permission("more", "True", "Granted").await;
    forget(&world);
    world.delete_permission("more").await;
    until(&world, "the grant is gone", || view(&world).send_as.len() == 1).await;
    assert_eq!(world.writes(), ["Remove-RecipientPermission"]);
}

#[tokio::test(start_paused = true)]
async fn a_deny_or_an_inherited_row_is_no_grant() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let deny = json!({ "Identity": SALES, "User": FIRST, "AccessRights": ["FullAccess"], "Deny": true });
    admin(&world, "Add-MailboxPermission", deny);
    forget(&world);
    world
        .apply(&permission("team", "sales", &[FIRST], &["FullAccess"]))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(world.writes(), ["Add-MailboxPermission"]);
}
