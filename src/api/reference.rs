//! References to other resources.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of another resource: of the same namespace, or of a cluster-scoped kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedRef {
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
