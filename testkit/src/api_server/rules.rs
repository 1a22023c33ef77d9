//! CEL rules (`x-kubernetes-validations`), evaluated node by node.
//!
//! Each node is compiled alone, so that the walk over the object is ours: old values are found by list-map
//! key rather than by index, and unchanged values are ratcheted, as the real server does both.

use std::fmt;

use kube::core::cel::{CompiledSchema, RootContext, ValidationError, Validator, compile_schema};
use serde_json::Value;

/// The compiled rules of one schema node.
pub struct Rules {
    compiled: CompiledSchema,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("count", &self.compiled.validations.len())
            .finish()
    }
}

impl Rules {
    /// Compiles the rules written at this very node; the schema below serves only to convert values.
    pub fn of(schema: &Value) -> Result<Option<Self>, String> {
        if schema["x-kubernetes-validations"]
            .as_array()
            .is_none_or(Vec::is_empty)
        {
            return Ok(None);
        }
        let mut alone = schema.clone();
        without_rules_below(&mut alone);
        let compiled = compile_schema(&alone);
        if let Some(error) = compiled.compilation_errors().first() {
            return Err(format!("x-kubernetes-validations: Invalid value: {error}"));
        }
        Ok(Some(Self { compiled }))
    }

    /// What fails for `value`, given what was there before.
    pub fn check(
        &self,
        value: &Value,
        old: Option<&Value>,
        root: Option<&RootContext>,
    ) -> Vec<ValidationError> {
        thread_local! {
            static VALIDATOR: Validator = Validator::new();
        }
        VALIDATOR.with(|validator| {
            match validator.validate_compiled_with_context(&self.compiled, value, old, root) {
                Ok(()) => Vec::new(),
                Err(errors) => errors.into_vec(),
            }
        })
    }

    /// Whether this rule compares with the old value; such a rule is never ratcheted.
    pub fn is_transition(&self, rule: &str) -> bool {
        self.compiled
            .validations
            .iter()
            .flatten()
            .any(|compiled| compiled.rule.rule == rule && compiled.is_transition_rule)
    }
}

fn without_rules_below(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    for (key, below) in fields {
        match (key.as_str(), below) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(without_rules);
            }
            ("items" | "additionalProperties" | "not", below) => without_rules(below),
            ("allOf" | "anyOf" | "oneOf", Value::Array(branches)) => {
                branches.iter_mut().for_each(without_rules);
            }
            _ => {}
        }
    }
}

fn without_rules(schema: &mut Value) {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("x-kubernetes-validations");
    }
    without_rules_below(schema);
}
