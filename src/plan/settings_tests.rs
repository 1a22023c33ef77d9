//! The table of settings, and properties of the planner over all its families.

use std::collections::{BTreeMap, BTreeSet};

use kube::CustomResourceExt;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::testing::{desired, our_mailbox};
use super::{
    Answer, Change, Desired, Earlier, FAMILIES, Family, Move, Need, Observed, ShownSettings, Standing, plan,
};
use crate::api::{SharedMailbox, SharedMailboxSpec};
use crate::ledger::Ledger;
use crate::setting::{Kind, Property, Source, Value, Values};

fn sources() -> impl Iterator<Item = Source> {
    std::iter::once(Source::Mailbox).chain(Source::FURTHER)
}

/// These may send more than what differs.
const SEND_MORE: [&str; 3] = ["regional", "forwarding", "automaticReplies"];

/// What can be wished: no property that only goes along, and not the attribute that holds the marker.
fn wishable(family: &'static Family) -> impl Iterator<Item = &'static Property> {
    let properties = family.properties.iter();
    properties.filter(|property| property.shown_as.is_some() && property.parameter != "CustomAttribute15")
}

/// Any values of the family's properties; some are left out.
fn values_of(family: &'static Family) -> impl Strategy<Value = Values> {
    let each = wishable(family).map(|property| {
        proptest::option::of(property.kind.any_wish()).prop_map(|value| Some((property.parameter, value?)))
    });
    each.collect::<Vec<_>>()
        .prop_map(|values| values.into_iter().flatten().collect())
}

/// What any manifests declare; the display name always.
pub fn wishes() -> impl Strategy<Value = BTreeMap<&'static str, Values>> {
    let each: Vec<_> = FAMILIES
        .iter()
        .map(|family| values_of(family).prop_map(|values| (family.name, values)))
        .collect();
    each.prop_map(|families| {
        let declared = families.into_iter().filter(|(_, values)| !values.is_empty());
        // A wish that Exchange could not take is refused; it is judged in a test of its own.
        declared
            .filter(|(name, values)| is_possible(name, values))
            .collect()
    })
}

fn is_possible(name: &str, wish: &Values) -> bool {
    let family = Family::named(name).unwrap();
    let nothing = Values::default();
    let names: Vec<&str> = family
        .properties
        .iter()
        .map(|property| property.parameter)
        .collect();
    // With a size left out it depends on what is shown.
    let is_whole = names.len() == 1 || names.iter().all(|name| wish.get(name).is_some());
    is_whole
        && (family.check)(&Move {
            shown: &nothing,
            wish,
        })
        .is_ok()
}

/// What any mailbox shows: every property of every source.
pub fn shown() -> impl Strategy<Value = ShownSettings> {
    let all = FAMILIES.iter().flat_map(|family| family.properties);
    let properties: Vec<&'static Property> = all.filter(|property| property.shown_as.is_some()).collect();
    let each: Vec<_> = properties
        .iter()
        .map(|property| {
            // It can be shown to be missing and not be wished so.
            let is_made = property.kind == Kind::Made;
            let value = if is_made {
                any::<bool>().prop_map(Value::Flag).boxed()
            } else {
                property.kind.any_wish()
            };
            value.prop_map(|value| (property.parameter, value))
        })
        .collect();
    each.prop_map(|values| {
        let all: Values = values.into_iter().collect();
        let of = |source: Source| {
            let families = FAMILIES.iter().filter(|family| family.call.shown_by() == source);
            let names = families.flat_map(|family| family.properties);
            names
                .filter_map(|p| Some((p.parameter, all.get(p.parameter)?.clone())))
                .collect::<Values>()
        };
        sources().map(|source| (source, Ok(of(source)))).collect()
    })
}

pub fn wanting(settings: BTreeMap<&'static str, Values>) -> Desired {
    Desired {
        settings,
        ..desired()
    }
}

pub fn showing(settings: ShownSettings) -> Observed {
    Observed {
        settings,
        ..our_mailbox()
    }
}

/// The settings that a plan changes.
pub fn changed(desired: &Desired, observed: &Observed) -> BTreeMap<&'static str, Value> {
    let changes = plan(desired, observed, &Ledger::default()).changes();
    changes
        .into_iter()
        .filter_map(|change| {
            let parameter = change.parameter()?;
            Some((parameter, change.setting_value()?.clone()))
        })
        .collect()
}

fn spec(settings: &Json) -> SharedMailboxSpec {
    let mut spec = json!({"displayName": "Sales", "emailAddress": "sales@contoso.com"});
    spec.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// The schema of a field of the CRD, by its path in the spec.
fn schema_of(field: &str) -> Json {
    let crd = serde_json::to_value(SharedMailbox::crd()).unwrap();
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    field.split('.').fold(root.clone(), |schema, name| {
        let property = &schema["properties"][name];
        let is_entry = property.is_null();
        let next = if is_entry {
            &schema["additionalProperties"]
        } else {
            property
        }
        .clone();
        assert!(!next.is_null(), "{field} is no field of the CRD");
        next
    })
}

#[test]
fn every_family_is_named_for_its_fields_and_owns_its_parameters() {
    let mut names = BTreeSet::new();
    let mut parameters = BTreeSet::new();
    for family in FAMILIES {
        assert!(names.insert(family.name), "{} stands twice", family.name);
        schema_of(family.name);
        for property in family.properties {
            schema_of(property.field);
            assert!(property.field.starts_with(family.name), "{}", property.field);
            let is_new = parameters.insert((family.call, property.parameter));
            assert!(is_new, "{} belongs to two families", property.parameter);
        }
    }
}

/// What a manifest says when it declares every field of the family by its example.
fn examples(family: &Family) -> Json {
    let mut declared = json!({});
    let whole = schema_of(family.name)["example"].clone();
    if family.choice.is_some() {
        return json!({ family.name: whole });
    }
    for property in family
        .properties
        .iter()
        .filter(|property| property.shown_as.is_some())
    {
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

#[test]
fn every_field_has_an_example_that_its_family_declares_and_can_write() {
    for family in FAMILIES {
        let wish = (family.declared)(&spec(&examples(family))).unwrap();
        for property in family
            .properties
            .iter()
            .filter(|property| property.shown_as.is_some())
        {
            let value = wish.get(property.parameter).unwrap();
            let is_somebody = value.as_recipients().is_some();
            assert!(
                is_somebody || property.kind.write(value).is_some(),
                "{}",
                property.field
            );
        }
        assert_eq!(wish, wish.only(family.properties), "only its own parameters");
        let nothing = (family.declared)(&spec(&json!({}))).unwrap();
        let is_required = family.name == "displayName";
        assert!(
            nothing.is_empty() != is_required,
            "{} is managed when it is left out",
            family.name
        );
    }
}

proptest! {
    #[test]
    fn any_wish_over_anything_shown_is_reached_by_one_plan(wishes in wishes(), shown in shown()) {
        let desired = wanting(wishes);
        let mut observed = showing(shown.clone());
        let changes = changed(&desired, &observed);
        for family in FAMILIES {
            let Some(Ok(shown)) = observed.settings.get_mut(&family.call.shown_by()) else { unreachable!() };
            let own = family.properties.iter().filter_map(|p| Some((p.parameter, changes.get(p.parameter)?.clone())));
            shown.extend(own);
        }
        prop_assert_eq!(changed(&desired, &observed), BTreeMap::new());
        for (name, wish) in &desired.settings {
            let source = Family::named(name).unwrap().call.shown_by();
            let shown = observed.settings[&source].as_ref().unwrap();
            prop_assert!(wish.differing(shown).is_empty(), "{} is not as wished", name);
        }
    }

    #[test]
    fn nothing_is_sent_that_is_not_declared_or_as_declared_already(wishes in wishes(), shown in shown()) {
        let changes = changed(&wanting(wishes.clone()), &showing(shown.clone()));
        for (parameter, to) in changes {
            let family = FAMILIES.iter().find(|f| f.properties.iter().any(|p| p.parameter == parameter)).unwrap();
            let before = shown[&family.call.shown_by()].as_ref().unwrap();
            let wish = &wishes[family.name];
            if SEND_MORE.contains(&family.name) {
                let step = Move { shown: before, wish };
                let sent = (family.sends)(&step, wish.differing(before));
                prop_assert_eq!(sent.get(parameter), Some(&to));
                continue;
            }
            prop_assert_eq!(wish.get(parameter), Some(&to));
            prop_assert_ne!(before.get(parameter), Some(&to));
        }
    }

    #[test]
    fn what_was_not_read_is_not_written_and_changes_nothing_else(
        wishes in wishes(), shown in shown(), hidden in 0..FAMILIES.len(), source_fails in any::<bool>()
    ) {
        let desired = wanting(wishes);
        let whole = changed(&desired, &showing(shown.clone()));
        let family = &FAMILIES[hidden];
        let source = family.call.shown_by();
        let mut less = shown;
        let is_unread = |parameter: &str| {
            let own = |f: &Family| f.properties.iter().any(|p| p.parameter == parameter);
            if source_fails { FAMILIES.iter().any(|f| f.call.shown_by() == source && own(f)) } else { own(family) }
        };
        if source_fails {
            less.insert(source, Err(super::Unread {
                why: "Get-Mailbox failed".to_owned(),
                may_pass: true,
            }));
        } else {
            let rest = less[&source].clone().unwrap().into_iter().filter(|(name, _)| !is_unread(name)).collect();
            less.insert(source, Ok(rest));
        }
        let partly = changed(&desired, &showing(less.clone()));
        let expected: BTreeMap<_, _> = whole.into_iter().filter(|(name, _)| !is_unread(name)).collect();
        // The merged values decide about the other sizes of a quota.
        let is_alone = family.properties.len() == 1 || source_fails;
        if is_alone {
            prop_assert_eq!(partly, expected);
        }
        if desired.settings.contains_key(family.name) {
            let planned = plan(&desired, &showing(less), &Ledger::default());
            prop_assert!(matches!(planned.standings[family.name], Standing::Unread(_)));
        }
    }

    #[test]
    fn what_exchange_keeps_showing_otherwise_is_written_no_more_until_it_shows_something_else(
        wishes in wishes(), shown in shown(), at in 0..FAMILIES.len(), said_equal in any::<bool>()
    ) {
        let family = &FAMILIES[at];
        let mut desired = wanting(wishes);
        let Some(wish) = desired.settings.get(family.name).cloned() else { return Ok(()) };
        let before = shown[&family.call.shown_by()].as_ref().unwrap().only(family.properties);
        prop_assume!(!wish.differing(&before).is_empty());
        let answer = if said_equal { Answer::Equal } else { Answer::Other };
        desired.earlier.insert(family.name, Earlier::Acknowledged { wish, shown: before.clone(), answer });
        let planned = plan(&desired, &showing(shown.clone()), &Ledger::default());
        let standing = &planned.standings[family.name];
        let differing = desired.settings[family.name].differing(&before);
        let has_forms = differing.iter().all(|(name, _)| {
            family.properties.iter().find(|p| p.parameter == name).unwrap().kind.has_forms()
        });
        if said_equal && has_forms {
            prop_assert_eq!(standing, &Standing::Synced);
        } else {
            prop_assert!(matches!(standing, Standing::NotConverging(_)), "{:?}", standing);
        }
        let is_own = |change: &Change| change.family() == family.name;
        prop_assert!(!planned.changes().iter().any(is_own));
        let Some(Earlier::Acknowledged { shown: then, .. }) = desired.earlier.get_mut(family.name) else { unreachable!() };
        *then = Values::default();
        let again = plan(&desired, &showing(shown), &Ledger::default());
        prop_assert!(again.changes().iter().any(is_own), "another shown value is found");
    }

    #[test]
    fn what_no_rule_gives_holds_up_its_own_family_only(
        wishes in wishes(), shown in shown(),
        need in proptest::sample::select(Need::granted_by_rules().collect::<Vec<_>>())
    ) {
        let mut desired = wanting(wishes);
        let free = changed(&desired, &showing(shown.clone()));
        desired.denied.insert(need, "no rule gives it".to_owned());
        let planned = plan(&desired, &showing(shown.clone()), &Ledger::default());
        let needs_it = |name: &str| {
            let family = Family::named(name).unwrap();
            let source = shown[&family.call.shown_by()].as_ref().unwrap();
            desired.settings.get(name).is_some_and(|wish| {
                (family.needs)(&Move { shown: source, wish }).contains(&need)
            })
        };
        for change in planned.changes() {
            prop_assert!(!needs_it(change.family()), "{}", change);
        }
        for name in desired.settings.keys() {
            let refused = planned.standings[name] == Standing::Refused("no rule gives it".to_owned());
            prop_assert_eq!(refused, needs_it(name));
        }
        let rest = changed(&desired, &showing(shown.clone()));
        let family = |parameter: &str| {
            FAMILIES.iter().find(|f| f.properties.iter().any(|p| p.parameter == parameter)).unwrap().name
        };
        let expected: BTreeMap<_, _> = free.into_iter().filter(|(name, _)| !needs_it(family(name))).collect();
        prop_assert_eq!(rest, expected);
    }

    #[test]
    fn without_their_powers_nothing_is_kept_for_less_time_and_no_old_protocol_is_opened(
        wishes in wishes(), shown in shown()
    ) {
        let mut desired = wanting(wishes);
        desired.denied = Need::granted_by_rules().map(|need| (need, "no".to_owned())).collect();
        let mailbox = shown[&Source::Mailbox].clone().unwrap();
        let before = |name: &str| mailbox.get(name).cloned();
        for (parameter, to) in changed(&desired, &showing(shown)) {
            let is_shorter = || to.bound() < before(parameter).and_then(|value| value.bound());
            let is_held = || before("LitigationHoldEnabled") == Some(Value::Flag(true));
            let is_lowered = match parameter {
                "RetainDeletedItemsFor" => is_shorter(),
                "LitigationHoldDuration" => is_held() && is_shorter(),
                "LitigationHoldEnabled" | "SingleItemRecoveryEnabled" | "SmtpClientAuthenticationDisabled" => {
                    to == Value::Flag(false)
                }
                "ImapEnabled" | "PopEnabled" => to == Value::Flag(true),
                "RetentionPolicy" => true,
                other => other.starts_with("CustomAttribute"),
            };
            prop_assert!(!is_lowered, "{} to {}", parameter, to);
        }
    }

    #[test]
    fn the_attribute_that_holds_the_marker_is_never_set_as_a_setting(wishes in wishes(), marker in 1_u8..16) {
        let mut desired = wanting(wishes);
        desired.marker_attribute = marker;
        let own = format!("CustomAttribute{marker}");
        let attribute = Family::named("customAttributes").unwrap().properties;
        let parameter = attribute.iter().find(|property| property.parameter == own).unwrap().parameter;
        let wish = Values::of([(parameter, Some(Value::text("theirs")))]);
        desired.settings.insert("customAttributes", wish);
        let observed = showing(ShownSettings::from([(
            Source::Mailbox,
            Ok(Values::of([(parameter, Some(Value::Nothing))])),
        )]));
        let planned = plan(&desired, &observed, &Ledger::default());
        let Standing::Refused(why) = &planned.standings["customAttributes"] else { panic!("it is not refused") };
        prop_assert!(why.contains("marker"), "{}", why);
        let is_set = |change: &Change| change.parameter() == Some(parameter);
        prop_assert!(!planned.changes().iter().any(is_set));
    }
}
