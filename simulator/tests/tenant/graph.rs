//! Graph users.

use serde_json::json;
use simulator::{Seed, SeedUser};

use crate::client::Client;

#[tokio::test]
async fn account_enabled_comes_only_when_selected() {
    let client = Client::contoso().await;
    let plain = client
        .graph("GET", "/users/first.member%40contoso.com", None)
        .await;
    assert_eq!(plain.json["userPrincipalName"], "first.member@contoso.com");
    assert!(plain.json.get("accountEnabled").is_none());
    let path = "/users/first.member@contoso.com?$select=id,accountEnabled,assignedLicenses";
    let selected = client.graph("GET", path, None).await;
    assert_eq!(selected.json["accountEnabled"], true);
    assert_eq!(selected.json["assignedLicenses"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn blocking_in_graph_shows_in_exchange_and_the_other_way_round() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let path = format!("/users/{}", row["ExternalDirectoryObjectId"].as_str().unwrap());
    let blocked = client
        .graph("PATCH", &path, Some(json!({"accountEnabled": false})))
        .await;
    assert_eq!((blocked.status, blocked.bytes.len()), (204, 0));
    let now = client.run("Get-Mailbox", json!({"Identity": row["Guid"]})).await;
    assert_eq!(now.one()["AccountDisabled"], true);
    client
        .run(
            "Set-Mailbox",
            json!({"Identity": row["Guid"], "AccountDisabled": false}),
        )
        .await
        .rows();
    let now = client
        .graph("GET", &format!("{path}?$select=accountEnabled"), None)
        .await;
    assert_eq!(now.json["accountEnabled"], true);
    let sign_out = client
        .graph("POST", &format!("{path}/revokeSignInSessions"), None)
        .await;
    assert_eq!(sign_out.json["value"], true);
}

#[tokio::test]
async fn missing_people_and_missing_rights_have_their_codes() {
    let client = Client::contoso().await;
    let answer = client.graph("GET", "/users/nobody@contoso.com", None).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json["error"]["code"], "Request_ResourceNotFound");
    client.tenant.control().set_graph_user_write(false);
    let body = Some(json!({"accountEnabled": false}));
    let answer = client
        .graph("PATCH", "/users/first.member@contoso.com", body)
        .await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json["error"]["code"], "Authorization_RequestDenied");
    assert!(answer.json["error"]["innerError"]["request-id"].is_string());
    assert_eq!(
        client
            .graph("GET", "/users/first.member@contoso.com", None)
            .await
            .status,
        200
    );
    client.tenant.control().set_graph_user_read(false);
    assert_eq!(
        client
            .graph("GET", "/users/first.member@contoso.com", None)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn an_account_mastered_on_premises_cannot_be_blocked_here() {
    let synced = SeedUser {
        dir_synced: true,
        ..SeedUser::shared_mailbox("old@contoso.com", "Old")
    };
    let client = Client::of(Seed::contoso().with_user(synced)).await;
    let body = Some(json!({"accountEnabled": false}));
    assert_eq!(
        client.graph("PATCH", "/users/old@contoso.com", body).await.status,
        400
    );
    assert_eq!(
        client.tenant.control().account_enabled("old@contoso.com"),
        Some(true)
    );
}

#[tokio::test]
async fn a_deleted_mailbox_is_gone_from_graph() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    client
        .run("Remove-Mailbox", json!({"Identity": "sales", "Confirm": false}))
        .await
        .rows();
    assert_eq!(
        client.graph("GET", "/users/sales@contoso.com", None).await.status,
        404
    );
}
