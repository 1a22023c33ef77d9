//! Why a tenant can't be used.

use super::refusals;
use crate::api::reason::Reason;
use crate::exchange::{Concerns, CredentialKind, ExchangeError, Stage};

/// Why a tenant can't be used.
pub enum Fault {
    /// Somebody has to do something.
    Stalled {
        reason: Reason,
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
    pub fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self::Stalled {
            reason,
            message: message.into(),
            authenticated: false,
        }
    }

    /// What an error of Exchange means for the tenant. `has_app_role`: whether the token carries Exchange.ManageAsApp, where
    /// that is known.
    pub fn of_exchange(error: &ExchangeError, has_app_role: Option<bool>) -> Self {
        match (error.class.concerns(), error.stage, has_app_role) {
            (Concerns::App | Concerns::Call, Stage::Exchange, Some(false)) => Fault::Stalled {
                reason: Reason::ConsentMissing,
                message: format!(
                    "the app lacks Exchange.ManageAsApp: add this application permission of Office 365 Exchange Online to \
                     the app registration and grant admin consent; it takes minutes to work: {error}"
                ),
                authenticated: true,
            },
            (Concerns::App | Concerns::Call, Stage::Exchange, Some(true)) => Fault::Stalled {
                reason: Reason::NotAuthorized,
                message: format!(
                    "the app has Exchange.ManageAsApp and no role in Exchange, or one that works only after some hours: \
                     assign it Exchange Recipient Administrator or a role group: {error}"
                ),
                authenticated: true,
            },
            (_, Stage::Token | Stage::Exchange | Stage::Graph, _) => Self::of_error(error),
        }
    }

    /// The same, with the credentials that could not even be tried.
    pub fn beside(self, unusable: &[(CredentialKind, String)]) -> Self {
        match self {
            Self::Stalled {
                reason,
                message,
                authenticated,
            } => {
                let others = unusable.iter().map(|(_, why)| why.clone());
                let all: Vec<String> = std::iter::once(message).chain(others).collect();
                Self::Stalled {
                    reason,
                    message: all.join("; "),
                    authenticated,
                }
            }
            fault @ (Self::Unreachable(_) | Self::ServedByAnother { .. }) => fault,
        }
    }

    /// What an error of Exchange, Graph or Entra means for the tenant.
    pub fn of_error(error: &ExchangeError) -> Self {
        let message = error.to_string();
        match (error.class.concerns(), error.stage) {
            (Concerns::Service, _) => Fault::Unreachable(message),
            (Concerns::App | Concerns::Call, Stage::Token) if refusals::may_pass(error) => {
                Fault::Unreachable(refusals::advice(error))
            }
            // Without a code it is this side that can't prove anything.
            (Concerns::App | Concerns::Call, Stage::Token) if error.exception.is_none() => {
                Fault::stalled(refusals::reason(error), message)
            }
            (Concerns::App | Concerns::Call, Stage::Token) => Fault::stalled(
                refusals::reason(error),
                format!("{}: {message}", refusals::advice(error)),
            ),
            (Concerns::App | Concerns::Call, Stage::Exchange | Stage::Graph) => Fault::Stalled {
                reason: Reason::NotAuthorized,
                message: format!(
                    "the app may not manage Exchange; it needs the app role Exchange.ManageAsApp with admin consent and \
                     the role Exchange Recipient Administrator or a role group (a new role takes up to hours): {message}"
                ),
                authenticated: true,
            },
        }
    }
}
