//! Who is seen by which cmdlet, and filters.

use serde_json::{Value, json};

use crate::client::{Client, failure};

async fn names(client: &Client, cmdlet: &str, filter: &str) -> Vec<Value> {
    let parameters = if filter.is_empty() {
        json!({})
    } else {
        json!({"Filter": filter})
    };
    client
        .run(cmdlet, parameters)
        .await
        .rows()
        .iter()
        .map(|row| row["DisplayName"].clone())
        .collect()
}

#[tokio::test]
async fn recipients_are_mailboxes_and_groups_with_mail() {
    let client = Client::contoso().await;
    let found = names(&client, "Get-Recipient", "").await;
    assert_eq!(found.len(), 8);
    assert!(!found.contains(&json!("No Mailbox")) && !found.contains(&json!("Plain Group")));
    let answer = client
        .run("Get-Recipient", json!({"Identity": "no.mailbox@contoso.com"}))
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn users_include_people_without_a_mailbox() {
    let client = Client::contoso().await;
    let answer = client
        .run("Get-User", json!({"Identity": "no.mailbox@contoso.com"}))
        .await;
    let row = answer.one();
    assert_eq!(row["RecipientTypeDetails"], "User");
    assert!(row["Sid"].as_str().unwrap().starts_with("S-1-5-21-"));
    let found = names(
        &client,
        "Get-User",
        "UserPrincipalName -eq 'NO.mailbox@contoso.com'",
    )
    .await;
    assert_eq!(found, [json!("No Mailbox")]);
}

#[tokio::test]
async fn groups_of_every_kind_are_distinguished() {
    let client = Client::contoso().await;
    let rows = client.run("Get-Group", json!({})).await.rows().to_vec();
    let kinds: Vec<&str> = rows
        .iter()
        .map(|row| row["RecipientTypeDetails"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "MailUniversalSecurityGroup",
            "UniversalSecurityGroup",
            "MailUniversalDistributionGroup"
        ]
    );
    let members = client
        .run(
            "Get-DistributionGroupMember",
            json!({"Identity": "sales-team@contoso.com"}),
        )
        .await;
    assert_eq!(members.rows().len(), 2);
}

#[tokio::test]
async fn one_filter_finds_any_holder_of_several_addresses() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    let filter = "EmailAddresses -eq 'smtp:sales@contoso.onmicrosoft.com' -or EmailAddresses -eq 'smtp:none@contoso.com' \
                  -or EmailAddresses -eq 'smtp:sales-team@contoso.com'";
    let found = names(&client, "Get-Recipient", filter).await;
    assert_eq!(found, [json!("Sales Team"), json!("sales")]);
}

#[tokio::test]
async fn soft_deleted_holders_are_seen_when_asked_for() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    client
        .run("Remove-Mailbox", json!({"Identity": "sales", "Confirm": false}))
        .await
        .rows();
    let filter = "EmailAddresses -eq 'smtp:sales@contoso.com'";
    assert!(names(&client, "Get-Recipient", filter).await.is_empty());
    let parameters = json!({"Filter": filter, "IncludeSoftDeletedRecipients": true});
    assert!(client.run("Get-Recipient", parameters).await.one()["WhenSoftDeleted"].is_string());
}

#[tokio::test]
async fn mailboxes_are_filtered_by_their_custom_attributes() {
    let client = Client::contoso().await;
    client.new_mailbox("sales@contoso.com").await;
    let set = json!({"Identity": "sales", "CustomAttribute15": "owner=us; name='x'"});
    client.run("Set-Mailbox", set).await.rows();
    let found = names(
        &client,
        "Get-Mailbox",
        "CustomAttribute15 -like 'owner=*' -and IsDirSynced -eq $false",
    )
    .await;
    assert_eq!(found, [json!("sales")]);
    let found = names(
        &client,
        "Get-Mailbox",
        "CustomAttribute15 -eq 'owner=us; name=''x'''",
    )
    .await;
    assert_eq!(found, [json!("sales")]);
}

#[tokio::test]
async fn a_bad_filter_is_refused() {
    let client = Client::contoso().await;
    for filter in ["Nonsense -eq 'x'", "Alias -eq", "Alias -like '*'-or"] {
        let answer = client.run("Get-Mailbox", json!({"Filter": filter})).await;
        assert_eq!(
            answer.failure(),
            failure(400, "ParameterBindingException"),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn accepted_domains_show_the_default_and_the_initial_one() {
    let client = Client::contoso().await;
    let rows = client.run("Get-AcceptedDomain", json!({})).await.rows().to_vec();
    let default: Vec<&Value> = rows.iter().filter(|row| row["Default"] == true).collect();
    let initial: Vec<&Value> = rows.iter().filter(|row| row["InitialDomain"] == true).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(default[0]["DomainName"], "contoso.com");
    assert_eq!(initial[0]["DomainName"], "contoso.onmicrosoft.com");
}

#[tokio::test]
async fn selected_properties_come_alone() {
    let client = Client::contoso().await;
    let body = crate::client::input("Get-Mailbox", json!({"Identity": "first.member"}));
    let answer = client
        .post("InvokeCommand?$select=DisplayName,Alias", &body, &[])
        .await
        .unwrap();
    assert_eq!(
        answer.one(),
        &json!({"DisplayName": "First Member", "Alias": "first.member"})
    );
}
