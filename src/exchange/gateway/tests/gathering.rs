//! What several callers look up at the same time.

use super::*;
use crate::exchange::{RecipientRow, UserRow};
use crate::mail::SmtpAddress;

fn address(number: usize) -> SmtpAddress {
    format!("person{number}@contoso.com").parse().unwrap()
}

fn row(number: usize) -> serde_json::Value {
    let mut row = json!({
        "ExchangeGuid": mailbox(number as u128 + 1).to_string(), "ExternalDirectoryObjectId": member(number as u128).to_string(),
        "Name": "x", "DisplayName": "x", "EmailAddresses": [format!("SMTP:{}", address(number))],
        "PrimarySmtpAddress": address(number).as_str(), "RecipientTypeDetails": "UserMailbox",
    });
    for number in 1..=15 {
        row[format!("CustomAttribute{number}")] = json!("");
    }
    row
}

/// A directory of so many people that refuses filters with the word `odd`, and longer ones than it takes.
fn directory(people: usize, longest: usize) -> Tenant {
    Tenant::new(move |call: &Call| {
        let filter = call.parameters["Filter"].as_str().unwrap_or_default();
        if call.name != "Get-Recipient" {
            return Tenant::default_reaction(call);
        }
        if filter.contains("odd@") || filter.matches("-eq").count() > longest {
            return Reaction::failed(400, "InvalidFilterException", "Invalid filter syntax");
        }
        let asked = (0..people).filter(|number| filter.contains(&format!("smtp:{}'", address(*number))));
        Reaction::rows(&asked.map(row).collect())
    })
}

async fn look_up(gateway: &Gateway, who: SmtpAddress) -> Result<Vec<RecipientRow>, ErrorClass> {
    let query = [RecipientQuery::Address(who)];
    let found = gateway.find_recipients_together(Lane::Edit, &query).await;
    found.map_err(|error| error.class)
}

fn reads(tenant: &Tenant) -> usize {
    tenant.requests().iter().map(|seen| seen.calls.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn who_asks_at_the_same_time_is_answered_by_one_read_and_sees_only_their_own() {
    let tenant = directory(30, 80);
    let gateway = tenant.gateway();
    let found = join_all((0..31).map(|number| look_up(&gateway, address(number)))).await;
    for (number, rows) in found.iter().enumerate() {
        let shown: Vec<_> = rows.as_ref().unwrap().iter().map(|row| &row.primary).collect();
        let expected = Some(address(number));
        let expected: Vec<_> = (number < 30).then_some(&expected).into_iter().collect();
        assert_eq!(shown, expected);
    }
    assert_eq!(reads(&tenant), 1);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_filter_holds_are_several_reads_in_one_batch() {
    let tenant = directory(200, 80);
    let gateway = tenant.gateway();
    let found = join_all((0..200).map(|number| look_up(&gateway, address(number)))).await;
    assert!(found.iter().all(|rows| rows.as_ref().unwrap().len() == 1));
    assert_eq!(reads(&tenant), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_one_is_nobody_elses_failure() {
    let tenant = directory(10, 80);
    let gateway = tenant.gateway();
    let odd = look_up(&gateway, "odd@contoso.com".parse().unwrap());
    let (refused, found) = futures::join!(
        odd,
        join_all((0..10).map(|number| look_up(&gateway, address(number))))
    );
    assert_eq!(refused.unwrap_err(), ErrorClass::Invalid);
    assert!(
        found.iter().all(|rows| rows.as_ref().unwrap().len() == 1),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_takes_short_filters_only_is_asked_with_short_ones() {
    let tenant = directory(40, 3);
    let gateway = tenant.gateway();
    for _ in 0..8 {
        let found = join_all((0..40).map(|number| look_up(&gateway, address(number)))).await;
        assert!(found.iter().all(|rows| rows.as_ref().unwrap().len() == 1));
    }
    let before = reads(&tenant);
    join_all((0..40).map(|number| look_up(&gateway, address(number)))).await;
    assert!(reads(&tenant) - before <= 20, "{}", reads(&tenant) - before);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_takes_nobody_with_them() {
    let tenant = directory(2, 80);
    let gateway = tenant.gateway();
    for patience in [0, 1, 3, 100] {
        let first = tokio::time::timeout(Duration::from_millis(patience), look_up(&gateway, address(0)));
        let (given_up, found) = tokio::join!(first, look_up(&gateway, address(1)));
        assert!(given_up.is_err());
        assert_eq!(found.unwrap().len(), 1, "after {patience} ms");
        // Alone, too.
        let alone = tokio::time::timeout(Duration::from_millis(patience), look_up(&gateway, address(0)));
        assert!(alone.await.is_err());
    }
    assert_eq!(look_up(&gateway, address(0)).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_read_is_everybodys_failure_and_nobodys_absence() {
    let tenant = Tenant::new(|call: &Call| match call.name.as_str() {
        "token" => Tenant::default_reaction(call),
        _ => Reaction::text(503, ""),
    });
    let gateway = tenant.gateway();
    let found: Vec<Result<Vec<UserRow>, _>> = join_all((0..5).map(|number| {
        let gateway = gateway.clone();
        async move {
            gateway
                .find_users_by_upn_together(Lane::Edit, &[address(number)])
                .await
        }
    }))
    .await;
    for answer in found {
        assert_eq!(answer.unwrap_err().class, ErrorClass::Transient);
    }
}

/// Long enough for anything that waits for nobody.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn what_takes_access_away_waits_for_nobodys_look_ups() {
    let tenant = Tenant::new(|call: &Call| {
        let filter = call.parameters["Filter"].as_str().unwrap_or_default();
        if filter.contains("slow") {
            Reaction::Silent
        } else {
            directory(1, 80).react(call)
        }
    });
    let connection = Connection {
        max_concurrent: 4,
        ..Tenant::connection()
    };
    let gateway = tenant.gateway_of(connection);
    for number in 0..3 {
        let (gateway, who) = (gateway.clone(), format!("slow{number}@contoso.com"));
        tokio::spawn(async move { look_up(&gateway, who.parse().unwrap()).await.map(drop) });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let query = [RecipientQuery::Address(address(0))];
    let found = gateway.find_recipients_together(Lane::Revocation, &query);
    let found = tokio::time::timeout(SOON, found).await.expect("nobody waits");
    assert_eq!(found.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn creates_that_take_minutes_leave_a_request_for_everybody_else() {
    let tenant = Tenant::new(|call: &Call| match call.name.as_str() {
        "New-Mailbox" => Reaction::Silent,
        _ => Tenant::default_reaction(call),
    });
    let gateway = tenant.gateway();
    for _ in 0..30 {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            gateway
                .create_shared_mailbox(Lane::Edit, &new_mailbox())
                .await
                .map(drop)
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let read = tokio::time::timeout(SOON, read(&gateway, Lane::Revocation, 1)).await;
    read.expect("a slot is free").unwrap();
}
