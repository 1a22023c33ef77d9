//! Which kinds of people and groups can hold which right, and how each looks to those who ask.

use serde_json::{Value, json};
use simulator::{GroupKind, Seed, SeedContact, SeedGroup, SeedMailbox, SeedUser};

use crate::client::{Client, table};

const GUEST: &str = "anna_fabrikam.com#EXT#@contoso.onmicrosoft.com";

fn everybody() -> Seed {
    let member = &["first.member@contoso.com"];
    Seed::contoso()
        .with_user(SeedUser {
            dir_synced: true,
            ..SeedUser::person("synced@contoso.com", "Synced")
        })
        .with_user(SeedUser {
            mailbox: SeedMailbox::Room,
            ..SeedUser::person("room@contoso.com", "Room")
        })
        .with_user(SeedUser::mail_user(
            "mover@contoso.com",
            "Mover",
            "mover@fabrikam.com",
        ))
        .with_user(SeedUser::guest("anna@fabrikam.com", "Anna"))
        .with_contact(SeedContact::new("ben@fabrikam.com", "Ben"))
        .with_group(SeedGroup::new(
            "board@contoso.com",
            "Board",
            GroupKind::Microsoft365,
            member,
        ))
        .with_group(SeedGroup::new(
            "rainy@contoso.com",
            "Rainy",
            GroupKind::Dynamic,
            member,
        ))
}

/// Kind of member, then status of granting Full Access, Send As, Send on Behalf.
const GRANTS: [(&str, u16, u16, u16); 12] = [
    ("first.member@contoso.com", 200, 200, 200),
    ("synced@contoso.com", 200, 200, 200),
    ("room@contoso.com", 200, 200, 200),
    ("mover@contoso.com", 200, 200, 200),
    // Somebody from outside is taken; it helps them nothing.
    (GUEST, 200, 200, 200),
    // No recipient, but an account.
    ("no.mailbox@contoso.com", 200, 200, 404),
    ("ben@fabrikam.com", 404, 404, 400),
    ("sales-team@contoso.com", 200, 200, 200),
    // Taken, without effect.
    ("Plain Group", 200, 200, 404),
    ("all-staff@contoso.com", 404, 404, 400),
    ("board@contoso.com", 404, 404, 400),
    ("rainy@contoso.com", 404, 404, 400),
];

#[tokio::test]
async fn each_right_takes_its_own_kinds() {
    let client = Client::of(everybody()).await;
    let guid = client.new_mailbox("sales@contoso.com").await["Guid"].clone();
    for (who, full, send_as, on_behalf) in GRANTS {
        let access = json!({"Identity": guid, "User": who, "AccessRights": ["FullAccess"]});
        let send = json!({"Identity": guid, "Trustee": who, "AccessRights": "SendAs", "Confirm": false});
        let behalf = json!({"Identity": guid, "GrantSendOnBehalfTo": table(&[who], &[])});
        let statuses = (
            client.run("Add-MailboxPermission", access).await.status,
            client.run("Add-RecipientPermission", send).await.status,
            client.run("Set-Mailbox", behalf).await.status,
        );
        assert_eq!(statuses, (full, send_as, on_behalf), "{who}");
    }
    let view = client.tenant.control().mailbox("sales@contoso.com").unwrap();
    let mapped = view.full_access.iter().filter(|entry| entry.auto_mapping).count();
    assert_eq!(
        (view.full_access.len(), mapped),
        (8, 6),
        "groups are never mapped"
    );
    assert_eq!((view.send_as.len(), view.on_behalf.len()), (8, 6));
}

/// `RecipientType`, `RecipientTypeDetails` of what Get-Recipient shows.
const RECIPIENTS: [(&str, &str, &str); 9] = [
    ("first.member@contoso.com", "UserMailbox", "UserMailbox"),
    ("room@contoso.com", "UserMailbox", "RoomMailbox"),
    ("mover@contoso.com", "MailUser", "MailUser"),
    (GUEST, "MailUser", "GuestMailUser"),
    ("ben@fabrikam.com", "MailContact", "MailContact"),
    (
        "sales-team@contoso.com",
        "MailUniversalSecurityGroup",
        "MailUniversalSecurityGroup",
    ),
    (
        "all-staff@contoso.com",
        "MailUniversalDistributionGroup",
        "MailUniversalDistributionGroup",
    ),
    (
        "board@contoso.com",
        "MailUniversalDistributionGroup",
        "GroupMailbox",
    ),
    (
        "rainy@contoso.com",
        "DynamicDistributionGroup",
        "DynamicDistributionGroup",
    ),
];

#[tokio::test]
async fn recipients_of_every_kind_are_distinguished() {
    let client = Client::of(everybody()).await;
    for (who, kind, details) in RECIPIENTS {
        let row = client
            .run("Get-Recipient", json!({"Identity": who}))
            .await
            .one()
            .clone();
        assert_eq!(
            (
                row["RecipientType"].as_str(),
                row["RecipientTypeDetails"].as_str()
            ),
            (Some(kind), Some(details))
        );
        let by_kind = json!({"RecipientTypeDetails": details, "ResultSize": "Unlimited"});
        let rows = client.run("Get-Recipient", by_kind).await;
        assert!(
            rows.rows().iter().any(|other| other["Guid"] == row["Guid"]),
            "{who}"
        );
    }
    let row = |identity: &str| client.run("Get-Recipient", json!({"Identity": identity}));
    // A dynamic group is Exchange's own.
    assert_eq!(
        row("rainy@contoso.com").await.one()["ExternalDirectoryObjectId"],
        ""
    );
    assert_eq!(row("synced@contoso.com").await.one()["IsDirSynced"], true);
    let guest = row("anna@fabrikam.com").await.one().clone();
    assert_eq!(guest["PrimarySmtpAddress"], "anna@fabrikam.com");
    assert_eq!(guest["WindowsLiveID"], GUEST);
    assert_eq!(guest["ExternalEmailAddress"], "SMTP:anna@fabrikam.com");
    assert_eq!(
        row("mover@contoso.com").await.one()["ExternalEmailAddress"],
        "SMTP:mover@fabrikam.com"
    );
    assert_eq!(
        row("first.member@contoso.com").await.one()["ExternalEmailAddress"],
        Value::Null
    );
}

#[tokio::test]
async fn accounts_are_users_and_groups_are_groups() {
    let client = Client::of(everybody()).await;
    for (who, user, group) in [
        (GUEST, 200, 404),
        ("mover@contoso.com", 200, 404),
        ("no.mailbox@contoso.com", 200, 404),
        ("ben@fabrikam.com", 404, 404),
        ("board@contoso.com", 404, 200),
        ("Plain Group", 404, 200),
        ("rainy@contoso.com", 404, 404),
    ] {
        let identity = json!({"Identity": who});
        assert_eq!(
            client.run("Get-User", identity.clone()).await.status,
            user,
            "{who}"
        );
        assert_eq!(client.run("Get-Group", identity).await.status, group, "{who}");
    }
}

#[tokio::test]
async fn a_sid_leads_to_its_account() {
    let client = Client::of(everybody()).await;
    let control = client.tenant.control();
    for (cmdlet, who) in [
        ("Get-User", "first.member@contoso.com"),
        ("Get-Group", "sales-team@contoso.com"),
    ] {
        let filter = format!("Sid -eq '{}'", control.sid(who).unwrap());
        let row = client.run(cmdlet, json!({"Filter": filter})).await.one().clone();
        assert_eq!(
            row["ExternalDirectoryObjectId"],
            control.object_id(who).unwrap().to_string()
        );
    }
    let filter = format!("Sid -eq '{}'", control.sid("first.member@contoso.com").unwrap());
    control.delete_user("first.member@contoso.com").unwrap();
    assert!(
        client
            .run("Get-User", json!({"Filter": filter}))
            .await
            .rows()
            .is_empty()
    );
    assert!(control.is_deleted("first.member@contoso.com"));
}

#[tokio::test]
async fn licences_show_in_exchange_and_in_graph() {
    let client = Client::of(everybody()).await;
    let control = client.tenant.control();
    control.set_licensed("first.member@contoso.com", false).unwrap();
    for (who, licensed) in [
        ("first.member@contoso.com", false),
        ("second.member@contoso.com", true),
    ] {
        let row = client
            .run("Get-Recipient", json!({"Identity": who}))
            .await
            .one()
            .clone();
        assert_eq!(row["SKUAssigned"], licensed, "{who}");
        let path = format!("/users/{who}?$select=assignedLicenses");
        let licences = client.graph("GET", &path, None).await.json["assignedLicenses"].clone();
        assert_eq!(licences != json!([]), licensed, "{who}");
        assert_eq!(control.mailbox(who).unwrap().licensed, licensed);
    }
}

#[tokio::test]
async fn graph_distinguishes_guests_from_members() {
    let client = Client::of(everybody()).await;
    let control = client.tenant.control();
    for (who, kind) in [(GUEST, "Guest"), ("mover@contoso.com", "Member")] {
        let path = format!("/users/{}?$select=userType", control.object_id(who).unwrap());
        assert_eq!(client.graph("GET", &path, None).await.json["userType"], kind);
    }
    let contact = control.object_id("ben@fabrikam.com").unwrap();
    assert_eq!(
        client
            .graph("GET", &format!("/users/{contact}"), None)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn people_without_a_mailbox_are_restorable_and_groups_are_not() {
    let client = Client::of(everybody()).await;
    let control = client.tenant.control();
    for (who, recoverable) in [
        ("no.mailbox@contoso.com", true),
        ("mover@contoso.com", true),
        ("board@contoso.com", true),
        ("sales-team@contoso.com", false),
        ("ben@fabrikam.com", false),
    ] {
        let before = control.object_id(who);
        control.delete_user(who).unwrap();
        assert_eq!(control.object_id(who), None, "{who}");
        assert_eq!(control.restore_user(who).is_ok(), recoverable, "{who}");
        assert_eq!(control.object_id(who), before.filter(|_| recoverable), "{who}");
    }
}

#[tokio::test]
async fn a_hidden_mailbox_says_so_to_everybody_who_asks() {
    let client = Client::contoso().await;
    let guid = client.new_mailbox("sales@contoso.com").await["Guid"].clone();
    let set = json!({"Identity": guid, "HiddenFromAddressListsEnabled": true});
    client.run("Set-Mailbox", set).await.rows();
    for cmdlet in ["Get-Mailbox", "Get-Recipient"] {
        let row = client.run(cmdlet, json!({"Identity": guid})).await.one().clone();
        assert_eq!(row["HiddenFromAddressListsEnabled"], true, "{cmdlet}");
    }
    assert!(
        client
            .tenant
            .control()
            .mailbox("sales@contoso.com")
            .unwrap()
            .hidden
    );
}

#[tokio::test]
async fn after_a_change_of_sid_old_entries_are_found_by_the_old_one_only() {
    let client = Client::contoso().await;
    let guid = client.new_mailbox("sales@contoso.com").await["Guid"].clone();
    let control = client.tenant.control();
    let who = "first.member@contoso.com";
    let full = |user: &str| json!({"Identity": guid, "User": user, "AccessRights": ["FullAccess"], "Confirm": false});
    let send =
        |user: &str| json!({"Identity": guid, "Trustee": user, "AccessRights": "SendAs", "Confirm": false});
    client.run("Add-MailboxPermission", full(who)).await.rows();
    client.run("Add-RecipientPermission", send(who)).await.rows();
    let old = control.sid(who).unwrap();
    let new = control.change_sid(who).unwrap();
    assert_eq!(control.sid(who).unwrap(), new);

    // The row still shows who it is, with the identifier of before.
    let filtered = |trustee: &str| json!({"Identity": guid, "Trustee": trustee});
    let rows = client
        .run("Get-RecipientPermission", json!({"Identity": guid}))
        .await;
    assert_eq!(rows.rows()[1]["Trustee"], who);
    assert_eq!(rows.rows()[1]["TrusteeSidString"], old);
    // Asked for by name, the person has nothing; by the old identifier, all of it.
    assert!(
        client
            .run("Get-RecipientPermission", filtered(who))
            .await
            .rows()
            .is_empty()
    );
    assert_eq!(
        client
            .run("Get-RecipientPermission", filtered(&old))
            .await
            .rows()
            .len(),
        1
    );
    let by_name = client.run("Remove-RecipientPermission", send(who)).await;
    assert!(by_name.warnings()[0].contains("because the ACE isn't present"));
    let by_name = client.run("Remove-MailboxPermission", full(who)).await;
    assert!(by_name.warnings()[0].contains("because the ACE doesn't exist on the object"));
    // Nor does a user of the old identifier exist any more, although it leads to one.
    let filter = json!({"Filter": format!("Sid -eq '{old}'")});
    assert!(client.run("Get-User", filter).await.rows().is_empty());
    let row = client
        .run("Get-User", json!({"Identity": old}))
        .await
        .one()
        .clone();
    assert_eq!(row["SidHistory"], json!([old]));

    client.run("Remove-MailboxPermission", full(&old)).await.rows();
    client.run("Remove-RecipientPermission", send(&old)).await.rows();
    let view = control.mailbox("sales@contoso.com").unwrap();
    assert!(view.full_access.is_empty() && view.send_as.is_empty());
}
