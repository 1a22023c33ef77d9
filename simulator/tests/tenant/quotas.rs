//! The three quotas: what they may be together, and how large the licence lets them be.

use serde_json::{Value, json};
use simulator::{Quirks, Seed, SeedUser};

use crate::client::{Answer, Client, failure};

async fn set(client: &Client, mailbox: &str, quotas: Value) -> Answer {
    let mut parameters = quotas;
    parameters["Identity"] = mailbox.into();
    client.run("Set-Mailbox", parameters).await
}

async fn shown(client: &Client, mailbox: &str) -> [String; 3] {
    let answer = client.run("Get-Mailbox", json!({"Identity": mailbox})).await;
    let row = answer.one();
    [
        "IssueWarningQuota",
        "ProhibitSendQuota",
        "ProhibitSendReceiveQuota",
    ]
    .map(|name| row[name].as_str().unwrap().split(" (").next().unwrap().to_owned())
}

#[tokio::test]
async fn a_mailbox_has_fifty_gigabytes_and_a_hundred_with_a_licence() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    assert_eq!(
        shown(&client, "sales@contoso.com").await,
        ["49 GB", "49.5 GB", "50 GB"]
    );
    client
        .tenant
        .control()
        .set_licensed("sales@contoso.com", true)
        .unwrap();
    assert_eq!(
        shown(&client, "sales@contoso.com").await,
        ["98 GB", "99 GB", "100 GB"]
    );
}

#[tokio::test]
async fn neither_warning_nor_send_may_be_above_receive() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    for quotas in [
        json!({"IssueWarningQuota": "11GB", "ProhibitSendQuota": "9GB", "ProhibitSendReceiveQuota": "10GB"}),
        json!({"IssueWarningQuota": "9GB", "ProhibitSendQuota": "11GB", "ProhibitSendReceiveQuota": "10GB"}),
        // Judged with what is there: 49 and 49.5 GB.
        json!({"ProhibitSendReceiveQuota": "10GB"}),
    ] {
        let answer = set(&client, "sales@contoso.com", quotas).await;
        assert_eq!(answer.failure(), failure(400, "DataValidationException"));
        let said = answer.message();
        assert!(
            said.contains("must be less than or equal to that of property 'ProhibitSendReceiveQuota'"),
            "{said}"
        );
    }
    assert_eq!(
        shown(&client, "sales@contoso.com").await,
        ["49 GB", "49.5 GB", "50 GB"]
    );
}

#[tokio::test]
async fn the_warning_may_come_after_sending_has_stopped() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    let quotas = json!({"IssueWarningQuota": "9GB", "ProhibitSendQuota": "8GB"});
    assert_eq!(set(&client, "sales@contoso.com", quotas).await.status, 200);
    assert_eq!(
        shown(&client, "sales@contoso.com").await,
        ["9 GB", "8 GB", "50 GB"]
    );
}

#[tokio::test]
async fn more_than_fifty_gigabytes_without_a_licence_are_refused_with_the_licence() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    for size in ["60GB", "Unlimited"] {
        let answer = set(
            &client,
            "sales@contoso.com",
            json!({"ProhibitSendReceiveQuota": size}),
        )
        .await;
        assert_eq!(answer.failure(), failure(400, "InvalidOperationException"));
        let said = answer.message();
        assert!(said.starts_with("The operation on mailbox"), "{said}");
        assert!(
            said.contains("failed because it's out of the current user's write scope."),
            "{said}"
        );
        assert!(said.contains("ProhibitSendReceiveQuota"), "{said}");
        assert!(
            said.contains("exceeds the maximum allowed for user 'sales@contoso.com' with license"),
            "{said}"
        );
    }
    client
        .tenant
        .control()
        .set_licensed("sales@contoso.com", true)
        .unwrap();
    let quotas = json!({"ProhibitSendReceiveQuota": "100GB"});
    assert_eq!(set(&client, "sales@contoso.com", quotas).await.status, 200);
    let quotas = json!({"ProhibitSendReceiveQuota": "101GB"});
    assert_eq!(set(&client, "sales@contoso.com", quotas).await.status, 400);
}

#[tokio::test]
async fn a_tenant_may_not_name_the_quota_that_is_above_the_licence() {
    let quirks = Quirks {
        limits_name_the_property: false,
        ..Quirks::default()
    };
    let client = Client::of(Seed {
        quirks,
        ..Seed::contoso()
    })
    .await;
    client.new_mailbox("sales@contoso.com").await;
    let answer = set(
        &client,
        "sales@contoso.com",
        json!({"ProhibitSendReceiveQuota": "60GB"}),
    )
    .await;
    assert!(answer.message().contains("exceeds the maximum allowed"));
    assert!(!answer.message().contains("ProhibitSendReceiveQuota"));
}

#[tokio::test]
async fn an_old_mailbox_has_a_hundred_gigabytes_without_a_licence_and_keeps_them_until_they_are_lowered() {
    let old = SeedUser {
        created: Some("2017-03-01T09:00:00Z".parse().unwrap()),
        ..SeedUser::shared_mailbox("desk@contoso.com", "Desk")
    };
    let client = Client::of(Seed::contoso().with_user(old)).await;
    assert_eq!(
        shown(&client, "desk@contoso.com").await,
        ["98 GB", "99 GB", "100 GB"]
    );
    let other = json!({"MailTip": "Hello", "IssueWarningQuota": "90GB"});
    assert_eq!(set(&client, "desk@contoso.com", other).await.status, 200);
    let lower =
        json!({"IssueWarningQuota": "39GB", "ProhibitSendQuota": "39GB", "ProhibitSendReceiveQuota": "40GB"});
    assert_eq!(set(&client, "desk@contoso.com", lower).await.status, 200);
    let back = json!({"ProhibitSendReceiveQuota": "100GB"});
    assert_eq!(set(&client, "desk@contoso.com", back).await.status, 400);
}

#[tokio::test]
async fn a_refused_quota_keeps_the_whole_set_from_happening() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    let both = json!({"MailTip": "Hello", "AccountDisabled": true, "ProhibitSendReceiveQuota": "60GB"});
    assert_eq!(set(&client, "sales@contoso.com", both).await.status, 400);
    let view = client.tenant.control().mailbox("sales@contoso.com").unwrap();
    assert_eq!(view.settings.all()["MailTip"], Value::Null);
    assert!(!view.account_disabled);
}
