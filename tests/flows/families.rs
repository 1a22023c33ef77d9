//! Every family of settings, driven by the table and by the examples in the CRD: one more setting is tested by being there.

use super::kit::*;
use kube::CustomResourceExt;
use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use shared_mailbox_operator::plan::{Company, FAMILIES, Family};
use shared_mailbox_operator::setting::{self, Call, Kind, Property, Source, Values, Who};
use simulator::{Fault, FaultRule, Faults, ParameterRule, Quirks, Seed};
use testkit::{World, condition, with};

/// The simulated tenant has no rows for these, and other flows test them.
const ELSEWHERE: [&str; 2] = ["displayName", "alias"];

fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().filter(|family| !ELSEWHERE.contains(&family.name))
}

/// Whether the mailbox is unreadable without it: the marker may lie in any custom attribute.
fn is_needed(family: &Family) -> bool {
    family.name == "customAttributes"
}

fn schema_of(field: &str) -> Value {
    let crd = serde_json::to_value(SharedMailbox::crd()).unwrap();
    let root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone();
    field
        .split('.')
        .fold(root, |schema, name| schema["properties"][name].clone())
}

/// What a manifest says to declare the family by its example, or by those of its fields.
fn example(family: &Family) -> Value {
    let mut declared = json!({});
    let of_fields = || family.properties.iter().map(|property| property.field);
    let whole = schema_of(family.name)["example"].is_object();
    let fields: Vec<&str> = if whole {
        vec![family.name]
    } else {
        of_fields().collect()
    };
    for field in fields {
        let example = schema_of(field)["example"].clone();
        assert!(!example.is_null(), "{field} has no example");
        let mut at = &mut declared;
        for name in field.split('.') {
            at = at.as_object_mut().unwrap().entry(name).or_insert(json!({}));
        }
        *at = example;
    }
    declared
}

/// What the example wishes of each property.
fn wish(family: &Family) -> Values {
    let mut spec = json!({ "displayName": "sales", "emailAddress": SALES });
    spec.as_object_mut()
        .unwrap()
        .extend(example(family).as_object().unwrap().clone());
    (family.declared)(&serde_json::from_value(spec).unwrap()).unwrap()
}

/// The properties that the example declares.
fn declared_properties(family: &Family) -> Vec<&Property> {
    let wish = wish(family);
    let properties = family.properties.iter();
    properties
        .filter(|property| wish.get(property.parameter).is_some() && property.shown_as.is_some())
        .collect()
}

/// Another value than the example's, as an admin gives it to the cmdlet.
fn other_value(property: &Property) -> Value {
    match property.parameter {
        "MailTip" | "CustomAttribute1" => json!("Somebody else's words"),
        "RetainDeletedItemsFor" => json!("7.00:00:00"),
        "LitigationHoldDuration" => json!(100),
        "RetentionPolicy" => json!("Forever"),
        "IssueWarningQuota" => json!("10GB"),
        "ProhibitSendQuota" => json!("11GB"),
        "ProhibitSendReceiveQuota" => json!("49GB"),
        "MaxSendSize" | "MaxReceiveSize" => json!("5MB"),
        "RecipientLimits" => json!(7),
        "SmtpClientAuthenticationDisabled" => json!(false),
        "ForwardingAddress" => json!(SECOND),
        "ForwardingSmtpAddress" => json!("somebody@fabrikam.com"),
        "AcceptMessagesOnlyFromSendersOrMembers" | "RejectMessagesFromSendersOrMembers" => json!([THIRD]),
        "AutoReplyState" => json!("Enabled"),
        "InternalMessage" | "ExternalMessage" => json!("<p>Somebody else's words</p>"),
        "ExternalAudience" => json!("All"),
        "StartTime" => json!("2026-12-20T08:00:00Z"),
        "EndTime" => json!("2026-12-21T08:00:00Z"),
        "Language" => json!("en-US"),
        "TimeZone" => json!("UTC"),
        "DateFormat" => json!("yyyy-MM-dd"),
        "TimeFormat" => json!("h:mm tt"),
        other => {
            let example = schema_of(property.field)["example"].clone();
            match (example.as_bool(), example.as_str()) {
                (Some(flag), _) => json!(!flag),
                (None, Some(text)) if property.kind == Kind::Text => json!(format!("not {text}")),
                (None, _) => panic!("give {other} another value here"),
            }
        }
    }
}

/// The row of the mailbox that shows the family, as an admin sees it.
fn shown(world: &World, family: &Family) -> Value {
    let rows = world
        .tenant
        .admin_cmdlet(family.call.shown_by().cmdlet(), json!({ "Identity": SALES }))
        .unwrap();
    rows[0].clone()
}

/// An admin gives every declared property another value.
fn change_by_hand(world: &World, family: &Family) {
    if family.call == Call::Archive {
        let disable = json!({ "Identity": SALES, "Archive": true });
        world.tenant.admin_cmdlet("Disable-Mailbox", disable).unwrap();
        return;
    }
    let mut change = json!({ "Identity": SALES });
    for property in declared_properties(family) {
        change[property.parameter] = other_value(property);
    }
    world.tenant.admin_cmdlet(family.call.cmdlet(), change).unwrap();
}

/// Whether the mailbox shows these values. Recipients are shown by their names, which are looked up here.
fn shows(world: &World, family: &Family, wish: &Values) -> bool {
    let row = shown(world, family);
    let mut properties = family
        .properties
        .iter()
        .filter_map(|property| Some((property, wish.get(property.parameter)?)));
    properties.all(|(property, wish)| {
        let shown = property.kind.read(&row[property.shown_as.unwrap()]).unwrap();
        ids(world, &shown) == ids(world, wish)
    })
}

/// The same value with recipients by their object ids.
fn ids(world: &World, value: &setting::Value) -> setting::Value {
    let Some(recipients) = value.as_recipients() else {
        return value.clone();
    };
    let id = |who: &Who| {
        let text = match who {
            Who::Written(address) => address.to_string(),
            Who::Id(id) => id.to_string(),
            Who::Shown(name) => name.clone(),
        };
        Who::Id(
            world
                .tenant
                .object_id(&text)
                .unwrap()
                .to_string()
                .parse()
                .unwrap(),
        )
    };
    setting::Value::Recipients(recipients.iter().map(id).collect())
}

fn is_as_declared(world: &World, family: &Family) -> bool {
    shows(world, family, &wish(family))
}

/// In how many calls it is written.
fn calls(family: &Family) -> usize {
    match family.company {
        Company::Together | Company::Alone => 1,
        Company::OneByOne => family.properties.len(),
    }
}

/// A settled mailbox whose namespace has every power, and the family declared.
async fn declared(family: &Family) -> World {
    let world = undeclared().await;
    world.apply(&sales(example(family))).await;
    world
}

pub async fn undeclared() -> World {
    let rule = json!({
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "members": ["*@contoso.com"],
        "rights": ["FullAccess", "SendAs", "SendOnBehalf"],
        "powers": ["LegacyProtocols", "Hold", "Retention", "ForwardExternally"], "customAttributes": [1],
        "groups": ["sales-team@contoso.com"]
    });
    let world = world(Seed::contoso(), json!({ "spec": { "access": [rule] } })).await;
    settle(&world, &[FIRST]).await;
    world.tenant.set_licensed(SALES, true).unwrap();
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
        change_by_hand(&world, family);
        assert!(!is_as_declared(&world, family), "{}", family.name);
        world.sleep(INTERVAL).await;
        assert!(is_as_declared(&world, family), "{}", family.name);
        assert_eq!(
            world.writes(),
            vec![family.call.cmdlet(); calls(family)],
            "{}",
            family.name
        );
        if family.company == Company::OneByOne {
            continue;
        }
        let counted = format!(
            r#"sharedmailbox_drift_repaired_total{{property="{}"}}"#,
            family.name
        );
        assert_eq!(world.metric(&counted).to_string(), "1", "{}", family.name);
    }
}

#[tokio::test(start_paused = true)]
async fn each_that_is_no_longer_declared_is_left_or_withdrawn_once() {
    for family in families() {
        let world = synced(family).await;
        world.apply(&sales(json!({}))).await;
        world.sleep(INTERVAL).await;
        if let Some(off) = family.withdrawal() {
            assert!(shows(&world, family, &off), "{}", family.name);
            assert_eq!(world.writes(), [family.call.cmdlet()], "{}", family.name);
            world.sleep(3600).await;
            forget(&world);
            change_by_hand(&world, family);
            world.sleep(INTERVAL).await;
            assert!(
                !shows(&world, family, &off),
                "what an admin opens afterwards is theirs: {}",
                family.name
            );
        } else {
            assert!(is_as_declared(&world, family), "{}", family.name);
        }
        world.sleep(INTERVAL).await;
        let since = world.writes();
        assert!(since.is_empty(), "{}: {since:?}", family.name);
    }
}

#[tokio::test(start_paused = true)]
async fn each_that_the_role_or_the_service_refuses_is_named_and_nothing_else_suffers() {
    for family in families() {
        for rule in [ParameterRule::NotInRole, ParameterRule::ValueRefused] {
            let world = undeclared().await;
            let cmdlet = family.call.cmdlet();
            for property in declared_properties(family) {
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
    for family in families().filter(|family| !is_needed(family)) {
        let world = undeclared().await;
        let missing = declared_properties(family)
            .into_iter()
            .map(|property| property.shown_as.unwrap().to_owned());
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
    for family in families().filter(|family| family.call.shown_by() != Source::Mailbox) {
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
    for family in families().filter(|family| family.call.shown_by() != Source::Mailbox) {
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
    // Exchange refuses to make what is there, whatever it shows.
    for family in families().filter(|family| family.call != Call::Archive) {
        let world = undeclared().await;
        let row = shown(&world, family);
        let shown = declared_properties(family).into_iter().map(|property| {
            let name = property.shown_as.unwrap();
            (name.to_owned(), row[name].clone())
        });
        world.tenant.set_quirks(Quirks {
            shown_instead: shown.collect(),
            says_unmodified: false,
            ..Quirks::default()
        });
        forget(&world);
        world.apply(&sales(example(family))).await;
        world.sleep(family.patience.as_secs() + 25 * 60).await;
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
        let object = sales_drifts(&world).await;
        says(&drift_of(&object), &[family.properties[0].field]);
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes(), NOTHING, "{}", family.name);
    }
}

/// A mailbox with everything declared: one cmdlet to create it, one for everything that can go together, one for each
/// thing that can't, and then one read for each cmdlet that shows something.
#[tokio::test(start_paused = true)]
async fn everything_together_takes_as_few_calls_as_there_can_be() {
    let world = undeclared().await;
    let mut manifest = json!({});
    for family in families() {
        manifest = with(manifest, &example(family));
    }
    forget(&world);
    world.apply(&sales(manifest)).await;
    until(&world, "all of it", || {
        families().all(|family| is_as_declared(&world, family))
    })
    .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let alone = families()
        .filter(|family| family.company == Company::Alone && family.call == Call::Mailbox)
        .count();
    assert_eq!(sent(&world, "Set-Mailbox"), 1 + alone);
    for family in families().filter(|family| family.call != Call::Mailbox) {
        assert_eq!(
            sent(&world, family.call.cmdlet()),
            calls(family),
            "{}",
            family.call.cmdlet()
        );
    }
    world.sleep(120).await;
    forget(&world);
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    for family in families() {
        let read = family.call.shown_by().cmdlet();
        let probes = usize::from(leftovers_are_unseen());
        assert!((1..=1 + probes).contains(&sent(&world, read)), "{read}");
    }
}
