//! Tokens and what they open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use simulator::{Seed, Simulator};
use std::time::Duration;

use crate::client::{CLIENT, Client, EXCHANGE, GRAPH, TENANT, ask_token, token};

fn fields<'f>(secret: &'f str, scope: &'f str) -> [(&'f str, &'f str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", secret),
        ("scope", scope),
    ]
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_names_tenant_app_audience_expiry_and_roles() {
    let tenant = Simulator::new(Seed::contoso());
    let claims = payload(&token(&tenant, EXCHANGE).await);
    assert_eq!(claims["tid"], TENANT);
    assert_eq!(claims["appid"], CLIENT);
    assert_eq!(claims["aud"], "https://outlook.office365.com");
    assert_eq!(claims["roles"], json!(["Exchange.ManageAsApp"]));
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        3599
    );
}

#[tokio::test]
async fn a_wrong_secret_an_unknown_app_and_an_unknown_tenant_are_refused() {
    let tenant = Simulator::new(Seed::contoso());
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    let answer = ask_token(&tenant, &path, &fields("wrong", EXCHANGE)).await;
    assert_eq!(
        (answer.status, &answer.json["error"]),
        (401, &json!("invalid_client"))
    );
    assert!(
        answer.json["error_description"]
            .as_str()
            .unwrap()
            .starts_with("AADSTS7000215")
    );
    assert_eq!(answer.json["error_codes"], json!([7_000_215]));

    let path = "/99999999-2222-3333-4444-555555555555/oauth2/v2.0/token";
    let answer = ask_token(&tenant, path, &fields("simulated-secret", EXCHANGE)).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.json["error_description"]
            .as_str()
            .unwrap()
            .starts_with("AADSTS90002")
    );

    let path = "/contoso.com/oauth2/v2.0/token";
    let mut other = fields("simulated-secret", EXCHANGE);
    other[1].1 = "00000000-7777-8888-9999-000000000000";
    let answer = ask_token(&tenant, path, &other).await;
    assert!(
        answer.json["error_description"]
            .as_str()
            .unwrap()
            .starts_with("AADSTS700016")
    );
}

#[tokio::test]
async fn a_token_for_graph_does_not_open_exchange_nor_the_other_way_round() {
    let mut client = Client::contoso().await;
    std::mem::swap(&mut client.exchange, &mut client.graph);
    let answer = client.run("Get-Mailbox", json!({})).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").is_some());
    assert_eq!(
        client
            .graph("GET", "/users/first.member@contoso.com", None)
            .await
            .status,
        401
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_expires() {
    let client = Client::contoso().await;
    tokio::time::advance(Duration::from_secs(3598)).await;
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 200);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 401);
}

#[tokio::test]
async fn without_app_role_401_and_without_directory_role_403_full_of_nul() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.set_directory_role(false);
    let answer = client.run("Get-Mailbox", json!({})).await;
    assert_eq!(answer.status, 403);
    assert!(answer.bytes.len() > 100 && answer.bytes.iter().all(|byte| *byte == 0));
    control.set_exchange_app_role(false);
    assert_eq!(client.run("Get-Mailbox", json!({})).await.status, 401);
}

#[tokio::test]
async fn a_role_granted_later_needs_a_new_token() {
    let tenant = Simulator::new(Seed::contoso());
    tenant.control().set_directory_role(false);
    let exchange = token(&tenant, EXCHANGE).await;
    let mut client = Client {
        graph: token(&tenant, GRAPH).await,
        exchange,
        tenant,
    };
    client.tenant.control().set_directory_role(true);
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 403);
    client.exchange = token(&client.tenant, EXCHANGE).await;
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_rotated_secret_and_revoked_tokens_take_effect() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.set_client_secret("another");
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    assert_eq!(
        ask_token(&client.tenant, &path, &fields("simulated-secret", EXCHANGE))
            .await
            .status,
        401
    );
    assert_eq!(
        ask_token(&client.tenant, &path, &fields("another", EXCHANGE))
            .await
            .status,
        200
    );
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 200);
    control.revoke_tokens();
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 401);
}

#[tokio::test]
async fn another_tenant_behind_the_old_address_shows_in_the_token() {
    let client = Client::contoso().await;
    let id = "99999999-2222-3333-4444-555555555555".parse().unwrap();
    client.tenant.control().set_tenant_id(id);
    assert_eq!(
        payload(&token(&client.tenant, EXCHANGE).await)["tid"],
        id.to_string()
    );
}

#[tokio::test]
async fn neither_secret_nor_token_is_in_journal_or_state() {
    let client = Client::contoso().await;
    token(&client.tenant, EXCHANGE).await;
    client.run("Get-Mailbox", json!({})).await;
    let control = client.tenant.control();
    let shown = format!(
        "{}{}",
        serde_json::to_string(&control.journal()).unwrap(),
        control.state()
    );
    assert!(shown.contains("\"token\"") && shown.contains("Get-Mailbox"));
    assert!(!shown.contains("simulated-secret") && !shown.contains(&client.exchange));
}
