//! The settings that Set-Mailbox writes and Get-Mailbox shows.

use serde_json::{Value, json};

use crate::client::{Client, failure};

#[tokio::test]
async fn settings_read_back_in_exchanges_own_form() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "MailTip": "Answered in a day", "ProhibitSendQuota": "40GB",
        "IssueWarningQuota": "39.5 GB", "RetainDeletedItemsFor": "30", "MessageCopyForSentAsEnabled": true,
        "ForwardingSmtpAddress": "x@fabrikam.com", "HiddenFromAddressListsEnabled": true});
    client.run("Set-Mailbox", set).await.rows();
    let now = client
        .run("Get-Mailbox", json!({"Identity": row["Guid"]}))
        .await
        .one()
        .clone();
    assert!(now["MailTip"].as_str().unwrap().starts_with("<html>"));
    assert_eq!(now["ProhibitSendQuota"], "40 GB (42,949,672,960 bytes)");
    assert_eq!(now["IssueWarningQuota"], "39.5 GB (42,412,802,048 bytes)");
    assert_eq!(now["RetainDeletedItemsFor"], "30.00:00:00");
    assert_eq!(now["ForwardingSmtpAddress"], "smtp:x@fabrikam.com");
    assert_eq!(now["MessageCopyForSentAsEnabled"], true);
    let cleared = json!({"Identity": row["Guid"], "ForwardingSmtpAddress": null, "MailTip": ""});
    client.run("Set-Mailbox", cleared).await.rows();
    let now = client
        .run("Get-Mailbox", json!({"Identity": row["Guid"]}))
        .await
        .one()
        .clone();
    assert_eq!(
        (&now["ForwardingSmtpAddress"], &now["MailTip"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_view_shows_every_setting_as_the_service_does() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "MailTip": "Hello", "HiddenFromAddressListsEnabled": true});
    client.run("Set-Mailbox", set).await.rows();
    let get = json!({"Identity": row["Guid"]});
    let mut shown = client.run("Get-Mailbox", get.clone()).await.one().clone();
    for further in [
        "Get-CASMailbox",
        "Get-MailboxRegionalConfiguration",
        "Get-MailboxAutoReplyConfiguration",
    ] {
        let row = client.run(further, get.clone()).await.one().clone();
        shown
            .as_object_mut()
            .unwrap()
            .extend(row.as_object().unwrap().clone());
    }
    let view = client.tenant.control().mailbox("sales@contoso.com").unwrap();
    assert!(view.settings.all().len() > 25);
    for (name, value) in view.settings.all() {
        assert_eq!(shown.get(name), Some(&value), "{name}");
    }
    assert!(view.hidden);
}

#[tokio::test]
async fn an_admin_changes_a_setting_outside_of_the_app() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    let control = client.tenant.control();
    let changes = [
        ("MailTip", json!("By an admin")),
        ("ProhibitSendQuota", json!("12GB")),
        ("SmtpClientAuthenticationDisabled", json!(true)),
        ("hiddenfromaddresslistsenabled", json!(true)),
    ];
    for (name, value) in &changes {
        control.set_setting("sales@contoso.com", name, value).unwrap();
    }
    let settings = control.mailbox("sales@contoso.com").unwrap().settings.all();
    assert!(settings["MailTip"].as_str().unwrap().contains("By an admin"));
    assert_eq!(settings["ProhibitSendQuota"], "12 GB (12,884,901,888 bytes)");
    assert_eq!(settings["SmtpClientAuthenticationDisabled"], true);
    assert_eq!(settings["HiddenFromAddressListsEnabled"], true);
    let refused = control.set_setting("sales@contoso.com", "NoSuchSetting", &json!(1));
    assert!(refused.unwrap_err().message.ends_with("NoSuchSetting"));
}

#[tokio::test]
async fn every_setting_that_is_shown_can_be_given_back_as_a_parameter() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    let settings = control
        .mailbox("first.member@contoso.com")
        .unwrap()
        .settings
        .all();
    for (name, value) in &settings {
        let written = control.set_setting("first.member@contoso.com", name, value);
        assert_eq!(written, Ok(()), "{name}");
    }
    assert_eq!(
        control
            .mailbox("first.member@contoso.com")
            .unwrap()
            .settings
            .all(),
        settings
    );
}

#[tokio::test]
async fn hiding_a_mailbox_shows_in_every_list_of_recipients() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    assert_eq!(row["HiddenFromAddressListsEnabled"], false);
    let set = json!({"Identity": row["Guid"], "HiddenFromAddressListsEnabled": true});
    client.run("Set-Mailbox", set).await.rows();
    for cmdlet in ["Get-Mailbox", "Get-Recipient"] {
        let now = client.run(cmdlet, json!({"Identity": row["Guid"]})).await;
        assert_eq!(now.one()["HiddenFromAddressListsEnabled"], true, "{cmdlet}");
    }
}

#[tokio::test]
async fn a_mail_tip_has_at_most_175_characters_that_are_displayed() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = |text: String| json!({"Identity": row["Guid"], "MailTip": text});
    let bold = format!("<b>{}</b>", "\u{e4}".repeat(175));
    assert_eq!(client.run("Set-Mailbox", set(bold)).await.status, 200);
    let answer = client.run("Set-Mailbox", set("x".repeat(176))).await;
    assert_eq!(answer.failure(), failure(400, "DataValidationException"));
    assert!(answer.message().contains("MailTip"), "{answer:?}");
}

#[tokio::test]
async fn writing_what_is_usual_anyway_modifies_nothing() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "HiddenFromAddressListsEnabled": false,
                     "ProhibitSendReceiveQuota": "50GB", "RetainDeletedItemsFor": "14.00:00:00"});
    let answer = client.run("Set-Mailbox", set).await;
    assert!(answer.warnings()[0].contains("no settings"));
}

#[tokio::test]
async fn a_hold_needs_a_licence() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let hold = json!({"Identity": row["Guid"], "LitigationHoldEnabled": true});
    let answer = client.run("Set-Mailbox", hold).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .message()
            .contains("license doesn't permit you to put a litigation hold")
    );
    let hold = json!({"Identity": "first.member@contoso.com", "LitigationHoldEnabled": true,
                      "LitigationHoldDuration": 365});
    client.run("Set-Mailbox", hold).await.rows();
    let get = json!({"Identity": "first.member@contoso.com"});
    let shown = client.run("Get-Mailbox", get).await.one().clone();
    assert_eq!(shown["LitigationHoldDuration"], "365.00:00:00");
}

#[tokio::test]
async fn a_message_has_at_most_150_megabytes_and_a_retention_policy_exists() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = |name: &str, value: Value| json!({"Identity": row["Guid"], name: value});
    let answer = client
        .run("Set-Mailbox", set("MaxSendSize", json!("151MB")))
        .await;
    assert_eq!(answer.failure(), failure(400, "DataValidationException"));
    client
        .run("Set-Mailbox", set("MaxSendSize", json!("150MB")))
        .await
        .rows();
    let answer = client
        .run("Set-Mailbox", set("RetentionPolicy", json!("Ten Years")))
        .await;
    assert_eq!(
        answer.failure(),
        failure(404, "ManagementObjectNotFoundException")
    );
    assert!(answer.message().contains("Ten Years"), "{answer:?}");
    client
        .run("Set-Mailbox", set("RetentionPolicy", json!("five years")))
        .await
        .rows();
    let get = json!({"Identity": row["Guid"]});
    assert_eq!(
        client.run("Get-Mailbox", get).await.one()["RetentionPolicy"],
        "Five Years"
    );
}
