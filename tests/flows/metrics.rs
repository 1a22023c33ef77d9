//! What the operator counts: true, and few.

use std::collections::BTreeSet;

use serde_json::json;
use simulator::{Fault, FaultRule, Faults, Seed};

use super::kit::*;
use testkit::{NAMESPACE, World, mailbox, permission};

/// More would cost whoever keeps them.
const MOST_SERIES: usize = 600;

/// The series of a scrape, without their values.
fn series(scrape: &str) -> BTreeSet<String> {
    let samples = scrape.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

async fn many_mailboxes(world: &World, numbers: std::ops::Range<usize>) {
    for number in numbers.clone() {
        let (name, address) = (format!("box-{number}"), format!("box-{number}@contoso.com"));
        world.apply(&mailbox(&name, &address)).await;
        let members: &[&str] = if number % 7 == 0 {
            &[FIRST, "partner@elsewhere.example"]
        } else {
            &[FIRST, SECOND]
        };
        let rights = &["FullAccess", "SendAs", "SendOnBehalf"];
        world
            .apply(&permission(&format!("team-{number}"), &name, members, rights))
            .await;
    }
    for number in numbers {
        world
            .wait_mailbox(&format!("box-{number}"), "True", "UpToDate")
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn more_mailboxes_are_not_more_series() {
    let world = world(
        Seed::contoso(),
        json!({ "spec": { "limits": { "writesPerMinute": 6000 } } }),
    )
    .await;
    many_mailboxes(&world, 0..15).await;
    // Everything that goes wrong has series of its own: let it go wrong before counting.
    for fault in [
        Fault::Throttled {
            retry_after_seconds: Some(2),
        },
        Fault::ServerError {
            status: 503,
            exception: None,
            message: None,
        },
        refusal("no"),
    ] {
        world.tenant.add_fault(FaultRule::always(fault));
        world
            .tenant
            .set_account_enabled("box-1@contoso.com", true)
            .unwrap();
        world.sleep(INTERVAL).await;
        world.tenant.set_faults(Faults::default());
    }
    // Look-ups of members hold for half an hour.
    world.sleep(5 * INTERVAL).await;
    let few = series(&world.metrics());
    many_mailboxes(&world, 15..48).await;
    world.sleep(2 * INTERVAL).await;
    let scrape = world.metrics();
    let more: Vec<String> = series(&scrape).difference(&few).cloned().collect();
    assert_eq!(more, Vec::<String>::new(), "they came with more mailboxes");
    let count = few.len();
    assert!(count <= MOST_SERIES, "{count} series:\n{scrape}");
    for name in ["box-", NAMESPACE, "contoso.com", "elsewhere"] {
        assert!(!scrape.contains(name), "{name} in {scrape}");
    }
    println!("{count} series");
}

#[tokio::test(start_paused = true)]
async fn objects_are_counted_by_their_state_and_why_they_are_stalled() {
    let world = World::start().await;
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST, "partner@elsewhere.example"])).await;
    world.wait_permission("team", "False", "PartiallyGranted").await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world
        .apply(&mailbox("theirs", "theirs@contoso.onmicrosoft.com"))
        .await;
    world.wait_mailbox("theirs", "False", "AccessDenied").await;
    world.sleep(2).await;
    for (series, value) in [
        (
            r#"sharedmailbox_objects{kind="SharedMailbox",state="ready"}"#,
            1.0,
        ),
        (
            r#"sharedmailbox_objects{kind="SharedMailbox",state="stalled"}"#,
            1.0,
        ),
        (
            r#"sharedmailbox_objects{kind="MailboxPermission",state="stalled"}"#,
            1.0,
        ),
        (
            r#"sharedmailbox_objects{kind="ExchangeTenant",state="ready"}"#,
            1.0,
        ),
        (
            r#"sharedmailbox_stalled_objects{kind="SharedMailbox",reason="AccessDenied"}"#,
            1.0,
        ),
        (
            r#"sharedmailbox_stalled_objects{kind="MailboxPermission",reason="PartiallyGranted"}"#,
            1.0,
        ),
        ("sharedmailbox_refused_members", 1.0),
        (
            r#"sharedmailbox_policy_refusals_total{kind="SharedMailbox"}"#,
            1.0,
        ),
        (
            r#"sharedmailbox_policy_refusals_total{kind="MailboxPermission"}"#,
            1.0,
        ),
        (r#"sharedmailbox_sign_in{state="blocked"}"#, 1.0),
        (r#"sharedmailbox_sign_in{state="unknown"}"#, 1.0),
        (r#"sharedmailbox_tenant_up{tenant="default"}"#, 1.0),
        (r#"sharedmailbox_tenant_writes_limit{tenant="default"}"#, 120.0),
        ("sharedmailbox_owed_revocations", 0.0),
    ] {
        assert!(
            (world.metric(series) - value).abs() < 1e-9,
            "{series}\n{}",
            world.metrics()
        );
    }
    // The regular recheck finds nothing new.
    world.sleep(3 * INTERVAL).await;
    let refusals = world.metric(r#"sharedmailbox_policy_refusals_total{kind="SharedMailbox"}"#);
    assert!((refusals - 1.0).abs() < 1e-9, "{refusals}");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_owed_while_exchange_is_away_and_its_time_is_known_afterwards() {
    let world = sales_with(&[FIRST, SECOND]).await;
    world.tenant.add_fault(outage());
    world.apply(&team(&[FIRST])).await;
    world.sleep(1000).await;
    assert!(world.metric("sharedmailbox_owed_revocations") >= 1.0);
    let age = world.metric("sharedmailbox_owed_revocation_oldest_seconds");
    assert!((990.0..1010.0).contains(&age), "{age}");
    let up = world.metric(r#"sharedmailbox_tenant_up{tenant="default"}"#);
    assert!(up.abs() < 1e-9, "{up}");

    world.tenant.set_faults(Faults::default());
    until(&world, "the revocation", || {
        world.metric("sharedmailbox_owed_revocations") < 0.5
    })
    .await;
    let count = r#"sharedmailbox_time_to_effect_seconds_count{lane="revocation"}"#;
    let sum = r#"sharedmailbox_time_to_effect_seconds_sum{lane="revocation"}"#;
    assert!((world.metric(count) - 1.0).abs() < 1e-9);
    assert!(world.metric(sum) > 990.0, "{}", world.metric(sum));
}

#[tokio::test(start_paused = true)]
async fn an_edit_takes_seconds_and_drift_is_found_and_repaired_once() {
    let world = sales_with(&[FIRST]).await;
    let count = r#"sharedmailbox_time_to_effect_seconds_count{lane="edit"}"#;
    let sum = r#"sharedmailbox_time_to_effect_seconds_sum{lane="edit"}"#;
    let (edits, seconds) = (world.metric(count), world.metric(sum));
    assert!(edits >= 1.0 && seconds / edits < 60.0, "{seconds} s for {edits}");
    world.tenant.set_account_enabled(SALES, true).unwrap();
    until(&world, "the block", || view(&world).account_disabled).await;
    world.sleep(3 * INTERVAL).await;
    for series in [
        r#"sharedmailbox_drift_found_total{property="signIn"}"#,
        r#"sharedmailbox_drift_repaired_total{property="signIn"}"#,
    ] {
        let value = world.metric(series);
        assert!((1.0..=2.0).contains(&value), "{series} {value}");
    }
    let others = world.metric(r#"sharedmailbox_drift_found_total{property="grants"}"#);
    assert!(others.abs() < 1e-9, "{others}");
    assert!((world.metric(count) - edits).abs() < 1e-9, "a repair is no edit");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_credential_is_known_where_its_secret_says_so() {
    let world = sales_with(&[]).await;
    assert!(!world.metrics().contains("sharedmailbox_credential_expiry"));
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(world.client.clone(), testkit::OPERATOR_NAMESPACE);
    let patch = json!({ "metadata": { "annotations": { "sharedmailbox.dev/expires-at": "2027-01-31" } } });
    secrets
        .patch(
            "exchange-credentials",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(&patch),
        )
        .await
        .unwrap();
    world.sleep(INTERVAL).await;
    let ends = world.metric(r#"sharedmailbox_credential_expiry_timestamp_seconds{tenant="default"}"#);
    assert!((ends - 1_801_353_600.0).abs() < 1e-9, "{ends}");
}
