//! Get- and Set-CASMailbox: the protocols through which clients reach a mailbox.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::Quirks;
use tokio::time::advance;

use crate::client::{Client, failure};

#[tokio::test]
async fn a_row_names_the_mailbox_and_shows_its_protocols() {
    let client = Client::contoso().await;
    let mailbox = client.new_mailbox("sales@contoso.com").await;
    let get = json!({"Identity": mailbox["ExchangeGuid"]});
    let row = client.run("Get-CASMailbox", get).await.one().clone();
    for name in [
        "Identity",
        "Name",
        "Guid",
        "ExternalDirectoryObjectId",
        "PrimarySmtpAddress",
        "DisplayName",
    ] {
        assert_eq!(row[name], mailbox[name], "{name}");
    }
    assert_eq!(row.get("ExchangeGuid"), None);
    for name in [
        "OWAEnabled",
        "MAPIEnabled",
        "EwsEnabled",
        "ActiveSyncEnabled",
        "ImapEnabled",
        "PopEnabled",
    ] {
        assert_eq!(row[name], true, "{name}");
    }
    assert_eq!(row["SmtpClientAuthenticationDisabled"], Value::Null);
}

#[tokio::test]
async fn sending_over_smtp_is_blocked_allowed_or_as_the_organisation_has_it() {
    let client = Client::contoso().await;
    let mailbox = client.new_mailbox("sales@contoso.com").await;
    for wish in [json!(true), json!(false), Value::Null] {
        let set = json!({"Identity": mailbox["Guid"], "SmtpClientAuthenticationDisabled": wish});
        assert!(
            client
                .run("Set-CASMailbox", set.clone())
                .await
                .warnings()
                .is_empty()
        );
        let get = json!({"Identity": mailbox["Guid"]});
        let row = client.run("Get-CASMailbox", get).await.one().clone();
        assert_eq!(row["SmtpClientAuthenticationDisabled"], wish);
        let again = client.run("Set-CASMailbox", set).await;
        assert!(again.warnings()[0].contains("no settings of"));
    }
}

#[tokio::test]
async fn a_protocol_is_switched_off_and_one_bad_value_keeps_all_from_happening() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": "sales@contoso.com", "ImapEnabled": false, "PopEnabled": "no"});
    let answer = client.run("Set-CASMailbox", set).await;
    assert_eq!(answer.failure(), failure(400, "ParameterTransformationException"));
    let view = || {
        client
            .tenant
            .control()
            .mailbox("sales@contoso.com")
            .unwrap()
            .settings
            .all()
    };
    assert_eq!(view()["ImapEnabled"], true);
    let set = json!({"Identity": "sales@contoso.com", "ImapEnabled": false, "PopEnabled": false});
    client.run("Set-CASMailbox", set).await.rows();
    assert_eq!(
        (&view()["ImapEnabled"], &view()["PopEnabled"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn settings_of_the_one_cmdlet_are_no_parameters_of_the_other() {
    let client = Client::contoso().await;
    for (cmdlet, parameter) in [("Set-Mailbox", "ImapEnabled"), ("Set-CASMailbox", "MailTip")] {
        let answer = client
            .run(
                cmdlet,
                json!({"Identity": "first.member@contoso.com", parameter: true}),
            )
            .await;
        assert_eq!(answer.failure(), failure(400, "AmbiguousParameterSetException"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_mailbox_may_be_unknown_here_for_longer_than_elsewhere() {
    let client = Client::contoso().await;
    client.tenant.control().set_quirks(Quirks {
        client_access_after_create_ms: 300_000,
        ..Quirks::default()
    });
    let mailbox = client.new_mailbox("sales@contoso.com").await;
    let get = json!({"Identity": mailbox["Guid"]});
    assert_eq!(client.run("Get-Mailbox", get.clone()).await.status, 200);
    let set = json!({"Identity": mailbox["Guid"], "ImapEnabled": false});
    for (cmdlet, parameters) in [("Get-CASMailbox", &get), ("Set-CASMailbox", &set)] {
        let answer = client.run(cmdlet, parameters.clone()).await;
        assert_eq!(
            answer.failure(),
            failure(404, "ManagementObjectNotFoundException")
        );
    }
    advance(Duration::from_secs(301)).await;
    assert_eq!(client.run("Get-CASMailbox", get).await.status, 200);
    assert_eq!(client.run("Set-CASMailbox", set).await.status, 200);
}

#[tokio::test]
async fn mailboxes_are_listed_by_their_protocols() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control
        .set_setting("second.member@contoso.com", "PopEnabled", &json!(false))
        .unwrap();
    assert_eq!(client.run("Get-CASMailbox", json!({})).await.rows().len(), 6);
    let filter = json!({"Filter": "PopEnabled -eq 'False'"});
    let found = client.run("Get-CASMailbox", filter).await;
    assert_eq!(found.one()["PrimarySmtpAddress"], "second.member@contoso.com");
}
