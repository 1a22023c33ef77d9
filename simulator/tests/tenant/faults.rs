//! Faults on demand.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Delay, Fault, FaultRule, Faults, Surface};

use crate::client::{CLIENT, Client, EXCHANGE, TENANT, failure, form, input};

#[tokio::test]
async fn throttling_comes_with_and_without_retry_after() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(Faults::rules([
        FaultRule::next(
            1,
            Fault::Throttled {
                retry_after_seconds: Some(7),
            },
        ),
        FaultRule::next(
            1,
            Fault::Throttled {
                retry_after_seconds: None,
            },
        ),
        FaultRule::next(1, Fault::TenantConcurrency),
    ]));
    let first = client.run("Get-Mailbox", json!({})).await;
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    let second = client.run("Get-Mailbox", json!({})).await;
    assert_eq!((second.status, second.header("retry-after")), (429, None));
    let third = client.run("Get-Mailbox", json!({})).await;
    assert!(
        third
            .bytes
            .starts_with(b"You have reached the maximum number of concurrent requests per tenant")
    );
    assert_eq!(client.run("Get-Mailbox", json!({})).await.status, 200);
    let counts = client.tenant.control().fault_counts();
    assert_eq!(counts["throttled"], 1);
    assert_eq!(counts["throttledWithRetryAfter"], 1);
    assert_eq!(counts["tenantConcurrency"], 1);
}

#[tokio::test]
async fn server_errors_carry_their_type() {
    let client = Client::contoso().await;
    let error = |status, exception: Option<&str>| Fault::ServerError {
        status,
        exception: exception.map(str::to_owned),
        message: None,
    };
    client.tenant.control().set_faults(Faults::rules([
        FaultRule::next(
            1,
            error(
                500,
                Some("Microsoft.Exchange.Data.Directory.DCOverloadedException"),
            ),
        ),
        FaultRule::next(1, error(503, None)),
        FaultRule::next(1, error(504, None)),
    ]));
    let first = client.run("Get-Mailbox", json!({})).await;
    assert_eq!(first.failure(), failure(500, "DCOverloadedException"));
    assert_eq!(first.header("x-exceptiontype"), Some("DCOverloadedException"));
    assert_eq!(client.run("Get-Mailbox", json!({})).await.status, 503);
    assert_eq!(client.run("Get-Mailbox", json!({})).await.status, 504);
}

#[tokio::test]
async fn a_lost_request_does_nothing_and_a_lost_answer_did_it_all() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.set_faults(Faults::rules([
        FaultRule::next(1, Fault::LostRequest).on(&["Set-Mailbox"]),
        FaultRule::next(1, Fault::LostAnswer).on(&["Set-Mailbox"]),
    ]));
    let set = json!({"Identity": "first.member", "CustomAttribute1": "x"});
    client.try_run("Set-Mailbox", set.clone()).await.unwrap_err();
    let mark = || {
        control
            .mailbox("first.member")
            .unwrap()
            .custom_attributes
            .get(&1)
            .cloned()
    };
    assert_eq!(mark(), None);
    client.try_run("Set-Mailbox", set.clone()).await.unwrap_err();
    assert_eq!(mark().as_deref(), Some("x"));
    let answer = client.run("Set-Mailbox", set).await;
    assert!(answer.warnings()[0].contains("no settings"));
    let journal = control.journal();
    assert!(journal[0].answer_lost && !journal[0].changed && journal[0].status == 0);
    assert!(journal[1].answer_lost && journal[1].changed && journal[1].status == 200);
    assert!(!journal[2].answer_lost);
}

#[tokio::test]
async fn a_cut_answer_breaks_off_in_the_middle() {
    let client = Client::contoso().await;
    client
        .tenant
        .control()
        .set_faults(Faults::rules([FaultRule::next(1, Fault::CutAnswer)]));
    let answer = client.run("Get-Mailbox", json!({})).await;
    assert_eq!(answer.status, 200);
    assert!(answer.bytes.starts_with(b"{") && answer.json == Value::Null);
}

#[tokio::test]
async fn a_fault_on_one_cmdlet_spares_the_rest_of_its_batch() {
    let client = Client::contoso().await;
    let rule = FaultRule::next(
        1,
        Fault::Throttled {
            retry_after_seconds: Some(3),
        },
    )
    .on(&["Get-User"]);
    client.tenant.control().add_fault(rule);
    let url = format!("https://outlook.office365.com/adminapi/beta/{TENANT}/InvokeCommand");
    let item = |id: &str, cmdlet: &str| json!({"id": id, "method": "POST", "url": url, "body": input(cmdlet, json!({}))});
    let body = json!({"requests": [item("1", "Get-Mailbox"), item("2", "Get-User")]});
    let answer = client.post("$batch", &body, &[]).await.unwrap();
    let responses = answer.json["responses"].as_array().unwrap();
    assert_eq!(
        (&responses[0]["status"], &responses[1]["status"]),
        (&json!(200), &json!(429))
    );
    assert_eq!(responses[1]["headers"]["retry-after"], "3");
}

#[tokio::test]
async fn tokens_and_graph_have_faults_of_their_own() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(Faults::rules([
        FaultRule::next(1, Fault::LostAnswer).at(Surface::Token),
        FaultRule::next(
            1,
            Fault::Throttled {
                retry_after_seconds: Some(9),
            },
        )
        .at(Surface::Graph),
    ]));
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", "simulated-secret"),
        ("scope", EXCHANGE),
    ];
    let request =
        http::Request::post(format!("https://login/{TENANT}/oauth2/v2.0/token")).body(form(&fields));
    client.tenant.handle(request.unwrap()).await.unwrap_err();
    let answer = client.graph("GET", "/users/first.member@contoso.com", None).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("9")));
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn latency_is_simulated_time() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(Faults {
        latency: Delay::fixed(850),
        answer_delay: Delay::fixed(150),
        ..Faults::default()
    });
    let before = tokio::time::Instant::now();
    client.run("Get-AcceptedDomain", json!({})).await;
    let took = before.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_millis(1_010),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_rate_strikes_about_as_often_as_it_says_and_the_same_for_the_same_seed() {
    let struck = || async {
        let client = Client::contoso().await;
        client.tenant.control().set_faults(Faults {
            seed: 5,
            ..Faults::rules([FaultRule::at_rate(0.2, Fault::TenantConcurrency)])
        });
        let mut statuses = Vec::new();
        for _ in 0..300 {
            statuses.push(client.run("Get-AcceptedDomain", json!({})).await.status);
        }
        statuses
    };
    let (one, two) = (struck().await, struck().await);
    assert_eq!(one, two);
    let share = one.iter().filter(|status| **status == 429).count();
    assert!((40..=80).contains(&share), "{share}");
}

#[tokio::test(start_paused = true)]
async fn more_requests_at_a_time_than_the_tenant_allows_get_the_concurrency_text() {
    let client = Client::contoso().await;
    client.tenant.control().set_faults(Faults {
        latency: Delay::fixed(500),
        max_concurrent_requests: Some(2),
        ..Faults::default()
    });
    let ask = || client.run("Get-AcceptedDomain", json!({}));
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    let texts = [one, two, three]
        .iter()
        .filter(|answer| answer.status == 429)
        .count();
    assert!(texts >= 1);
    assert_eq!(ask().await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn coming_back_before_retry_after_is_counted_and_refused_when_enforced() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    let rule = FaultRule::next(
        1,
        Fault::Throttled {
            retry_after_seconds: Some(10),
        },
    );
    control.set_faults(Faults {
        enforce_retry_after: true,
        ..Faults::rules([rule])
    });
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 429);
    tokio::time::advance(Duration::from_secs(4)).await;
    let early = client.run("Get-AcceptedDomain", json!({})).await;
    assert_eq!((early.status, early.header("retry-after")), (429, Some("6")));
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!(client.run("Get-AcceptedDomain", json!({})).await.status, 200);
    assert_eq!(control.fault_counts()["beforeRetryAfter"], 1);
}

#[tokio::test]
async fn a_redirect_an_error_in_a_good_answer_and_a_link_elsewhere_can_be_had() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.set_faults(Faults {
        next_link_base: Some("https://evil.example".to_owned()),
        ..Faults::rules([
            FaultRule::next(
                1,
                Fault::Redirect {
                    location: "https://evil.example/".to_owned(),
                },
            ),
            FaultRule::next(
                1,
                Fault::ErrorInBody {
                    exception: "Some.TransientException".to_owned(),
                    message: "x".to_owned(),
                },
            ),
        ])
    });
    let redirect = client.run("Get-Mailbox", json!({})).await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, Some("https://evil.example/"))
    );
    assert_eq!(
        client.run("Get-Mailbox", json!({})).await.failure(),
        failure(200, "TransientException")
    );
    let body = input("Get-Mailbox", json!({}));
    let page = client
        .post("InvokeCommand", &body, &[("prefer", "odata.maxpagesize=2")])
        .await
        .unwrap();
    assert!(
        page.json["@odata.nextLink"]
            .as_str()
            .unwrap()
            .starts_with("https://evil.example/adminapi/")
    );
}
