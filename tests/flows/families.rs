//! Every family of settings, driven by the table and by the examples in the CRD: one more setting is tested by being there.

use super::kit::*;
use kube::CustomResourceExt;
use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use shared_mailbox_operator::plan::{Company, FAMILIES, Family};
use shared_mailbox_operator::setting::{Call, Property};
use simulator::{Fault, FaultRule, Faults, ParameterRule, Quirks, Seed};
use testkit::{World, condition};

/// The simulated tenant has no rows for these, and other flows test them.
const ELSEWHERE: [&str; 2] = ["displayName", "alias"];

fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().filter(|family| !ELSEWHERE.contains(&family.name))
}

fn schema_of(field: &str) -> Value {
    let crd = serde_json::to_value(SharedMailbox::crd()).unwrap();
    let root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
    field
        .split('.')
        .fold(root, |schema, name| schema["properties"][name].clone())
}

/// What a manifest says to declare the family by the examples of its fields.
fn example(family: &Family) -> Value {
    let mut declared = json!({});
    for property in family.properties {
        let example = schema_of(property.field)["example"].clone();
        assert!(!example.is_null(), "{} has no example", property.field);
        let mut at = &mut declared;
        for name in property.field.split('.') {
            at = at.as_object_mut().unwrap().entry(name).or_insert(json!({}));
        }
        *at = example;
    }
    declared
}

/// Another value than the example's, as an admin gives it to the cmdlet.
fn other_value(property: &Property) -> Value {
    match property.parameter {
        "MailTip" => json!("Somebody else's words"),
        "IssueWarningQuota" => json!("10GB"),
        "ProhibitSendQuota" => json!("11GB"),
        "ProhibitSendReceiveQuota" => json!("49GB"),
        other => {
            let example = schema_of(property.field)["example"].clone();
            match example.as_bool() {
                Some(flag) => json!(!flag),
                None if other == "SmtpClientAuthenticationDisabled" => json!(false),
                None => panic!("give {other} another value here"),
            }
        }
    }
}

fn is_as_declared(world: &World, family: &Family) -> bool {
    let manifest = json!({ "displayName": "sales", "emailAddress": SALES });
    let mut spec = manifest;
    spec.as_object_mut()
        .unwrap()
        .extend(example(family).as_object().unwrap().clone());
    let wish = (family.declared)(&serde_json::from_value(spec).unwrap()).unwrap();
    let settings = view(world).settings;
    family.properties.iter().all(|property| {
        let shown = settings.get(property.parameter).unwrap();
        property.kind.read(&shown).as_ref() == wish.get(property.parameter)
    })
}

/// A settled mailbox whose namespace has every power, and the family declared.
async fn declared(family: &Family) -> World {
    let world = undeclared().await;
    world.apply(&sales(example(family))).await;
    world
}

async fn undeclared() -> World {
    let rule = json!({
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "members": ["*@contoso.com"],
        "rights": ["FullAccess", "SendAs", "SendOnBehalf"], "powers": ["LegacyProtocols"]
    });
    let world = world(Seed::contoso(), json!({ "spec": { "access": [rule] } })).await;
    settle(&world, &[FIRST]).await;
    world
}

async fn synced(family: &Family) -> World {
    let world = declared(family).await;
    until(&world, family.name, || is_as_declared(&world, family)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(120).await;
    forget(&world);
    world
}

#[tokio::test(start_paused = true)]
async fn each_is_set_and_kept_and_costs_nothing_once_it_is() {
    for family in families() {
        let world = synced(family).await;
        let object = world.mailbox("sales").await;
        assert_eq!(condition(&object, "SettingsSynced").unwrap().status, "True");
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "{}", family.name);
        assert_eq!(world.kubernetes_writes(), NOTHING, "{}", family.name);
    }
}

#[tokio::test(start_paused = true)]
async fn each_is_repaired_with_one_call_and_counted_under_its_name() {
    for family in families() {
        let world = synced(family).await;
        for property in family.properties {
            let other = other_value(property);
            world
                .tenant
                .set_setting(SALES, property.parameter, &other)
                .unwrap();
        }
        assert!(!is_as_declared(&world, family), "{}", family.name);
        world.sleep(INTERVAL).await;
        assert!(is_as_declared(&world, family), "{}", family.name);
        assert_eq!(world.writes(), [family.call.cmdlet()], "{}", family.name);
        let counted = format!(
            r#"sharedmailbox_drift_repaired_total{{property="{}"}}"#,
            family.name
        );
        assert_eq!(world.metric(&counted).to_string(), "1", "{}", family.name);
    }
}

#[tokio::test(start_paused = true)]
async fn each_is_left_as_it_is_when_it_is_no_longer_declared() {
    for family in families() {
        let world = synced(family).await;
        world.apply(&sales(json!({}))).await;
        world.sleep(INTERVAL).await;
        assert!(is_as_declared(&world, family), "{}", family.name);
        assert_eq!(world.writes(), NOTHING, "{}", family.name);
    }
}

#[tokio::test(start_paused = true)]
async fn each_that_the_role_or_the_service_refuses_is_named_and_nothing_else_suffers() {
    for family in families() {
        for rule in [ParameterRule::NotInRole, ParameterRule::ValueRefused] {
            let world = undeclared().await;
            let cmdlet = family.call.cmdlet();
            for property in family.properties {
                world.tenant.set_parameter_rule(cmdlet, property.parameter, rule);
            }
            let mut manifest = example(family);
            manifest["aliases"] = json!(["info@contoso.com"]);
            manifest["displayName"] = json!("Sales EMEA");
            world.apply(&sales(manifest)).await;
            world.apply(&team(&[FIRST, SECOND])).await;
            let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
            says(&stalled(&object, "SettingRefused"), &[family.name]);
            assert!(!is_as_declared(&world, family), "{}", family.name);
            let view = view(&world);
            assert_eq!(view.display_name, "Sales EMEA", "{} {rule:?}", family.name);
            assert!(view.addresses.contains(&"smtp:info@contoso.com".to_owned()));
            assert_eq!(view.full_access.len(), 2, "{} {rule:?}", family.name);
            world.sleep(300).await;
            forget(&world);
            world.sleep(45 * 60).await;
            // A role may be given any moment.
            let most = if rule == ParameterRule::NotInRole { 5 } else { 0 };
            let tries = world.writes().len();
            assert!(
                tries <= most,
                "{} {rule:?}: a refused family rests, {tries} tries",
                family.name
            );
            assert_eq!(world.kubernetes_writes(), NOTHING, "{} {rule:?}", family.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_that_cannot_be_read_is_reported_and_not_written() {
    for family in families() {
        let world = undeclared().await;
        let missing = family
            .properties
            .iter()
            .map(|property| property.parameter.to_owned());
        world.tenant.set_quirks(Quirks {
            missing: missing.collect(),
            ..Quirks::default()
        });
        forget(&world);
        world.apply(&sales(example(family))).await;
        let object = world
            .wait("LimitedView", async || {
                let object = world.mailbox("sales").await;
                condition(&object, "LimitedView").map(|_| object.clone())
            })
            .await;
        says(
            &condition(&object, "LimitedView").unwrap().message,
            &[family.name],
        );
        assert_eq!(condition(&object, "SettingsSynced").unwrap().status, "Unknown");
        assert_eq!(condition(&object, "Ready").unwrap().status, "True");
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "{}", family.name);
        world.tenant.set_quirks(Quirks::default());
        world.sleep(2 * INTERVAL).await;
        assert!(is_as_declared(&world, family), "{}", family.name);
    }
}

#[tokio::test(start_paused = true)]
async fn each_whose_read_fails_holds_up_nothing_else() {
    for family in families().filter(|family| family.call != Call::Mailbox) {
        let world = undeclared().await;
        world
            .tenant
            .add_fault(outage().on(&[family.call.shown_by().cmdlet()]));
        world.apply(&sales(example(family))).await;
        world.apply(&team(&[SECOND])).await;
        world.wait_permission("team", "True", "Granted").await;
        let object = world.wait_mailbox("sales", "False", "WaitingForExchange").await;
        let why = condition(&object, "Reconciling").unwrap().message;
        says(&why, &[family.name, family.call.shown_by().cmdlet()]);
        assert_eq!(view(&world).full_access.len(), 1);
        world.tenant.set_faults(Faults::default());
        until(&world, family.name, || is_as_declared(&world, family)).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.sleep(120).await;
        forget(&world);
        world
            .tenant
            .add_fault(outage().on(&[family.call.shown_by().cmdlet()]));
        world.sleep(3 * INTERVAL).await;
        assert_eq!(
            world.kubernetes_writes(),
            NOTHING,
            "an outage leaves the status as it was"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_that_the_role_may_not_read_is_reported_and_everything_else_is_done() {
    for family in families().filter(|family| family.call != Call::Mailbox) {
        let world = undeclared().await;
        let read = family.call.shown_by().cmdlet();
        world
            .tenant
            .add_fault(FaultRule::always(Fault::Denied).on(&[read]));
        world.apply(&sales(example(family))).await;
        world.apply(&team(&[SECOND])).await;
        world.wait_permission("team", "True", "Granted").await;
        let object = world.wait_mailbox("sales", "True", "UpToDate").await;
        says(
            &condition(&object, "LimitedView").unwrap().message,
            &[family.name, read],
        );
        assert_eq!(condition(&object, "SettingsSynced").unwrap().status, "Unknown");
    }
}

#[tokio::test(start_paused = true)]
async fn each_that_exchange_shows_in_another_form_is_written_twice_and_then_reported() {
    for family in families() {
        let world = undeclared().await;
        let shown = family.properties.iter().map(|property| {
            (
                property.parameter.to_owned(),
                view(&world).settings.get(property.parameter).unwrap(),
            )
        });
        world.tenant.set_quirks(Quirks {
            shown_instead: shown.collect(),
            says_unmodified: false,
            ..Quirks::default()
        });
        forget(&world);
        world.apply(&sales(example(family))).await;
        world.sleep(30 * 60).await;
        let object = world.wait_mailbox("sales", "False", "NotConverging").await;
        says(&stalled(&object, "NotConverging"), &[family.properties[0].field]);
        assert_eq!(
            condition(&object, "SettingsSynced").unwrap().reason,
            "NotConverging"
        );
        assert_eq!(sent(&world, family.call.cmdlet()), 2, "{}", family.name);
        world.tenant.set_quirks(Quirks::default());
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_call_of_its_own_stops_no_grant() {
    for family in families().filter(|family| family.company == Company::Alone || family.call != Call::Mailbox)
    {
        let world = undeclared().await;
        let parameter = family.properties[0].parameter;
        let busy = Fault::ServerError {
            status: 503,
            exception: None,
            message: None,
        };
        world.tenant.add_fault(
            FaultRule::always(busy)
                .on(&[family.call.cmdlet()])
                .naming(parameter),
        );
        world.apply(&sales(example(family))).await;
        world.apply(&team(&[FIRST, SECOND])).await;
        until(&world, "both are granted", || view(&world).full_access.len() == 2).await;
        world.tenant.set_faults(Faults::default());
        until(&world, family.name, || is_as_declared(&world, family)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn observe_shows_what_each_would_be_set_to() {
    for family in families() {
        let world = undeclared().await;
        let mut manifest = example(family);
        manifest["management"] = json!("Observe");
        forget(&world);
        world.apply(&sales(manifest)).await;
        let object = world.wait_mailbox("sales", "False", "DriftDetected").await;
        says(&stalled(&object, "DriftDetected"), &[family.properties[0].field]);
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "{}", family.name);
    }
}
