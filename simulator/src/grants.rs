//! What the app may do in the tenant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the app registration has been granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each grant stands for itself")]
pub struct AppGrants {
    /// The app role `Exchange.ManageAsApp`. Without it the admin API answers 401.
    pub exchange_app_role: bool,
    /// A directory role such as Exchange Administrator. Without it the admin API answers 403.
    pub directory_role: bool,
    /// `User.Read.All` on Graph.
    pub graph_user_read: bool,
    /// `User.EnableDisableAccount.All` on Graph.
    pub graph_user_write: bool,
    /// `User.RevokeSessions.All` on Graph.
    #[serde(default)]
    pub graph_sign_out: bool,
    /// `GroupMember.Read.All` on Graph.
    #[serde(default)]
    pub graph_group_read: bool,
}

impl AppGrants {
    /// Everything that can be granted.
    pub(crate) fn all() -> Self {
        Self {
            exchange_app_role: true,
            directory_role: true,
            graph_user_read: true,
            graph_user_write: true,
            graph_sign_out: true,
            graph_group_read: true,
        }
    }
}

/// What becomes of a parameter that the app sends with a cmdlet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ParameterRule {
    #[default]
    Accepted,
    /// The app's role lacks it. To the app this looks as if there were no such parameter.
    NotInRole,
    /// The service refuses each of its values.
    ValueRefused,
}

/// The rules that differ from `Accepted`, by cmdlet and parameter in lower case.
#[derive(Clone, Debug, Default)]
pub struct ParameterRules(BTreeMap<(String, String), ParameterRule>);

impl ParameterRules {
    pub fn set(&mut self, cmdlet: &str, parameter: &str, rule: ParameterRule) {
        self.0.insert(key(cmdlet, parameter), rule);
    }

    pub fn of(&self, cmdlet: &str, parameter: &str) -> ParameterRule {
        if self.0.is_empty() {
            return ParameterRule::Accepted;
        }
        self.0.get(&key(cmdlet, parameter)).copied().unwrap_or_default()
    }
}

fn key(cmdlet: &str, parameter: &str) -> (String, String) {
    (cmdlet.to_lowercase(), parameter.to_lowercase())
}
