//! Full Access, Send As, Send on Behalf.

use serde_json::{Value, json};
use simulator::{Rename, Seed, SeedUser};

use crate::client::{Client, failure, table};

/// A tenant with one mailbox.
struct Scene {
    client: Client,
    guid: Value,
}

async fn with_mailbox() -> Scene {
    let client = Client::contoso().await;
    let guid = client.new_mailbox("sales@contoso.com").await["Guid"].clone();
    Scene { client, guid }
}

fn grant(guid: &Value, user: &str) -> Value {
    json!({"Identity": guid, "User": user, "AccessRights": ["FullAccess"], "InheritanceType": "All"})
}

fn send_as(guid: &Value, user: &str) -> Value {
    json!({"Identity": guid, "Trustee": user, "AccessRights": "SendAs", "Confirm": false})
}

async fn access_rows(client: &Client, guid: &Value) -> Vec<Value> {
    client
        .run("Get-MailboxPermission", json!({"Identity": guid}))
        .await
        .rows()
        .to_vec()
}

#[tokio::test]
async fn permission_rows_hold_self_twice_and_inherited_ones() {
    let Scene { client, guid } = with_mailbox().await;
    let rows = access_rows(&client, &guid).await;
    let own: Vec<&Value> = rows.iter().filter(|row| row["UserSid"] == "S-1-5-10").collect();
    assert_eq!(own.len(), 2);
    assert_eq!(own[0]["User"], "NT AUTHORITY\\SELF");
    assert_eq!(own[0]["AccessRights"], json!(["FullAccess, ReadPermission"]));
    assert!(
        rows.iter()
            .any(|row| row["IsInherited"] == true && row["Deny"] == true)
    );
    assert!(
        rows.iter()
            .all(|row| row["PrimarySmtpAddress"] == "" && row.get("AutoMapping").is_none())
    );
}

#[tokio::test]
async fn users_show_by_upn_and_groups_by_display_name() {
    let Scene { client, guid } = with_mailbox().await;
    for user in ["first.member@contoso.com", "sales-team@contoso.com"] {
        assert!(
            client
                .run("Add-MailboxPermission", grant(&guid, user))
                .await
                .warnings()
                .is_empty()
        );
    }
    let rows = access_rows(&client, &guid).await;
    let users: Vec<&str> = rows.iter().filter_map(|row| row["User"].as_str()).collect();
    assert!(users.contains(&"first.member@contoso.com") && users.contains(&"Sales Team"));
    let sid = client.tenant.control().sid("first.member@contoso.com").unwrap();
    assert!(rows.iter().any(|row| row["UserSid"] == *sid));
}

#[tokio::test]
async fn a_repeated_grant_is_a_warning_and_does_not_change_automapping() {
    let Scene { client, guid } = with_mailbox().await;
    let mut parameters = grant(&guid, "first.member@contoso.com");
    client
        .run("Add-MailboxPermission", parameters.clone())
        .await
        .rows();
    parameters["AutoMapping"] = false.into();
    let answer = client.run("Add-MailboxPermission", parameters).await;
    assert!(answer.warnings()[0].contains("already present"));
    assert!(
        client
            .tenant
            .control()
            .mailbox("sales@contoso.com")
            .unwrap()
            .full_access[0]
            .auto_mapping
    );
}

#[tokio::test]
async fn automapping_is_kept_as_given_and_never_for_a_group() {
    let Scene { client, guid } = with_mailbox().await;
    let mut quiet = grant(&guid, "first.member@contoso.com");
    quiet["AutoMapping"] = false.into();
    client.run("Add-MailboxPermission", quiet).await.rows();
    client
        .run("Add-MailboxPermission", grant(&guid, "sales-team@contoso.com"))
        .await
        .rows();
    client
        .run("Add-MailboxPermission", grant(&guid, "second.member@contoso.com"))
        .await
        .rows();
    let entries = client
        .tenant
        .control()
        .mailbox("sales@contoso.com")
        .unwrap()
        .full_access;
    assert_eq!(
        entries.iter().map(|entry| entry.auto_mapping).collect::<Vec<_>>(),
        [false, false, true]
    );
}

#[tokio::test]
async fn several_rights_of_one_user_share_a_row() {
    let Scene { client, guid } = with_mailbox().await;
    let mut parameters = grant(&guid, "first.member@contoso.com");
    parameters["AccessRights"] = "FullAccess, ReadPermission".into();
    client
        .run("Add-MailboxPermission", parameters.clone())
        .await
        .rows();
    let only = json!({"Identity": guid, "User": "first.member@contoso.com"});
    let rows = client.run("Get-MailboxPermission", only).await;
    assert_eq!(rows.one()["AccessRights"], json!(["FullAccess, ReadPermission"]));
    let mut remove = grant(&guid, "first.member@contoso.com");
    remove["Confirm"] = false.into();
    client.run("Remove-MailboxPermission", remove).await.rows();
    let entry = client
        .tenant
        .control()
        .mailbox("sales@contoso.com")
        .unwrap()
        .full_access
        .remove(0);
    assert_eq!(entry.rights, ["ReadPermission"]);
    assert!(!entry.auto_mapping);
}

#[tokio::test]
async fn removing_what_is_not_there_is_a_warning() {
    let Scene { client, guid } = with_mailbox().await;
    let mut parameters = grant(&guid, "first.member@contoso.com");
    parameters["Confirm"] = false.into();
    let answer = client.run("Remove-MailboxPermission", parameters).await;
    assert!(answer.warnings()[0].contains("because the ACE doesn't exist on the object"));
    let answer = client
        .run(
            "Remove-RecipientPermission",
            send_as(&guid, "first.member@contoso.com"),
        )
        .await;
    assert!(answer.warnings()[0].contains("because the ACE isn't present"));
}

#[tokio::test]
async fn get_mailbox_permission_needs_an_identity() {
    let client = Client::contoso().await;
    for parameters in [json!({}), json!({"Identity": null}), json!({"Identity": ""})] {
        assert_eq!(client.run("Get-MailboxPermission", parameters).await.status, 400);
    }
}

#[tokio::test]
async fn send_as_asks_first() {
    let Scene { client, guid } = with_mailbox().await;
    let mut parameters = send_as(&guid, "first.member@contoso.com");
    parameters.as_object_mut().unwrap().remove("Confirm");
    let answer = client.run("Add-RecipientPermission", parameters).await;
    assert!(answer.json["@adminapi.confirmationmessage"].is_string());
    assert!(
        client
            .tenant
            .control()
            .mailbox("sales@contoso.com")
            .unwrap()
            .send_as
            .is_empty()
    );
}

#[tokio::test]
async fn send_as_is_granted_listed_repeated_and_revoked() {
    let Scene { client, guid } = with_mailbox().await;
    let parameters = send_as(&guid, "first.member@contoso.com");
    assert!(
        client
            .run("Add-RecipientPermission", parameters.clone())
            .await
            .warnings()
            .is_empty()
    );
    let again = client.run("Add-RecipientPermission", parameters.clone()).await;
    assert!(again.warnings()[0].contains("already present"));

    let rows = client
        .run("Get-RecipientPermission", json!({"Identity": guid}))
        .await
        .rows()
        .to_vec();
    assert_eq!(rows[0]["TrusteeSidString"], "S-1-5-10");
    assert_eq!(rows[1]["Trustee"], "first.member@contoso.com");
    assert_eq!(rows[1]["AccessRights"], json!(["SendAs"]));
    assert_eq!(rows[1]["AccessControlType"], "Allow");
    let tenant = client
        .run("Get-RecipientPermission", json!({"ResultSize": "Unlimited"}))
        .await;
    let all = tenant
        .rows()
        .iter()
        .filter(|row| row["TrusteeSidString"] != "S-1-5-10");
    assert_eq!(all.count(), 1);
    let filtered = json!({"Trustee": "first.member@contoso.com"});
    assert_eq!(
        client.run("Get-RecipientPermission", filtered).await.rows().len(),
        1
    );

    client.run("Remove-RecipientPermission", parameters).await.rows();
    assert!(
        client
            .tenant
            .control()
            .mailbox("sales@contoso.com")
            .unwrap()
            .send_as
            .is_empty()
    );
}

#[tokio::test]
async fn on_behalf_reads_back_as_names_and_ids_not_addresses() {
    let old = SeedUser {
        name: Some("Old Timer".to_owned()),
        ..SeedUser::person("old.timer@contoso.com", "Old T. Timer")
    };
    let client = Client::of(Seed::contoso().with_user(old)).await;
    let guid = client.new_mailbox("sales@contoso.com").await["Guid"].clone();
    let add = table(
        &[
            "first.member@contoso.com",
            "old.timer@contoso.com",
            "sales-team@contoso.com",
        ],
        &[],
    );
    client
        .run(
            "Set-Mailbox",
            json!({"Identity": guid, "GrantSendOnBehalfTo": add}),
        )
        .await
        .rows();
    let get = json!({"Identity": guid, "IncludeGrantSendOnBehalfToWithDisplayNames": true});
    let row = client.run("Get-Mailbox", get).await.one().clone();
    let control = client.tenant.control();
    let id = |name: &str| control.object_id(name).unwrap().to_string();
    let expected = json!([
        id("first.member@contoso.com"),
        "Old Timer",
        id("sales-team@contoso.com")
    ]);
    assert_eq!(row["GrantSendOnBehalfTo"], expected);
    assert_eq!(row["GrantSendOnBehalfToWithDisplayNames"][1], "Old T. Timer");

    let remove = json!({"Identity": guid, "GrantSendOnBehalfTo": table(&[], &["old.timer@contoso.com"])});
    client.run("Set-Mailbox", remove).await.rows();
    assert_eq!(control.mailbox("sales@contoso.com").unwrap().on_behalf.len(), 2);
}

#[tokio::test]
async fn a_rename_changes_the_text_of_rows_and_not_the_sid() {
    let Scene { client, guid } = with_mailbox().await;
    client
        .run("Add-MailboxPermission", grant(&guid, "first.member@contoso.com"))
        .await
        .rows();
    let control = client.tenant.control();
    let (id, sid) = (
        control.object_id("first.member@contoso.com"),
        control.sid("first.member@contoso.com"),
    );
    let rename = Rename {
        upn: Some("married.member@contoso.com".to_owned()),
        address: Some("married.member@contoso.com".to_owned()),
        display_name: Some("Married Member".to_owned()),
        drop_old_address: false,
    };
    control.rename_user("first.member@contoso.com", &rename).unwrap();
    assert_eq!(control.object_id("married.member@contoso.com"), id);
    // The old address is an alias now.
    assert_eq!(control.object_id("first.member@contoso.com"), id);
    let rows = access_rows(&client, &guid).await;
    let row = rows
        .iter()
        .find(|row| row["UserSid"] == **sid.as_ref().unwrap())
        .unwrap();
    assert_eq!(row["User"], "married.member@contoso.com");
}

#[tokio::test]
async fn an_unknown_trustee_is_not_found() {
    let Scene { client, guid } = with_mailbox().await;
    let answer = client
        .run("Add-MailboxPermission", grant(&guid, "nobody@contoso.com"))
        .await;
    assert_eq!(
        answer.failure(),
        failure(404, "ManagementObjectNotFoundException")
    );
    assert!(answer.message().contains("wasn't found"));
    let answer = client
        .run("Add-RecipientPermission", send_as(&guid, "nobody@contoso.com"))
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn automapping_is_cleared_for_everybody_at_once() {
    let Scene { client, guid } = with_mailbox().await;
    for user in ["first.member@contoso.com", "second.member@contoso.com"] {
        client
            .run("Add-MailboxPermission", grant(&guid, user))
            .await
            .rows();
    }
    let clear = json!({"Identity": guid, "ClearAutoMapping": true, "Confirm": false});
    client.run("Remove-MailboxPermission", clear).await.rows();
    let entries = client
        .tenant
        .control()
        .mailbox("sales@contoso.com")
        .unwrap()
        .full_access;
    assert!(entries.len() == 2 && entries.iter().all(|entry| !entry.auto_mapping));
}

#[tokio::test]
async fn a_right_or_an_inheritance_that_does_not_exist_is_refused() {
    let Scene { client, guid } = with_mailbox().await;
    for (name, value) in [("AccessRights", "EverythingAccess"), ("InheritanceType", "Some")] {
        let mut parameters = grant(&guid, "first.member@contoso.com");
        parameters[name] = value.into();
        assert_eq!(client.run("Add-MailboxPermission", parameters).await.status, 400);
    }
}
