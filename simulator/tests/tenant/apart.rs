//! Exchange and Entra may say different things about who can sign in; Entra's word counts.

use serde_json::{Value, json};
use simulator::{Quirks, SignInForm};

use crate::client::Client;

const SALES: &str = "sales@contoso.com";

async fn client(sign_in: SignInForm) -> Client {
    let client = Client::contoso().await;
    client.tenant.control().set_quirks(Quirks {
        sign_in,
        ..Quirks::default()
    });
    let new = json!({"Name": "sales", "Shared": true, "PrimarySmtpAddress": SALES});
    assert_eq!(client.run("New-Mailbox", new).await.status, 200);
    client
}

/// What is shown of the account.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// `accountEnabled` of Graph.
    enabled: Value,
    /// `AccountDisabled` of Exchange.
    disabled: Value,
}

fn is(enabled: bool, disabled: bool) -> Shown {
    Shown {
        enabled: json!(enabled),
        disabled: json!(disabled),
    }
}

async fn shown(client: &Client) -> Shown {
    let path = format!("/users/{SALES}?$select=accountEnabled");
    let graph = client.graph("GET", &path, None).await;
    let exchange = client.run("Get-Mailbox", json!({"Identity": SALES})).await;
    Shown {
        enabled: graph.json["accountEnabled"].clone(),
        disabled: exchange.json["value"][0]["AccountDisabled"].clone(),
    }
}

async fn block_in_exchange(client: &Client) {
    let block = json!({"Identity": SALES, "AccountDisabled": true});
    assert_eq!(client.run("Set-Mailbox", block).await.status, 200);
}

async fn set_in_graph(client: &Client, enabled: bool) {
    let body = json!({"accountEnabled": enabled});
    let answer = client
        .graph("PATCH", &format!("/users/{SALES}"), Some(body))
        .await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn a_new_account_is_open_or_disabled() {
    for disabled in [false, true] {
        let client = client(SignInForm {
            new_accounts_disabled: disabled,
            ..SignInForm::default()
        })
        .await;
        assert_eq!(shown(&client).await, is(!disabled, disabled));
    }
}

#[tokio::test]
async fn a_write_shows_in_the_other_store_or_does_not() {
    let client_together = client(SignInForm::default()).await;
    block_in_exchange(&client_together).await;
    assert_eq!(shown(&client_together).await, is(false, true));
    set_in_graph(&client_together, true).await;
    assert_eq!(shown(&client_together).await, is(true, false));

    let client_apart = client(SignInForm::apart()).await;
    block_in_exchange(&client_apart).await;
    assert_eq!(shown(&client_apart).await, is(true, true));
    let view = client_apart.tenant.control().mailbox(SALES).unwrap();
    assert!(
        !view.account_disabled && view.disabled_in_exchange,
        "people can sign in"
    );
    set_in_graph(&client_apart, false).await;
    assert_eq!(shown(&client_apart).await, is(false, true));
}

#[tokio::test]
async fn who_signed_in_while_an_account_was_opened_stays_so_until_its_sessions_are_revoked() {
    let client = client(SignInForm::default()).await;
    let is_signed_in = || client.tenant.control().mailbox(SALES).unwrap().signed_in;
    assert!(!is_signed_in(), "nobody knows the password of a new account");
    block_in_exchange(&client).await;
    set_in_graph(&client, true).await;
    set_in_graph(&client, false).await;
    assert!(is_signed_in());
    let revoke = format!("/users/{SALES}/revokeSignInSessions");
    client.tenant.control().set_graph_sign_out(false);
    assert_eq!(client.graph("POST", &revoke, Some(json!({}))).await.status, 403);
    assert!(is_signed_in());
    client.tenant.control().set_graph_sign_out(true);
    let answer = client.graph("POST", &revoke, Some(json!({}))).await;
    assert_eq!((answer.status, &answer.json["value"]), (200, &json!(true)));
    assert!(!is_signed_in());
}

#[tokio::test]
async fn both_stores_can_be_set_apart_by_hand() {
    let client = client(SignInForm::default()).await;
    let control = client.tenant.control();
    for (enabled, disabled) in [(true, true), (false, false)] {
        control.set_apart(SALES, enabled, disabled).unwrap();
        assert_eq!(shown(&client).await, is(enabled, disabled));
    }
}

#[tokio::test]
async fn a_write_through_graph_may_be_acknowledged_and_change_nothing() {
    let client = client(SignInForm {
        graph_has_no_effect: true,
        ..SignInForm::default()
    })
    .await;
    set_in_graph(&client, false).await;
    assert_eq!(shown(&client).await, is(true, false));
}
