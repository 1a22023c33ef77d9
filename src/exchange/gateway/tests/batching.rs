//! What is sent together, in which order, and when.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_together_is_sent_as_one_batch() {
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
            .remove_send_as(Lane::Revocation, mailbox(7), &Holder::ObjectId(member(1)))
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
async fn a_create_is_never_in_a_batch_with_anything_else() {
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
async fn creates_go_together_and_one_without_an_answer_is_never_sent_again() {
    let row = json!([{"ExchangeGuid": mailbox(5).to_string(), "ExternalDirectoryObjectId": member(5).to_string(),
        "DisplayName": OneTimeName::from_random_bits(7).as_str()}]);
    let tenant = Tenant::new(move |call: &Call| match call.name.as_str() {
        "New-Mailbox" if call.earlier > 0 => Reaction::rows(&json!([])),
        "New-Mailbox" => Reaction::rows(&row),
        _ => Tenant::default_reaction(call),
    });
    let gateway = tenant.gateway();
    let new = new_mailbox();
    let creates = (0..10).map(|_| gateway.create_shared_mailbox(Lane::Edit, &new));
    join_all(creates).await;
    let sizes: Vec<usize> = tenant.requests().iter().map(|seen| seen.calls.len()).collect();
    assert_eq!(sizes, [10]);

    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            return Tenant::default_reaction(call);
        }
        Reaction::failed(500, "ADObjectAlreadyExistsException", "taken")
    });
    let gateway = tenant.answering_only_the_first().gateway();
    let creates = (0..2).map(|_| gateway.create_shared_mailbox(Lane::Edit, &new));
    let classes: Vec<ErrorClass> = join_all(creates)
        .await
        .into_iter()
        .map(|created| created.unwrap_err().class)
        .collect();
    assert_eq!(classes, [ErrorClass::Conflict, ErrorClass::Ambiguous]);
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
async fn rechecks_wait_a_moment_for_each_other_and_nothing_else_waits_for_them() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    read(&gateway, Lane::Edit, 99).await.unwrap();
    let rechecks = (0..8).map(|n| {
        let gateway = gateway.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(300 * n)).await;
            read(&gateway, Lane::Sweep, u128::from(n) + 1).await.unwrap();
        }
    });
    let revocation = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let asked = tokio::time::Instant::now();
        let holder = Holder::ObjectId(member(1));
        gateway
            .remove_send_as(Lane::Revocation, mailbox(7), &holder)
            .await
            .unwrap();
        asked.elapsed()
    };
    let (_, took) = tokio::join!(join_all(rechecks), revocation);
    assert!(took < LATENCY + Duration::from_millis(20), "{took:?}");
    let sizes: Vec<usize> = tenant.requests().iter().map(|seen| seen.calls.len()).collect();
    assert_eq!(sizes, [1, 1, 8]);
}

#[tokio::test(start_paused = true)]
async fn writes_keep_to_their_budget_and_reads_do_not_wait_for_them() {
    let tenant = quiet();
    let gateway = tenant.gateway_of(Connection {
        writes_per_minute: 60,
        ..Tenant::connection()
    });
    let members: Vec<ObjectId> = (1..=90).map(member).collect();
    let began = tokio::time::Instant::now();
    let writes = join_all(
        members
            .iter()
            .map(|id| gateway.add_send_as(Lane::Edit, mailbox(1), id)),
    );
    let reading = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let asked = tokio::time::Instant::now();
        read(&gateway, Lane::Repair, 1).await.unwrap();
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
        let trustee = member(1);
        let write = gateway.add_send_as(Lane::Edit, mailbox(1), &trustee);
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
    let trustee = member(1);
    let write = gateway.add_send_as(Lane::Edit, mailbox(1), &trustee);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), write)
            .await
            .is_err()
    );
    read(&gateway, Lane::Edit, 2).await.unwrap();
    let requests = tenant.requests();
    assert_eq!(requests[1].names(), ["Add-RecipientPermission"]);
    assert!(
        requests[2].after(&requests[1]) >= LATENCY,
        "the write was finished before the next request"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_clone_stops_what_is_in_flight() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let tenant = quiet();
    let gateway = tenant.gateway();
    let clone = gateway.clone();
    let began = tokio::time::Instant::now();
    let abandoned = tokio::time::timeout(LATENCY + LATENCY / 2, read(&gateway, Lane::Edit, 1)).await;
    assert!(abandoned.is_err() && tenant.requests().len() == 1);
    drop(gateway);
    tokio::task::yield_now().await;
    assert_eq!(
        tasks(),
        2,
        "the dispatcher and the request, which a clone still owns"
    );
    drop(clone);
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tasks(), 0);
    assert!(began.elapsed() < 2 * LATENCY, "it did not simply end");
}
