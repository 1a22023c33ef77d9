//! Why a tenant can't be used.

use crate::exchange::{Concerns, ExchangeError, Stage};

/// Why a tenant can't be used.
pub enum Fault {
    /// Somebody has to do something.
    Stalled {
        reason: &'static str,
        message: String,
        authenticated: bool,
    },
    /// It may go away by itself.
    Unreachable(String),
    /// Another installation of the operator works on it.
    ServedByAnother {
        /// As its Lease names it.
        holder: String,
        message: String,
        /// It was not heard of for longer than one that lives needs.
        is_late: bool,
    },
}

impl Fault {
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Stalled {
            reason,
            message: message.into(),
            authenticated: false,
        }
    }

    /// What an error of Exchange, Graph or Entra means for the tenant.
    pub fn of_error(error: &ExchangeError) -> Self {
        let message = error.to_string();
        match (error.class.concerns(), error.stage) {
            (Concerns::Service, _) => Fault::Unreachable(message),
            (Concerns::App | Concerns::Call, Stage::Token) if is_unknown_tenant(error) => {
                let text =
                    format!("Entra knows no such tenant; check spec.tenantId and spec.cloud: {message}");
                Fault::stalled("TenantUnknown", text)
            }
            (Concerns::App | Concerns::Call, Stage::Token) => {
                let text = format!(
                    "Entra refuses the credentials; check spec.credentials and the Secret: {message}"
                );
                Fault::stalled("CredentialsRefused", text)
            }
            (Concerns::App | Concerns::Call, Stage::Exchange | Stage::Graph) => Fault::Stalled {
                reason: "NotAuthorized",
                message: format!(
                    "the app may not manage Exchange; it needs the app role Exchange.ManageAsApp with admin consent and \
                     the role Exchange Recipient Administrator or a role group (a new role takes up to hours): {message}"
                ),
                authenticated: true,
            },
        }
    }
}

/// AADSTS90002: tenant not found; AADSTS900023 and 900021: no valid tenant identifier.
fn is_unknown_tenant(error: &ExchangeError) -> bool {
    let code = error.exception.as_deref().unwrap_or_default();
    ["AADSTS90002", "AADSTS900023", "AADSTS900021"].contains(&code)
}
