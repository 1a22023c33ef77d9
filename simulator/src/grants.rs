//! What the app may do in the tenant.

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
            graph_group_read: true,
        }
    }
}
