//! The gateway against a scripted tenant, on paused time.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::exchange::testing::{Call, LATENCY, Reaction, SECRET, TENANT, Tenant};
use crate::exchange::{
    Connection, ErrorClass, Gateway, GatewayMetrics, MailboxChange, NewMailbox, RecipientQuery, Stage,
};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, ObjectId, OneTimeName};

fn mailbox(number: u128) -> MailboxGuid {
    uuid::Uuid::from_u128(number).to_string().parse().unwrap()
}

fn member(number: u128) -> ObjectId {
    uuid::Uuid::from_u128(0xabc_0000 + number)
        .to_string()
        .parse()
        .unwrap()
}

fn new_mailbox() -> NewMailbox {
    NewMailbox {
        name: "smo-sales".to_owned(),
        display_name: OneTimeName::from_random_bits(7),
        alias: "sales".parse().unwrap(),
        primary: "sales@contoso.com".parse().unwrap(),
    }
}

fn quiet() -> Tenant {
    Tenant::new(Tenant::default_reaction)
}

/// `first` for the first call of `name`, the default afterwards.
fn once(name: &'static str, first: Reaction) -> Tenant {
    Tenant::new(move |call: &Call| {
        if call.name == name && call.earlier == 0 {
            first.clone()
        } else {
            Tenant::default_reaction(call)
        }
    })
}

async fn read(gateway: &Gateway, lane: Lane, number: u128) -> Result<(), crate::exchange::ExchangeError> {
    gateway.full_access(lane, mailbox(number), None).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_together_goes_out_as_one_batch() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    let reads = (1..=5).map(|n| read(&gateway, Lane::Edit, n));
    for result in join_all(reads).await {
        result.unwrap();
    }
    let requests = tenant.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_eq!(requests[0].names(), ["Get-MailboxPermission"; 5]);
    let anchor = format!("APP:SystemMailbox{{bb558c35-97f1-4cb9-8ff7-d53741dc928c}}@{TENANT}");
    assert_eq!(requests[0].anchor.as_deref(), Some(anchor.as_str()));
}

#[tokio::test(start_paused = true)]
async fn one_call_is_a_plain_request() {
    let tenant = quiet();
    read(&tenant.gateway(), Lane::Edit, 1).await.unwrap();
    let requests = tenant.requests();
    assert!(
        requests[0].calls[0].url.contains("/InvokeCommand?$select="),
        "{}",
        requests[0].calls[0].url
    );
}

#[tokio::test(start_paused = true)]
async fn twenty_five_calls_are_batches_of_ten_at_most_two_at_a_time() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    join_all((1..=25).map(|n| read(&gateway, Lane::Edit, n))).await;
    let sizes: Vec<usize> = tenant
        .requests()
        .iter()
        .map(|request| request.calls.len())
        .collect();
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(tenant.most_in_flight(), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_while_requests_are_in_flight_gather_until_a_slot_frees() {
    let tenant = quiet();
    let gateway = tenant.gateway_of(Connection {
        max_concurrent: 1,
        ..Tenant::connection()
    });
    let later = |n: u64| {
        let gateway = gateway.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(10 * n)).await;
            read(&gateway, Lane::Edit, u128::from(n) + 1).await.unwrap();
        }
    };
    join_all((0..6).map(later)).await;
    let sizes: Vec<usize> = tenant
        .requests()
        .iter()
        .map(|request| request.calls.len())
        .collect();
    assert_eq!(sizes, [1, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_overtakes_a_hundred_repairs_and_finds_a_slot_free() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    let repairs = join_all((1..=100).map(|n| read(&gateway, Lane::Repair, n)));
    let revocation = async {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let asked = tokio::time::Instant::now();
        gateway
            .remove_send_as(Lane::Revocation, mailbox(7), &member(1))
            .await
            .unwrap();
        asked.elapsed()
    };
    let (_, took) = tokio::join!(repairs, revocation);
    assert!(took < LATENCY + Duration::from_millis(20), "{took:?}");
    let requests = tenant.requests();
    let place = requests
        .iter()
        .position(|request| request.names() == ["Remove-RecipientPermission"])
        .unwrap();
    assert!(place < 4, "{place} of {}", requests.len());
}

#[tokio::test(start_paused = true)]
async fn a_create_is_never_in_a_batch() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    let new = new_mailbox();
    let (created, ..) = tokio::join!(
        gateway.create_shared_mailbox(Lane::Edit, &new),
        read(&gateway, Lane::Edit, 1),
        read(&gateway, Lane::Edit, 2),
    );
    assert_eq!(
        created.unwrap_err().class,
        ErrorClass::Ambiguous,
        "no row came back"
    );
    let mut shapes: Vec<Vec<String>> = tenant
        .requests()
        .iter()
        .map(|r| r.names().iter().map(|n| (*n).to_owned()).collect())
        .collect();
    shapes.sort();
    assert_eq!(shapes, [vec!["Get-MailboxPermission"; 2], vec!["New-Mailbox"]]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_create_is_ambiguous_and_not_sent_again() {
    for lost in [
        Reaction::Lost,
        Reaction::Silent,
        Reaction::text(503, ""),
        Reaction::text(504, ""),
        Reaction::text(500, ""),
        Reaction::failed(500, "UnableToWriteToAadException", "dual write failed"),
        Reaction::text(200, "not json"),
    ] {
        let tenant = once("New-Mailbox", lost.clone());
        let error = tenant
            .gateway()
            .create_shared_mailbox(Lane::Edit, &new_mailbox())
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Ambiguous, "{lost:?}: {error}");
        assert_eq!(tenant.requests().len(), 1, "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_surely_did_not_happen_is_sent_again() {
    let row = json!([{"ExchangeGuid": mailbox(5).to_string(), "ExternalDirectoryObjectId": member(5).to_string(),
        "DisplayName": OneTimeName::from_random_bits(7).as_str()}]);
    for refused in [
        Reaction::Refused,
        Reaction::text(429, "").with("retry-after", "5"),
        Reaction::text(401, ""),
        Reaction::text(
            400,
            "You have reached the maximum number of concurrent requests per tenant.",
        ),
    ] {
        let (refusal, row) = (refused.clone(), row.clone());
        let tenant = Tenant::new(move |call: &Call| match (call.name.as_str(), call.earlier) {
            ("New-Mailbox", 0) => refusal.clone(),
            ("New-Mailbox", _) => Reaction::rows(&row),
            _ => Tenant::default_reaction(call),
        });
        let created = tenant
            .gateway()
            .create_shared_mailbox(Lane::Edit, &new_mailbox())
            .await
            .unwrap();
        assert_eq!(
            (created.guid, created.object_id),
            (mailbox(5), member(5)),
            "{refused:?}"
        );
        assert_eq!(tenant.requests().len(), 2, "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_or_address_that_is_taken_is_a_conflict() {
    for exception in [
        "Data.Directory.ADObjectAlreadyExistsException",
        "Management.Tasks.ProxyAddressExistsException",
    ] {
        let tenant = once("New-Mailbox", Reaction::failed(500, exception, "taken by Sales"));
        let error = tenant
            .gateway()
            .create_shared_mailbox(Lane::Edit, &new_mailbox())
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Conflict);
        assert_eq!(error.message, "taken by Sales");
        assert_eq!(tenant.requests().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeatable_write_survives_lost_answers() {
    for lost in [
        Reaction::Lost,
        Reaction::Silent,
        Reaction::text(503, ""),
        Reaction::text(504, ""),
    ] {
        let tenant = once("Set-Mailbox", lost.clone());
        let change = MailboxChange {
            account_disabled: Some(true),
            ..MailboxChange::default()
        };
        tenant
            .gateway()
            .set_mailbox(Lane::Edit, mailbox(1), &change)
            .await
            .unwrap();
        assert_eq!(tenant.requests().len(), 2, "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_does_not_pass_is_reported_once() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            return Tenant::default_reaction(call);
        }
        Reaction::failed(
            404,
            "Configuration.Tasks.ManagementObjectNotFoundException",
            "object 'x' couldn't be found",
        )
        .with("request-id", "req-1")
    });
    let error = tenant
        .gateway()
        .mailbox(Lane::Edit, mailbox(1))
        .await
        .unwrap_err();
    assert_eq!(
        (error.class, error.stage),
        (ErrorClass::NotFound, Stage::Exchange)
    );
    assert_eq!(error.operation, "Get-Mailbox");
    assert_eq!(error.request_id.as_deref(), Some("req-1"));
    assert_eq!(tenant.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_refused_item_of_a_batch_is_one_callers_error() {
    let tenant = Tenant::new(|call: &Call| {
        if call.parameters["Identity"] == mailbox(2).to_string() {
            Reaction::failed(
                404,
                "ManagementObjectNotFoundException",
                "object 'x' couldn't be found",
            )
        } else {
            Tenant::default_reaction(call)
        }
    });
    let gateway = tenant.gateway();
    let results = join_all((1..=3).map(|n| read(&gateway, Lane::Edit, n))).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().class, ErrorClass::NotFound);
    assert_eq!(tenant.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_back_everything_in_the_tenant() {
    let tenant = once(
        "Get-MailboxPermission",
        Reaction::text(429, "").with("Retry-After", "30"),
    );
    let gateway = tenant.gateway();
    let other = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        gateway
            .remove_send_as(Lane::Revocation, mailbox(9), &member(1))
            .await
            .unwrap();
    };
    let (first, ()) = tokio::join!(read(&gateway, Lane::Sweep, 1), other);
    first.unwrap();
    let requests = tenant.requests();
    assert_eq!(requests.len(), 3, "{requests:#?}");
    let refused_at = requests[0].at + LATENCY;
    for later in &requests[1..] {
        assert!(later.at >= refused_at + Duration::from_secs(30), "{:?}", later.at);
    }
    assert_eq!(
        requests[1].names(),
        ["Remove-RecipientPermission"],
        "the most urgent goes first when the hold ends"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_inside_a_batch_holds_too() {
    let tenant = Tenant::new(|call: &Call| {
        if call.parameters["Identity"] == mailbox(2).to_string() && call.earlier < 3 {
            Reaction::text(429, "slow down").with("retry-after", "20")
        } else {
            Tenant::default_reaction(call)
        }
    });
    let gateway = tenant.gateway();
    for result in join_all((1..=3).map(|n| read(&gateway, Lane::Edit, n))).await {
        result.unwrap();
    }
    let requests = tenant.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].calls.len(), 1, "only the refused call is sent again");
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_waits_grow_until_the_caller_is_told() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            Tenant::default_reaction(call)
        } else {
            Reaction::text(429, "")
        }
    });
    let error = read(&tenant.gateway(), Lane::Edit, 1).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Throttled);
    let requests = tenant.requests();
    assert_eq!(requests.len(), 6);
    let gaps: Vec<Duration> = requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(gaps.windows(2).all(|pair| pair[1] > pair[0]), "{gaps:?}");
    assert!(gaps[0] >= Duration::from_millis(1500), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_very_long_retry_after_is_handed_to_every_caller_at_once() {
    let tenant = once(
        "Get-MailboxPermission",
        Reaction::text(429, "").with("Retry-After", "1800"),
    );
    let gateway = tenant.gateway();
    let asked = tokio::time::Instant::now();
    let error = read(&gateway, Lane::Edit, 1).await.unwrap_err();
    assert_eq!(
        (error.class, error.retry_after),
        (ErrorClass::Throttled, Some(Duration::from_mins(30)))
    );
    let next = read(&gateway, Lane::Revocation, 2).await.unwrap_err();
    assert_eq!(next.class, ErrorClass::Throttled);
    assert!(next.retry_after.unwrap() > Duration::from_mins(29));
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "nobody sits through it here"
    );
    assert_eq!(tenant.requests().len(), 1);
    tokio::time::sleep(Duration::from_mins(30)).await;
    read(&gateway, Lane::Edit, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn writes_keep_to_their_budget_and_reads_do_not_wait_for_them() {
    let tenant = quiet();
    let gateway = tenant.gateway_of(Connection {
        writes_per_minute: 60,
        ..Tenant::connection()
    });
    let began = tokio::time::Instant::now();
    let writes = join_all((1..=90).map(|n| gateway.add_send_as(Lane::Edit, mailbox(1), trustee(n))));
    let reading = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let asked = tokio::time::Instant::now();
        read(&gateway, Lane::Sweep, 1).await.unwrap();
        asked.elapsed()
    };
    let (results, read_took) = tokio::join!(writes, reading);
    assert!(results.iter().all(Result::is_ok));
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(28) && took < Duration::from_secs(33),
        "60 at once, 30 a second each: {took:?}"
    );
    assert!(read_took < 2 * LATENCY, "{read_took:?}");
}

/// Leaks a little, for `join_all` over references.
fn trustee(number: u128) -> &'static ObjectId {
    Box::leak(Box::new(member(number)))
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let tenant = once("Get-MailboxPermission", Reaction::text(401, ""));
    read(&tenant.gateway(), Lane::Edit, 1).await.unwrap();
    assert_eq!(tenant.token_requests().len(), 2);
    let requests = tenant.requests();
    assert_ne!(
        requests[0].calls[0].authorization,
        requests[1].calls[0].authorization
    );
}

#[tokio::test(start_paused = true)]
async fn an_app_without_its_role_is_told_so_after_one_renewal() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            Tenant::default_reaction(call)
        } else {
            Reaction::text(401, "")
        }
    });
    let gateway = tenant.gateway();
    for result in join_all((1..=5).map(|n| read(&gateway, Lane::Edit, n))).await {
        let error = result.unwrap_err();
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.message.contains("Exchange.ManageAsApp"), "{error}");
    }
    assert_eq!((tenant.requests().len(), tenant.token_requests().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_nul_filled_403_is_denied_and_an_old_token_is_renewed_for_the_next_call() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            Tenant::default_reaction(call)
        } else {
            Reaction::text(403, vec![0; 4096])
        }
    });
    let gateway = tenant.gateway();
    let error = read(&gateway, Lane::Edit, 1).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(
        error.message.contains("directory role") && !error.message.contains('\0'),
        "{error}"
    );
    read(&gateway, Lane::Edit, 1).await.unwrap_err();
    assert_eq!(
        tenant.token_requests().len(),
        1,
        "a young token has the roles that there are"
    );
    tokio::time::sleep(Duration::from_mins(10)).await;
    for _ in 0..2 {
        read(&gateway, Lane::Edit, 1).await.unwrap_err();
    }
    assert_eq!(tenant.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_on_our_own_host_with_the_same_body() {
    let tenant = Tenant::new(|call: &Call| match (call.name.as_str(), call.earlier) {
        ("Get-User", 0) => Reaction::status(
            200,
            &json!({"value": [user("a@contoso.com")], "@odata.nextLink": "https://outlook.office365.com/adminapi/beta/x/InvokeCommand?%24skiptoken=2"}),
        ),
        ("Get-User", _) => Reaction::rows(&json!([user("b@contoso.com")])),
        _ => Tenant::default_reaction(call),
    });
    let upns = ["a@contoso.com".parse().unwrap(), "b@contoso.com".parse().unwrap()];
    let users = tenant
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap();
    assert_eq!(
        users
            .iter()
            .map(|user| user.user_principal_name.as_str())
            .collect::<Vec<_>>(),
        ["a@contoso.com", "b@contoso.com"]
    );
    let requests = tenant.requests();
    assert!(requests[1].calls[0].url.contains("skiptoken=2"));
    assert_eq!(requests[0].calls[0].parameters, requests[1].calls[0].parameters);
}

fn user(upn: &str) -> serde_json::Value {
    json!({"UserPrincipalName": upn, "DisplayName": "x", "RecipientTypeDetails": "User",
        "ExternalDirectoryObjectId": member(1).to_string(), "Sid": "S-1-5-21-1"})
}

#[tokio::test(start_paused = true)]
async fn a_list_that_can_not_be_read_to_its_end_is_an_error() {
    let elsewhere = "https://example.com/adminapi/beta/x/InvokeCommand?skiptoken=2";
    let ours = "https://outlook.office365.com/adminapi/beta/x/InvokeCommand?skiptoken=2";
    let paged = |link: &'static str| {
        move |call: &Call| match call.name.as_str() {
            "Get-User" => Reaction::status(200, &json!({"value": [], "@odata.nextLink": link})),
            _ => Tenant::default_reaction(call),
        }
    };
    let upns = ["a@contoso.com".parse().unwrap()];
    let foreign = Tenant::new(paged(elsewhere));
    let error = foreign
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert!(error.message.contains("another host"), "{error}");
    assert_eq!(foreign.requests().len(), 1, "nothing goes there");

    let endless = Tenant::new(paged(ours));
    let error = endless
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert!(error.message.contains("no end"), "{error}");

    let expired = Tenant::new(move |call: &Call| match (call.name.as_str(), call.earlier) {
        ("Get-User", 1..) => {
            Reaction::failed(400, "ODataServiceException", "The pagination request has expired")
        }
        _ => paged(ours)(call),
    });
    let error = expired
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("incomplete"), "{error}");

    let cut = once(
        "Get-User",
        Reaction::warned("There are more results available. Increase the ResultSize parameter."),
    );
    let error = cut
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert!(error.message.contains("incomplete"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_an_error() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            return Tenant::default_reaction(call);
        }
        Reaction::text(302, "").with("location", "https://example.com/")
    });
    let error = read(&tenant.gateway(), Lane::Edit, 1).await.unwrap_err();
    assert!(error.message.contains("not followed"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn when_a_whole_batch_fails_its_calls_are_tried_one_by_one() {
    let tenant = Tenant::new(|call: &Call| {
        if call.parameters["Identity"] == mailbox(2).to_string() {
            Reaction::Lost
        } else {
            Tenant::default_reaction(call)
        }
    });
    let gateway = tenant.gateway();
    let results = join_all((1..=4).map(|n| read(&gateway, Lane::Edit, n))).await;
    let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
    assert_eq!(
        failed,
        [false, true, false, false],
        "one bad call takes nobody with it"
    );
    assert!(
        tenant.requests()[1..]
            .iter()
            .all(|request| request.calls.len() == 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_before_it_is_sent_is_never_sent() {
    let tenant = quiet();
    let gateway = tenant.gateway_of(Connection {
        max_concurrent: 1,
        ..Tenant::connection()
    });
    let first = read(&gateway, Lane::Edit, 1);
    let dropped = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let write = gateway.add_send_as(Lane::Edit, mailbox(1), trustee(1));
        assert!(
            tokio::time::timeout(Duration::from_millis(100), write)
                .await
                .is_err()
        );
    };
    let (result, ()) = tokio::join!(first, dropped);
    result.unwrap();
    read(&gateway, Lane::Edit, 2).await.unwrap();
    assert!(
        tenant
            .requests()
            .iter()
            .all(|request| request.names() == ["Get-MailboxPermission"])
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_caller_is_gone_runs_to_its_end_and_frees_its_slot() {
    let tenant = quiet();
    let gateway = tenant.gateway_of(Connection {
        max_concurrent: 1,
        ..Tenant::connection()
    });
    read(&gateway, Lane::Edit, 1).await.unwrap();
    let write = gateway.add_send_as(Lane::Edit, mailbox(1), trustee(1));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), write)
            .await
            .is_err()
    );
    read(&gateway, Lane::Edit, 2).await.unwrap();
    let requests = tenant.requests();
    assert_eq!(requests[1].names(), ["Add-RecipientPermission"]);
    assert!(
        requests[2].at - requests[1].at >= LATENCY,
        "the write was finished before the next request"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_stops_what_is_in_flight() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    let clone = gateway.clone();
    let call = tokio::spawn(async move { read(&clone, Lane::Edit, 1).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop(gateway);
    call.await.unwrap().unwrap();
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        0,
        "{alive} before"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_look_up_is_split_and_a_short_one_is_one_call() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    let query = |n: usize| RecipientQuery::Address(format!("member{n}@contoso.com").parse().unwrap());
    gateway
        .find_recipients(Lane::Edit, &(0..80).map(query).collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(
        tenant
            .requests()
            .iter()
            .map(|request| request.calls.len())
            .sum::<usize>(),
        1
    );
    gateway
        .find_recipients(Lane::Edit, &(0..81).map(query).collect::<Vec<_>>())
        .await
        .unwrap();
    let requests = tenant.requests();
    assert_eq!(requests[1].calls.len(), 2, "both parts in one batch");
    assert!(gateway.find_recipients(Lane::Edit, &[]).await.unwrap().is_empty());
    assert_eq!(tenant.requests().len(), 2, "no query, no call");
}

#[tokio::test(start_paused = true)]
async fn no_secret_and_no_token_shows_in_debug_output_or_errors() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            return Tenant::default_reaction(call);
        }
        Reaction::text(400, format!("bad request, you sent {}", call.authorization))
    });
    let gateway = tenant.gateway();
    let error = read(&gateway, Lane::Edit, 1).await.unwrap_err();
    let token = tenant.requests()[0].calls[0].authorization.replace("Bearer ", "");
    for output in [format!("{gateway:?}"), format!("{error:?}"), error.to_string()] {
        assert!(!output.contains(&token) && !output.contains(SECRET), "{output}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_metrics_tell_results_and_retries() {
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = GatewayMetrics::register(&mut registry);
    let tenant = once("Get-MailboxPermission", Reaction::text(503, ""));
    let gateway = Gateway::new(Tenant::connection(), tenant.service(), tenant.clock(), metrics);
    read(&gateway, Lane::Repair, 1).await.unwrap();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        r#"calls_total{cmdlet="Get-MailboxPermission",result="transient",lane="repair"} 1"#,
        r#"calls_total{cmdlet="Get-MailboxPermission",result="ok",lane="repair"} 1"#,
        r#"retries_total{cmdlet="Get-MailboxPermission",reason="transient"} 1"#,
        r#"http_requests_total{service="exchange"} 2"#,
        r#"http_requests_total{service="token"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}
