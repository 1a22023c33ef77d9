//! New-, Get-, Set- and Remove-Mailbox.

use std::time::Duration;

use serde_json::json;
use simulator::{Seed, SeedUser};

use crate::client::{Client, failure, table};

#[tokio::test]
async fn a_new_mailbox_takes_its_object_id_as_name_and_claims_its_nickname_too() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    assert_eq!(row["Name"], row["ExternalDirectoryObjectId"]);
    assert_eq!(row["PrimarySmtpAddress"], "sales@contoso.com");
    assert_eq!(row["RecipientTypeDetails"], "SharedMailbox");
    assert_eq!(row["Guid@data.type"], "System.Guid");
    assert_eq!(row["ProhibitSendReceiveQuota"], "50 GB (53,687,091,200 bytes)");
    let addresses = row["EmailAddresses"].as_array().unwrap();
    assert!(addresses.contains(&json!("SMTP:sales@contoso.com")));
    assert!(addresses.contains(&json!("smtp:sales@contoso.onmicrosoft.com")));
    assert!(
        addresses
            .iter()
            .any(|address| address.as_str().unwrap().starts_with("SPO:"))
    );
}

#[tokio::test]
async fn a_new_mailbox_can_sign_in_until_somebody_blocks_it() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    assert_eq!(row["AccountDisabled"], false);
    let set = json!({"Identity": row["Guid"], "AccountDisabled": true});
    assert!(client.run("Set-Mailbox", set).await.warnings().is_empty());
    assert!(
        client
            .tenant
            .control()
            .mailbox("sales@contoso.com")
            .unwrap()
            .account_disabled
    );
}

#[tokio::test]
async fn an_old_tenant_keeps_the_name_and_refuses_it_a_second_time() {
    let client = Client::of(Seed {
        keeps_given_names: true,
        ..Seed::contoso()
    })
    .await;
    assert_eq!(client.new_mailbox("sales@contoso.com").await["Name"], "sales");
    let again = json!({"Name": "Sales", "Shared": true, "Alias": "sales2"});
    let answer = client.run("New-Mailbox", again).await;
    assert_eq!(answer.failure(), failure(500, "ADObjectAlreadyExistsException"));
}

#[tokio::test]
async fn every_claimed_address_is_checked() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    let taken = [
        json!({"Name": "a", "Shared": true, "Alias": "other", "PrimarySmtpAddress": "SALES@contoso.com"}),
        // The nickname at the initial domain is taken.
        json!({"Name": "b", "Shared": true, "Alias": "sales", "PrimarySmtpAddress": "sales@sales.contoso.com"}),
        json!({"Name": "c", "Shared": true, "Alias": "x", "PrimarySmtpAddress": "sales-team@contoso.com"}),
        // A user principal name of somebody without a mailbox.
        json!({"Name": "d", "Shared": true, "Alias": "y", "PrimarySmtpAddress": "no.mailbox@contoso.com"}),
    ];
    for parameters in taken {
        let answer = client.run("New-Mailbox", parameters).await;
        assert_eq!(
            answer.failure(),
            failure(500, "ProxyAddressExistsException"),
            "{answer:?}"
        );
    }
    assert_eq!(client.tenant.control().mailboxes().len(), 7);
}

#[tokio::test]
async fn a_foreign_domain_and_a_malformed_address_are_refused() {
    let client = Client::contoso().await;
    let foreign = json!({"Name": "a", "Shared": true, "PrimarySmtpAddress": "a@fabrikam.com"});
    let answer = client.run("New-Mailbox", foreign).await;
    assert_eq!(answer.failure(), failure(500, "NotAcceptedDomainException"));
    let malformed = json!({"Name": "a", "Shared": true, "PrimarySmtpAddress": "a b@contoso.com"});
    let answer = client.run("New-Mailbox", malformed).await;
    assert_eq!(answer.failure(), failure(400, "RecipientTaskException"));
    assert!(answer.message().contains("SMTP"));
}

#[tokio::test]
async fn parameters_that_exist_only_on_premises_are_refused() {
    let client = Client::contoso().await;
    for (cmdlet, parameters) in [
        (
            "New-Mailbox",
            json!({"Name": "a", "Shared": true, "UserPrincipalName": "a@contoso.com"}),
        ),
        (
            "Set-Mailbox",
            json!({"Identity": "first.member", "PrimarySmtpAddress": "a@contoso.com"}),
        ),
    ] {
        let answer = client.run(cmdlet, parameters).await;
        assert_eq!(answer.failure(), failure(400, "AmbiguousParameterSetException"));
    }
    assert!(
        client
            .tenant
            .control()
            .journal()
            .iter()
            .all(|entry| !entry.changed)
    );
}

#[tokio::test]
async fn get_mailbox_without_identity_lists_everything() {
    let client = Client::contoso().await;
    for parameters in [json!({}), json!({"Identity": null}), json!({"Identity": ""})] {
        assert_eq!(client.run("Get-Mailbox", parameters).await.rows().len(), 6);
    }
}

#[tokio::test]
async fn a_mailbox_is_found_by_every_kind_of_identity() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "DisplayName": "Sales Desk",
                     "EmailAddresses": table(&["smtp:verkauf@contoso.com"], &[])});
    client.run("Set-Mailbox", set).await.rows();
    for key in [
        "Guid",
        "ExchangeGuid",
        "ExternalDirectoryObjectId",
        "Name",
        "Alias",
        "UserPrincipalName",
        "DistinguishedName",
    ] {
        let found = client.run("Get-Mailbox", json!({"Identity": row[key]})).await;
        assert_eq!(found.one()["Guid"], row["Guid"], "{key}");
    }
    for text in [
        "Verkauf@Contoso.com",
        "sales desk",
        "sales@contoso.onmicrosoft.com",
    ] {
        let found = client.run("Get-Mailbox", json!({"Identity": text})).await;
        assert_eq!(found.one()["Guid"], row["Guid"], "{text}");
    }
}

#[tokio::test]
async fn an_identity_that_names_several_or_nobody_is_refused() {
    let client = Client::contoso().await;
    client.new_mailbox("one@contoso.com").await;
    client.new_mailbox("two@contoso.com").await;
    for name in ["one", "two"] {
        client
            .run("Set-Mailbox", json!({"Identity": name, "DisplayName": "Twin"}))
            .await
            .rows();
    }
    let answer = client.run("Get-Mailbox", json!({"Identity": "Twin"})).await;
    assert_eq!(answer.status, 500);
    assert!(answer.message().contains("multiple recipients matching identity"));
    let answer = client
        .run("Get-Mailbox", json!({"Identity": "nobody@contoso.com"}))
        .await;
    assert_eq!(
        answer.failure(),
        failure(404, "ManagementObjectNotFoundException")
    );
    assert_eq!(
        answer.header("x-exceptiontype"),
        Some("ManagementObjectNotFoundException")
    );
    let detail = answer.json["error"]["details"][0]["message"].as_str().unwrap();
    assert!(
        detail.starts_with("Ex6F9304|Microsoft.Exchange.Configuration.Tasks."),
        "{detail}"
    );
    assert!(answer.message().contains("couldn't be found"));
}

#[tokio::test]
async fn a_new_primary_address_keeps_the_old_one_as_alias() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "WindowsEmailAddress": "desk@sales.contoso.com"});
    client.run("Set-Mailbox", set).await.rows();
    let now = client
        .run("Get-Mailbox", json!({"Identity": row["Guid"]}))
        .await
        .one()
        .clone();
    assert_eq!(now["PrimarySmtpAddress"], "desk@sales.contoso.com");
    assert_eq!(now["WindowsEmailAddress"], "desk@sales.contoso.com");
    assert!(
        now["EmailAddresses"]
            .as_array()
            .unwrap()
            .contains(&json!("smtp:sales@contoso.com"))
    );
}

#[tokio::test]
async fn aliases_are_added_and_removed_but_never_the_primary_address() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let change = |add: &[&str], remove: &[&str]| json!({"Identity": row["Guid"], "EmailAddresses": table(add, remove)});
    client
        .run(
            "Set-Mailbox",
            change(&["smtp:a@contoso.com", "b@contoso.com"], &[]),
        )
        .await
        .rows();
    client
        .run("Set-Mailbox", change(&[], &["smtp:a@contoso.com"]))
        .await
        .rows();
    let addresses = client
        .tenant
        .control()
        .mailbox("sales@contoso.com")
        .unwrap()
        .addresses;
    assert!(addresses.contains(&"smtp:b@contoso.com".to_owned()));
    assert!(!addresses.contains(&"smtp:a@contoso.com".to_owned()));
    let answer = client
        .run("Set-Mailbox", change(&[], &["SMTP:sales@contoso.com"]))
        .await;
    assert_eq!(answer.status, 400);
    let answer = client
        .run("Set-Mailbox", change(&["smtp:first.member@contoso.com"], &[]))
        .await;
    assert_eq!(answer.failure(), failure(500, "ProxyAddressExistsException"));
}

#[tokio::test]
async fn a_full_replacement_drops_what_the_service_had_added() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "EmailAddresses": ["SMTP:sales@contoso.com"]});
    client.run("Set-Mailbox", set).await.rows();
    let addresses = client
        .tenant
        .control()
        .mailbox("sales@contoso.com")
        .unwrap()
        .addresses;
    assert_eq!(addresses, ["SMTP:sales@contoso.com"]);
}

#[tokio::test]
async fn a_hashtable_without_type_tag_is_refused() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "EmailAddresses": {"add": ["smtp:a@contoso.com"]}});
    let answer = client.run("Set-Mailbox", set).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("Cannot convert"));
}

#[tokio::test]
async fn a_set_that_changes_nothing_says_so_in_a_warning() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "DisplayName": "Sales", "CustomAttribute15": "mark"});
    assert!(client.run("Set-Mailbox", set.clone()).await.warnings().is_empty());
    let answer = client.run("Set-Mailbox", set).await;
    assert!(answer.warnings()[0].contains("completed successfully but no settings of"));
    assert!(answer.rows().is_empty());
    let journal = client.tenant.control().journal();
    assert!(!journal.last().unwrap().changed && journal.last().unwrap().is_write());
}

#[tokio::test]
async fn one_bad_value_keeps_the_whole_set_from_happening() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": row["Guid"], "DisplayName": "New", "CustomAttribute1": "x".repeat(1025)});
    assert_eq!(client.run("Set-Mailbox", set).await.status, 400);
    let set = json!({"Identity": row["Guid"], "AccountDisabled": true,
                     "GrantSendOnBehalfTo": table(&["nobody@contoso.com"], &[])});
    assert_eq!(client.run("Set-Mailbox", set).await.status, 404);
    let mailbox = client.tenant.control().mailbox("sales@contoso.com").unwrap();
    assert_eq!(mailbox.display_name, "sales");
    assert!(!mailbox.account_disabled);
}

#[tokio::test]
async fn remove_asks_first_and_then_keeps_the_address_for_thirty_days() {
    tokio::time::pause();
    let client = Client::of(Seed {
        token_lifetime_seconds: u32::MAX,
        ..Seed::contoso()
    })
    .await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let asked = client
        .run("Remove-Mailbox", json!({"Identity": row["Guid"]}))
        .await;
    assert!(asked.json["@adminapi.confirmationmessage"].is_string());
    assert!(client.tenant.control().mailbox("sales@contoso.com").is_some());

    let sure = json!({"Identity": row["Guid"], "Confirm": false, "Force": true});
    client.run("Remove-Mailbox", sure).await.rows();
    assert_eq!(
        client
            .run("Get-Mailbox", json!({"Identity": row["Guid"]}))
            .await
            .status,
        404
    );
    let deleted = json!({"Identity": row["Guid"], "SoftDeletedMailbox": true});
    assert!(client.run("Get-Mailbox", deleted).await.one()["WhenSoftDeleted"].is_string());
    let again = json!({"Name": "sales", "Shared": true, "PrimarySmtpAddress": "sales@contoso.com"});
    let answer = client.run("New-Mailbox", again.clone()).await;
    assert_eq!(answer.failure(), failure(500, "ProxyAddressExistsException"));

    tokio::time::advance(Duration::from_hours(31 * 24)).await;
    assert_eq!(client.run("New-Mailbox", again).await.status, 200);
}

#[tokio::test]
async fn a_deleted_mailbox_comes_back_with_its_ids() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    client
        .run(
            "Remove-Mailbox",
            json!({"Identity": row["Guid"], "Confirm": false}),
        )
        .await
        .rows();
    let undo = json!({"SoftDeletedObject": row["ExchangeGuid"]});
    assert_eq!(
        client.run("Undo-SoftDeletedMailbox", undo).await.one()["Guid"],
        row["Guid"]
    );
    assert_eq!(
        client
            .run("Get-Mailbox", json!({"Identity": "sales@contoso.com"}))
            .await
            .rows()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_permanent_deletion_needs_a_soft_one_first_and_frees_the_address() {
    let client = Client::contoso().await;
    let row = client.new_mailbox("sales@contoso.com").await;
    let purge = json!({"Identity": row["Guid"], "PermanentlyDelete": true, "Confirm": false});
    assert_eq!(client.run("Remove-Mailbox", purge.clone()).await.status, 404);
    client
        .run(
            "Remove-Mailbox",
            json!({"Identity": row["Guid"], "Confirm": false}),
        )
        .await
        .rows();
    client.run("Remove-Mailbox", purge).await.rows();
    assert_ne!(client.new_mailbox("sales@contoso.com").await["Guid"], row["Guid"]);
}

#[tokio::test]
async fn a_seeded_old_mailbox_keeps_its_friendly_name_and_its_kind() {
    let old = SeedUser {
        name: Some("Old Desk".to_owned()),
        ..SeedUser::shared_mailbox("desk@contoso.com", "Desk")
    };
    let client = Client::of(Seed::contoso().with_user(old)).await;
    let found = client
        .run("Get-Mailbox", json!({"RecipientTypeDetails": "SharedMailbox"}))
        .await;
    assert_eq!(found.one()["Name"], "Old Desk");
    let set = json!({"Identity": "desk@contoso.com", "Type": "Regular"});
    client.run("Set-Mailbox", set).await.rows();
    assert_eq!(
        client
            .tenant
            .control()
            .mailbox("desk@contoso.com")
            .unwrap()
            .type_details,
        "UserMailbox"
    );
}
