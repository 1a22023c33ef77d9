//! Envelope, batches, and requests that make no sense.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use simulator::{Actor, JournalKind};

use crate::client::{Answer, Client, TENANT, input};

fn item(id: &str, cmdlet: &str, parameters: Value) -> Value {
    json!({
        "id": id, "method": "POST",
        "url": format!("https://outlook.office365.com/adminapi/beta/{TENANT}/InvokeCommand"),
        "headers": {"X-CmdletName": cmdlet},
        "body": input(cmdlet, parameters),
    })
}

#[tokio::test]
async fn a_normal_answer_has_empty_warnings_and_a_request_id() {
    let client = Client::contoso().await;
    let answer = client.run("Get-AcceptedDomain", json!({})).await;
    assert_eq!(answer.json["@adminapi.warnings"], json!([]));
    assert!(
        answer.json["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with("#Collection(Exchange.GenericHashTable)")
    );
    assert!(answer.header("request-id").is_some());
}

#[tokio::test]
async fn an_unknown_cmdlet_is_denied_with_nul_bytes() {
    let client = Client::contoso().await;
    let answer = client.run("Get-EXOMailbox", json!({})).await;
    assert_eq!(answer.status, 403);
    assert!(answer.bytes.iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn each_item_of_a_batch_has_its_own_status() {
    let client = Client::contoso().await;
    let body = json!({"requests": [
        item("a", "Get-Mailbox", json!({"Identity": "first.member"})),
        item("b", "Get-Mailbox", json!({"Identity": "nobody"})),
        item("c", "Get-Nonsense", json!({})),
        item("d", "Set-Mailbox", json!({"Identity": "first.member", "CustomAttribute1": "x"})),
    ]});
    // As OData has it, a batch ends with its first error unless somebody asks it to go on.
    let stopped = client.post("$batch", &body, &[]).await.unwrap();
    let statuses: Vec<_> = stopped.json["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["status"])
        .collect();
    assert_eq!(statuses, [200, 404, 424, 424]);
    client.tenant.control().clear_journal();
    let go_on = [("prefer", "odata.maxpagesize=1000, odata.continue-on-error")];
    let answer = client.post("$batch", &body, &go_on).await.unwrap();
    assert_eq!(answer.status, 200);
    let responses = answer.json["responses"].as_array().unwrap();
    let status = |id: &str| {
        responses.iter().find(|r| r["id"] == id).unwrap()["status"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(
        [status("a"), status("b"), status("c"), status("d")],
        [200, 404, 403, 200]
    );
    assert_eq!(responses[0]["body"]["value"][0]["Alias"], "first.member");

    let journal = client.tenant.control().journal();
    assert_eq!(journal.len(), 4);
    assert!(
        journal
            .iter()
            .all(|entry| entry.request == journal[0].request && entry.actor == Actor::App)
    );
    assert_eq!(journal.iter().filter(|entry| entry.changed).count(), 1);
    let JournalKind::Cmdlet { batch_item, .. } = &journal[3].kind else {
        panic!("{:?}", journal[3])
    };
    assert_eq!(batch_item.as_deref(), Some("d"));
}

#[tokio::test]
async fn a_batch_of_more_than_ten_or_without_ids_is_refused() {
    let client = Client::contoso().await;
    let many: Vec<Value> = (0..11)
        .map(|n| item(&n.to_string(), "Get-AcceptedDomain", json!({})))
        .collect();
    let answer = client
        .post("$batch", &json!({"requests": many}), &[])
        .await
        .unwrap();
    assert_eq!(answer.status, 400);
    let twins = [
        item("x", "Get-AcceptedDomain", json!({})),
        item("x", "Get-AcceptedDomain", json!({})),
    ];
    assert_eq!(
        client
            .post("$batch", &json!({"requests": twins}), &[])
            .await
            .unwrap()
            .status,
        400
    );
    let ten: Vec<Value> = (0..10)
        .map(|n| item(&n.to_string(), "Get-AcceptedDomain", json!({})))
        .collect();
    assert_eq!(
        client
            .post("$batch", &json!({"requests": ten}), &[])
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test]
async fn other_versions_methods_and_shapes_are_refused() {
    let client = Client::contoso().await;
    let body = input("Get-Mailbox", json!({}));
    let v1 = format!("https://outlook.office365.com/adminapi/v1.0/{TENANT}/InvokeCommand");
    assert_eq!(client.post(&v1, &body, &[]).await.unwrap().status, 405);
    let elsewhere = "https://outlook.office365.com/adminapi/beta/fabrikam.com/InvokeCommand";
    assert_eq!(client.post(elsewhere, &body, &[]).await.unwrap().status, 404);
    for body in [
        json!({}),
        input("Get-Mailbox", Value::Null),
        json!({"CmdletInput": {}}),
    ] {
        assert_eq!(
            client.post("InvokeCommand", &body, &[]).await.unwrap().status,
            400
        );
    }
    let request = Request::get("https://elsewhere.example/")
        .body(Bytes::new())
        .unwrap();
    assert_eq!(
        Answer::of(client.tenant.handle(request).await.unwrap()).status,
        404
    );
}

#[tokio::test]
async fn the_admins_hand_is_journaled_as_the_admin() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    let rows = control
        .admin_cmdlet("Get-Mailbox", json!({"Identity": "first.member"}))
        .unwrap();
    assert_eq!(rows[0]["DisplayName"], "First Member");
    control
        .admin_cmdlet("Remove-Mailbox", json!({"Identity": "first.member"}))
        .unwrap();
    assert!(control.mailbox("first.member@contoso.com").is_none());
    assert_eq!(
        control
            .admin_cmdlet("Get-Nonsense", json!({}))
            .unwrap_err()
            .status,
        403
    );
    control
        .set_account_enabled("second.member@contoso.com", false)
        .unwrap();
    assert!(control.set_account_enabled("nobody@contoso.com", false).is_err());
    let journal = control.journal();
    assert_eq!(journal.len(), 4);
    assert!(
        journal
            .iter()
            .all(|entry| entry.actor == Actor::Admin && entry.request.is_none())
    );
    assert!(journal[1].changed && journal[3].changed);
    assert_eq!(control.journal_since(journal[2].sequence), journal[3..]);
}
