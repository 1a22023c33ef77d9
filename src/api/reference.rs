//! References to other resources.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of another resource: of the same namespace, or a cluster-scoped one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedRef {
    /// The name of the resource. Left out: `default`.
    #[serde(default = "default_name")]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl Default for NamedRef {
    fn default() -> Self {
        Self { name: default_name() }
    }
}

fn default_name() -> String {
    "default".to_owned()
}
