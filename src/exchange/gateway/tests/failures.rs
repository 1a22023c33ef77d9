//! Refused, throttled and lost: what is tried again and what callers learn.

use super::*;

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
        let mut change = Parameters::default();
        change.set("AccountDisabled", true);
        tenant
            .gateway()
            .change(Lane::Edit, Cmdlet::Mailbox, mailbox(1), &change)
            .await
            .unwrap();
        assert_eq!(tenant.requests().len(), 2, "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_permanent_is_reported_once() {
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
        .mailbox(Lane::Edit, mailbox(1), &[])
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
async fn retry_after_holds_back_everything_in_the_tenant() {
    let tenant = once(
        "Get-MailboxPermission",
        Reaction::text(429, "").with("Retry-After", "30"),
    );
    let gateway = tenant.gateway();
    let other = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        gateway
            .remove_send_as(Lane::Revocation, mailbox(9), &Holder::ObjectId(member(1)))
            .await
            .unwrap();
    };
    let (first, ()) = tokio::join!(read(&gateway, Lane::Repair, 1), other);
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
        "the most urgent is sent first when the hold ends"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_that_comes_while_a_token_is_fetched_holds_too() {
    let tenant = Tenant::new(|call: &Call| match (call.name.as_str(), call.earlier) {
        ("token", number) => Tenant::grant(number + 1, 10),
        ("Get-MailboxPermission", 0) => Reaction::text(429, "").with("Retry-After", "30"),
        _ => Tenant::default_reaction(call),
    });
    let gateway = tenant.gateway();
    let _ = gateway.accepted_domains(Lane::Edit).await;
    // The first token came after half a second and is renewed after half of its ten seconds.
    let at = |milliseconds| tokio::time::sleep(Duration::from_millis(milliseconds));
    let throttled = async {
        at(4_300).await;
        let _ = gateway.full_access(Lane::Edit, mailbox(1), None).await;
    };
    let renews = async {
        at(4_600).await;
        let _ = gateway
            .remove_send_as(Lane::Revocation, mailbox(9), &Holder::ObjectId(member(1)))
            .await;
    };
    tokio::join!(throttled, renews);
    let requests = tenant.requests();
    assert!(
        requests[2].after(&requests[1]) >= Duration::from_secs(30),
        "{requests:#?}"
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
    assert!(requests[1].after(&requests[0]) >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_waits_grow_until_the_caller_gets_the_error() {
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
    let gaps: Vec<Duration> = requests.windows(2).map(|pair| pair[1].after(&pair[0])).collect();
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
async fn an_app_without_its_role_gets_that_answer_after_one_renewal() {
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
async fn the_metrics_show_results_and_retries() {
    let mut registry = prometheus_client::registry::Registry::default();
    let metrics = GatewayMetrics::register(&mut registry);
    let tenant = once("Get-MailboxPermission", Reaction::text(503, ""));
    let gateway = Gateway::new(Tenant::connection(), tenant.service(), Tenant::clock(), metrics);
    read(&gateway, Lane::Repair, 1).await.unwrap();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        r#"calls_total{cmdlet="Get-MailboxPermission",result="transient",lane="repair"} 1"#,
        r#"calls_total{cmdlet="Get-MailboxPermission",result="ok",lane="repair"} 1"#,
        r#"retries_total{reason="transient"} 1"#,
        r#"_requests_total{service="exchange"} 2"#,
        r#"_requests_total{service="token"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

/// What is logged while it lives, at every level.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn logs_name_the_request_and_hold_no_secret_no_token_and_no_body() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let subscriber = tracing::Dispatch::new(subscriber);
    // With one subscriber alone, a test on another thread may switch a span off for all threads.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let guard = tracing::dispatcher::set_default(&subscriber);
    let tenant = Tenant::new(|call: &Call| match call.name.as_str() {
        "token" => Tenant::default_reaction(call),
        "Get-MailboxPermission" => {
            Reaction::text(400, format!("you sent {}", call.authorization)).with("request-id", "req-7")
        }
        _ => Reaction::text(503, ""),
    });
    let gateway = tenant.gateway();
    let mut change = Parameters::default();
    change.set("DisplayName", "Planted Name");
    read(&gateway, Lane::Edit, 1).await.unwrap_err();
    gateway
        .change(Lane::Edit, Cmdlet::Mailbox, mailbox(1), &change)
        .await
        .unwrap_err();
    drop(guard);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for expected in [
        "client_request_id=",
        "Get-MailboxPermission",
        "req-7",
        "status=400",
        "attempts=4",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    let token = tenant.requests()[0].calls[0].authorization.replace("Bearer ", "");
    for secret in [SECRET, token.as_str(), "Planted Name"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_stands_down_has_writes_under_way_answered_and_all_that_waits_refused_at_once() {
    let tenant = quiet();
    let leadership = Leadership::alone();
    let slow = Connection {
        writes_per_minute: 1,
        ..Tenant::connection()
    };
    let gateway = Gateway::led_by(
        leadership.clone(),
        slow,
        tenant.service(),
        Tenant::clock(),
        GatewayMetrics::default(),
    );
    let grant = async |number| {
        let answer = gateway.add_send_as(Lane::Edit, mailbox(number), &member(1)).await;
        (answer.is_ok(), tokio::time::Instant::now())
    };
    let stops = async {
        // The token took half a second, and so does the write.
        tokio::time::sleep(LATENCY + LATENCY / 2).await;
        assert!(leadership.is_writing());
        leadership.stand_down();
        let stood_down = tokio::time::Instant::now();
        leadership.writes_ended().await;
        (stood_down, stood_down.elapsed())
    };
    let ((sent, _), (waited, refused), (stood_down, quiet_after)) = tokio::join!(grant(1), grant(2), stops);
    assert!(sent && !waited);
    assert_eq!(refused, stood_down, "nobody waits for the budget any more");
    assert!(quiet_after < LATENCY, "{quiet_after:?}");
    assert!(!grant(3).await.0);
    read(&gateway, Lane::Edit, 4).await.unwrap_err();
    assert_eq!(tenant.requests().len(), 1);
}
