//! Long answers.

use serde_json::{Value, json};
use simulator::{Seed, SeedUser};

use crate::client::{Client, input};

async fn crowded(count: usize) -> Client {
    let seed = (0..count).fold(Seed::contoso(), |seed, n| {
        seed.with_user(SeedUser::shared_mailbox(
            &format!("box{n}@contoso.com"),
            &format!("Box {n}"),
        ))
    });
    Client::of(seed).await
}

#[tokio::test]
async fn pages_are_followed_by_posting_the_same_body() {
    let client = crowded(19).await;
    let body = input("Get-Mailbox", json!({"ResultSize": "Unlimited"}));
    let headers = [("prefer", "odata.maxpagesize=10;odata.continue-on-error")];
    let mut url = "InvokeCommand?$select=Alias".to_owned();
    let mut aliases: Vec<Value> = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let answer = client.post(&url, &body, &headers).await.unwrap();
        sizes.push(answer.rows().len());
        aliases.extend(answer.rows().iter().map(|row| row["Alias"].clone()));
        match answer.json["@odata.nextLink"].as_str() {
            Some(next) => url = next.to_owned(),
            None => break,
        }
        assert!(url.starts_with("https://outlook.office365.com/adminapi/beta/"));
    }
    assert_eq!(sizes, [10, 10, 5]);
    aliases.dedup();
    assert_eq!(aliases.len(), 25);
}

#[tokio::test]
async fn a_thousand_rows_unless_asked_for_more_with_a_warning() {
    let client = crowded(1_001).await;
    let answer = client.run("Get-Mailbox", json!({})).await;
    assert_eq!(answer.rows().len(), 1000);
    assert!(answer.warnings()[0].contains("only the first 1000"));
    let few = client.run("Get-Mailbox", json!({"ResultSize": 1})).await;
    assert_eq!(few.rows().len(), 1);
    assert!(few.warnings()[0].contains("more results available"));
    let all = client
        .run("Get-Mailbox", json!({"ResultSize": "Unlimited"}))
        .await;
    assert!(all.warnings().is_empty());
    assert_eq!(all.rows().len(), 1000);
    assert!(all.json["@odata.nextLink"].is_string());
}

#[tokio::test]
async fn a_made_up_link_is_refused() {
    let client = Client::contoso().await;
    let body = input("Get-Mailbox", json!({}));
    let answer = client
        .post("InvokeCommand?%24skiptoken=nonsense", &body, &[])
        .await
        .unwrap();
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("Expired or Invalid pagination"));
}
