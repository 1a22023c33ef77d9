//! Custom attributes 1 to 15. One of them holds the marker and can't be declared; the others only where an access rule
//! lists their numbers, because dynamic groups and role scopes may depend on them.

use super::family::{Family, Need};
use crate::setting::{Kind, Property, Value};

const fn attribute(field: &'static str, parameter: &'static str) -> Property {
    Property::new(field, parameter, Kind::Text).off("\"\"")
}

const PROPERTIES: &[Property] = &[
    attribute("customAttributes.1", "CustomAttribute1"),
    attribute("customAttributes.2", "CustomAttribute2"),
    attribute("customAttributes.3", "CustomAttribute3"),
    attribute("customAttributes.4", "CustomAttribute4"),
    attribute("customAttributes.5", "CustomAttribute5"),
    attribute("customAttributes.6", "CustomAttribute6"),
    attribute("customAttributes.7", "CustomAttribute7"),
    attribute("customAttributes.8", "CustomAttribute8"),
    attribute("customAttributes.9", "CustomAttribute9"),
    attribute("customAttributes.10", "CustomAttribute10"),
    attribute("customAttributes.11", "CustomAttribute11"),
    attribute("customAttributes.12", "CustomAttribute12"),
    attribute("customAttributes.13", "CustomAttribute13"),
    attribute("customAttributes.14", "CustomAttribute14"),
    attribute("customAttributes.15", "CustomAttribute15"),
];

pub const CUSTOM_ATTRIBUTES: Family = Family {
    name: "customAttributes",
    properties: PROPERTIES,
    demands: "an access rule with the number in `customAttributes`",
    declared: |spec| {
        let wish = |(number, text): (&String, &String)| {
            let field = format!("customAttributes.{number}");
            let property = PROPERTIES.iter().find(|property| property.field == field);
            let property = property.ok_or_else(|| format!("spec.{field}: the numbers are 1 to 15"))?;
            Ok((property.parameter, Value::text(text)))
        };
        spec.plain.custom_attributes.iter().map(wish).collect()
    },
    needs: |step| {
        let number = |parameter: &str| parameter.strip_prefix("CustomAttribute")?.parse().ok();
        let numbers = step.wish.iter().filter_map(|(parameter, _)| number(parameter));
        numbers.map(Need::CustomAttribute).collect()
    },
    ..Family::PLAIN
};
