//! Replicas that lag behind.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Delay, Faults, Lag};
use tokio::time::advance;

use crate::client::{Client, failure};

fn lagging(milliseconds: u64, replicas: u8) -> Faults {
    Faults {
        lag: Lag {
            delay: Delay::fixed(milliseconds),
            replicas,
        },
        ..Faults::default()
    }
}

#[tokio::test(start_paused = true)]
async fn reads_show_the_state_before_a_write_for_a_while() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(lagging(30_000, 1));
    let set = json!({"Identity": "first.member", "CustomAttribute1": "x"});
    client.run("Set-Mailbox", set.clone()).await.rows();
    // Writes compare with the newest state, reads show the replica's.
    assert!(client.run("Set-Mailbox", set).await.warnings()[0].contains("no settings"));
    let get = json!({"Identity": "first.member"});
    assert_eq!(
        client.run("Get-Mailbox", get.clone()).await.one()["CustomAttribute1"],
        ""
    );
    advance(Duration::from_secs(31)).await;
    assert_eq!(
        client.run("Get-Mailbox", get).await.one()["CustomAttribute1"],
        "x"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_mailbox_is_not_found_until_it_has_arrived_but_its_address_is_taken() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(Faults {
        not_found_after_create_ms: 20_000,
        ..Faults::default()
    });
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "AccountDisabled": true});
    assert_eq!(
        client.run("Set-Mailbox", set.clone()).await.failure(),
        failure(404, "ManagementObjectNotFoundException")
    );
    let filter = json!({"Filter": "EmailAddresses -eq 'smtp:sales@contoso.com'"});
    assert!(client.run("Get-Recipient", filter).await.rows().is_empty());
    let again = json!({"Name": "x", "Shared": true, "Alias": "x", "PrimarySmtpAddress": "sales@contoso.com"});
    assert_eq!(
        client.run("New-Mailbox", again).await.failure(),
        failure(500, "ProxyAddressExistsException")
    );
    // Entra knows the account at once.
    let path = format!("/users/{}", row["ExternalDirectoryObjectId"].as_str().unwrap());
    assert_eq!(client.graph("GET", &path, None).await.status, 200);
    advance(Duration::from_secs(21)).await;
    assert_eq!(client.run("Set-Mailbox", set).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_write_to_another_object_does_not_carry_the_first_one_along() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.set_faults(lagging(60_000, 1));
    client
        .run(
            "Set-Mailbox",
            json!({"Identity": "first.member", "CustomAttribute1": "x"}),
        )
        .await
        .rows();
    control.set_faults(Faults::default());
    client
        .run(
            "Set-Mailbox",
            json!({"Identity": "second.member", "CustomAttribute1": "y"}),
        )
        .await
        .rows();
    let mark = async |name: &str| -> Value {
        client.run("Get-Mailbox", json!({"Identity": name})).await.one()["CustomAttribute1"].clone()
    };
    assert_eq!(mark("first.member").await, "");
    assert_eq!(mark("second.member").await, "y");
}

#[tokio::test(start_paused = true)]
async fn with_several_replicas_reads_go_back_in_time() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(Faults {
        lag: Lag {
            delay: Delay {
                min_ms: 0,
                p50_ms: 1_000,
                p95_ms: 60_000,
                max_ms: 90_000,
            },
            replicas: 8,
        },
        ..Faults::default()
    });
    client
        .run(
            "Set-Mailbox",
            json!({"Identity": "first.member", "CustomAttribute1": "x"}),
        )
        .await
        .rows();
    advance(Duration::from_secs(2)).await;
    let mut seen = Vec::new();
    for _ in 0..60 {
        seen.push(
            client
                .run("Get-Mailbox", json!({"Identity": "first.member"}))
                .await
                .one()["CustomAttribute1"]
                == "x",
        );
    }
    assert!(seen.windows(2).any(|pair| pair == [true, false]), "{seen:?}");
    advance(Duration::from_secs(90)).await;
    for _ in 0..20 {
        let row = client
            .run("Get-Mailbox", json!({"Identity": "first.member"}))
            .await
            .one()
            .clone();
        assert_eq!(row["CustomAttribute1"], "x");
    }
}

#[tokio::test(start_paused = true)]
async fn exchange_may_hear_late_of_a_change_in_entra_and_the_other_way_round() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(Faults {
        directory_to_exchange_ms: 600_000,
        exchange_to_directory_ms: 300_000,
        ..Faults::default()
    });
    let path = "/users/first.member@contoso.com?$select=accountEnabled";
    client
        .graph("PATCH", path, Some(json!({"accountEnabled": false})))
        .await;
    let get = json!({"Identity": "first.member"});
    assert_eq!(
        client.run("Get-Mailbox", get.clone()).await.one()["AccountDisabled"],
        false
    );
    assert_eq!(
        client.graph("GET", path, None).await.json["accountEnabled"],
        false
    );
    advance(Duration::from_secs(601)).await;
    assert_eq!(
        client.run("Get-Mailbox", get.clone()).await.one()["AccountDisabled"],
        true
    );

    client
        .run(
            "Set-Mailbox",
            json!({"Identity": "first.member", "AccountDisabled": false}),
        )
        .await
        .rows();
    assert_eq!(
        client.run("Get-Mailbox", get).await.one()["AccountDisabled"],
        false
    );
    assert_eq!(
        client.graph("GET", path, None).await.json["accountEnabled"],
        false
    );
    advance(Duration::from_secs(301)).await;
    assert_eq!(client.graph("GET", path, None).await.json["accountEnabled"], true);
}

#[tokio::test(start_paused = true)]
async fn a_removed_permission_lingers_in_reads() {
    let client = Client::contoso().await;
    let grant = json!({"Identity": "first.member", "User": "second.member@contoso.com",
                       "AccessRights": "FullAccess", "Confirm": false});
    client.run("Add-MailboxPermission", grant.clone()).await.rows();
    client.tenant.control().set_faults(lagging(5_000, 1));
    client.run("Remove-MailboxPermission", grant.clone()).await.rows();
    let again = client.run("Remove-MailboxPermission", grant).await;
    assert!(again.warnings()[0].contains("doesn't exist on the object"));
    let get = json!({"Identity": "first.member", "User": "second.member@contoso.com"});
    assert_eq!(
        client
            .run("Get-MailboxPermission", get.clone())
            .await
            .rows()
            .len(),
        1
    );
    advance(Duration::from_secs(6)).await;
    assert!(client.run("Get-MailboxPermission", get).await.rows().is_empty());
}
