//! Exchange slow, away, lagging, or silent at the wrong moment.

use super::kit::*;
use serde_json::json;
use simulator::{Delay, Fault, FaultRule, Faults, Lag, Seed, Surface};
use testkit::{World, condition, tenant};

#[tokio::test(start_paused = true)]
async fn an_outage_leaves_the_objects_alone_and_shows_on_the_tenant() {
    let world = sales_with(&[FIRST]).await;
    let mailbox = world.mailbox("sales").await;
    let permission = world.permission("team").await;
    world.tenant.add_fault(outage());
    let tenant = world.wait_tenant("Unknown", "Unreachable").await;
    assert_eq!(condition(&tenant, "Reconciling").unwrap().status, "True");
    assert_eq!(condition(&tenant, "Stalled"), None);
    world.sleep(3600).await;
    assert_eq!(
        world.mailbox("sales").await.metadata.resource_version,
        mailbox.metadata.resource_version
    );
    assert_eq!(
        world.permission("team").await.metadata.resource_version,
        permission.metadata.resource_version
    );
    assert_eq!(world.writes(), NOTHING);
    world.tenant.set_faults(Faults::default());
    world.wait_tenant("True", "Connected").await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    until(&world, "sign-in blocked again", || view(&world).account_disabled).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_does_not_write_the_same_news_again_and_again() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.add_fault(outage());
    world.wait_tenant("Unknown", "Unreachable").await;
    world.sleep(60).await;
    world.server.forget_requests();
    world.sleep(3 * 3600).await;
    let writes = (world.kubernetes_writes(), world.tenant_status_writes());
    assert_eq!(writes, (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn an_edit_during_an_outage_is_carried_out_after_it() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.add_fault(outage());
    world.apply(&team(&[SECOND])).await;
    world.apply(&sales(json!({ "displayName": "Sales EMEA" }))).await;
    world.sleep(1800).await;
    world.tenant.set_faults(Faults::default());
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    let second = world.tenant.object_id(SECOND).unwrap();
    assert_eq!(view(&world).send_as, [second]);
    assert_eq!(view(&world).display_name, "Sales EMEA");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_token_endpoint_is_one_too() {
    for surface in [Surface::Token] {
        let world = sales_with(&[FIRST]).await;
        let before = world.mailbox("sales").await.metadata.resource_version;
        world.tenant.add_fault(outage().at(surface));
        world.sleep(2 * 3600).await;
        assert_eq!(
            world.mailbox("sales").await.metadata.resource_version,
            before,
            "{surface:?}"
        );
        assert_eq!(world.writes(), NOTHING);
        world.tenant.set_faults(Faults::default());
        world.tenant.set_account_enabled(SALES, true).unwrap();
        until(&world, "sign-in blocked again", || view(&world).account_disabled).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lagging_replicas_are_waited_out() {
    for seed in 1..=4 {
        let world = World::start().await;
        world.wait_tenant("True", "Connected").await;
        let lag = Lag {
            delay: Delay::spread(5_000, 40_000, 100_000),
            replicas: 4,
        };
        world.tenant.set_faults(Faults {
            seed,
            lag,
            ..Faults::default()
        });
        world
            .apply(&sales(json!({ "aliases": ["info@contoso.com"] })))
            .await;
        world.apply(&team(&[FIRST, SECOND])).await;
        reasons_until_ready(&world).await;
        world.wait_permission("team", "True", "Granted").await;
        world.apply(&team(&[SECOND])).await;
        world.wait_permission("team", "True", "Granted").await;
        world.sleep(INTERVAL).await;
        let view = view(&world);
        assert_eq!(
            (view.full_access.len(), view.send_as.len()),
            (1, 1),
            "seed {seed}"
        );
        assert_eq!(view.display_name, "sales");
        assert_eq!(sent(&world, "New-Mailbox"), 1, "seed {seed}");
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out_as_long_as_exchange_asks() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    let throttled = Fault::Throttled {
        retry_after_seconds: Some(90),
    };
    world.tenant.set_faults(Faults {
        rules: vec![
            FaultRule::next(1, throttled.clone()).on(&["New-Mailbox"]),
            FaultRule::next(1, throttled.clone()).on(&["Set-Mailbox"]),
            FaultRule::next(2, throttled).on(&["Add-*"]).naming("Trustee"),
        ],
        enforce_retry_after: true,
        ..Faults::default()
    });
    let started = world.server.now();
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    reasons_until_ready(&world).await;
    world.wait_permission("team", "True", "Granted").await;
    let counts = world.tenant.fault_counts();
    assert_eq!(counts.get("beforeRetryAfter"), None, "{counts:?}");
    assert!(world.server.now().duration_since(started).as_secs() >= 270);
    assert_eq!(view(&world).full_access.len(), 2);
    assert_eq!(view(&world).send_as.len(), 2);
    assert_eq!(shared_mailboxes(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_bad_hour_ends_in_the_same_state_as_a_good_one() {
    for seed in 1..=4 {
        let world = World::start().await;
        world.wait_tenant("True", "Connected").await;
        let error = |status| Fault::ServerError {
            status,
            exception: None,
            message: None,
        };
        world.tenant.set_faults(Faults {
            seed,
            rules: vec![
                FaultRule::at_rate(0.1, error(503)),
                FaultRule::at_rate(0.05, Fault::LostAnswer),
                FaultRule::at_rate(0.05, Fault::LostRequest),
                FaultRule::at_rate(
                    0.1,
                    Fault::Throttled {
                        retry_after_seconds: None,
                    },
                ),
            ],
            lag: Lag {
                delay: Delay::spread(2_000, 20_000, 60_000),
                replicas: 3,
            },
            latency: Delay::spread(200, 2_000, 20_000),
            ..Faults::default()
        });
        world.apply(&sales(json!({}))).await;
        world.apply(&team(&[FIRST, SECOND])).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.apply(&team(&[SECOND, THIRD])).await;
        world.wait_permission("team", "True", "Granted").await;
        world.tenant.set_faults(Faults::default());
        world.sleep(INTERVAL).await;
        let mut wanted = vec![
            world.tenant.object_id(SECOND).unwrap(),
            world.tenant.object_id(THIRD).unwrap(),
        ];
        let mut has = view(&world).send_as;
        wanted.sort();
        has.sort();
        assert_eq!(has, wanted, "seed {seed}");
        assert_eq!(view(&world).full_access.len(), 2);
        assert_eq!(shared_mailboxes(&world), 1, "seed {seed}");
    }
}

/// A new process knows nothing of the tenant but that.
#[tokio::test(start_paused = true)]
async fn a_pause_that_the_first_check_was_asked_for_holds_for_the_next_one() {
    let mut world = World::without_operator(Seed::contoso()).await;
    let throttled = Fault::Throttled {
        retry_after_seconds: Some(86),
    };
    world.tenant.add_fault(FaultRule::always(throttled));
    world.apply(&tenant()).await;
    world.start_operator();
    world.wait_tenant("Unknown", "Unreachable").await;
    world.sleep(900).await;
    let journal = world.tenant.journal();
    let asked: Vec<_> = journal
        .iter()
        .filter(|entry| entry.status == 429)
        .map(|entry| entry.at)
        .collect();
    assert!(asked.len() > 5, "{asked:?}");
    for pair in asked.windows(2) {
        let waited = pair[1].duration_since(pair[0]).as_secs();
        assert!(waited >= 86, "{asked:?}");
    }
}
