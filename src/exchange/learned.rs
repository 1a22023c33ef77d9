//! What a tenant's answers show of the tenant itself, noted while its gateway works.

use std::collections::BTreeSet;
use std::fmt;

use jiff::SignedDuration;

use super::error::{ExchangeError, Stage};

/// Something that the app may not use, or that the service does not know: a refusal does not say which.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    Cmdlet(String),
    Parameter {
        cmdlet: String,
        parameter: String,
    },
    /// A permission on Microsoft Graph.
    Permission(&'static str),
}

/// As a person knows it: `Add-RecipientPermission`, `Set-Mailbox -AccountDisabled`, `User.Read.All`.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cmdlet(name) => f.write_str(name),
            Self::Parameter { cmdlet, parameter } => write!(f, "{cmdlet} -{parameter}"),
            Self::Permission(name) => write!(f, "{name} on Microsoft Graph"),
        }
    }
}

impl Missing {
    /// What a refused cmdlet says about the app's role; None when the refusal is about something else, such as one
    /// mailbox out of the role's scope.
    fn shown_by(error: &ExchangeError) -> Option<Self> {
        let cmdlet = error.operation.clone();
        if !error.class.is_denial() || error.stage != Stage::Exchange {
            return None;
        }
        if let Some(parameter) = error.parameter.clone() {
            return Some(Self::Parameter { cmdlet, parameter });
        }
        let no_such_cmdlet = match error.exception.as_deref() {
            None => error.status == Some(403),
            Some(name) => {
                name.ends_with("CommandNotFoundException") || name.ends_with("CmdletAccessDeniedException")
            }
        };
        no_such_cmdlet.then_some(Self::Cmdlet(cmdlet))
    }
}

/// What becomes of the calls of a batch that come after one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterError {
    Run,
    NotRun,
}

/// How requests name the organisation to whose back end they go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    #[default]
    TenantId,
    InitialDomain,
}

/// So many refusals are noted; a role that lacks more lacks everything.
const MOST: usize = 64;

/// What one gateway has seen so far. Nothing is known of what was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// What was refused when it was last used.
    pub refused: BTreeSet<Missing>,
    pub batches: Option<AfterError>,
    /// With which anchor the second page of a list was answered last.
    pub paging: Option<Anchor>,
    /// How far our clock is ahead of the service's; negative when it is behind.
    pub ahead: Option<SignedDuration>,
}

impl Learned {
    /// Notes what became of one cmdlet, called with these parameters.
    pub fn cmdlet<'a>(
        &mut self,
        name: &str,
        parameters: impl Iterator<Item = &'a str>,
        error: Option<&ExchangeError>,
    ) {
        match error {
            Some(error) => self
                .refused
                .extend(Missing::shown_by(error).filter(|_| self.has_room())),
            None if self.refused.is_empty() => {}
            None => {
                self.refused.remove(&Missing::Cmdlet(name.to_owned()));
                for parameter in parameters {
                    self.refused.remove(&Missing::Parameter {
                        cmdlet: name.to_owned(),
                        parameter: parameter.to_owned(),
                    });
                }
            }
        }
    }

    /// Notes whether Graph admitted what needs `permission`.
    pub fn permission(&mut self, permission: &'static str, admitted: bool) {
        let missing = Missing::Permission(permission);
        if admitted {
            self.refused.remove(&missing);
        } else if self.has_room() {
            self.refused.insert(missing);
        }
    }

    pub fn refuses(&self, cmdlet: &str, parameter: &str) -> bool {
        self.refused.iter().any(|missing| match missing {
            Missing::Parameter {
                cmdlet: c,
                parameter: p,
            } => c == cmdlet && p.eq_ignore_ascii_case(parameter),
            Missing::Cmdlet(_) | Missing::Permission(_) => false,
        })
    }

    fn has_room(&self) -> bool {
        self.refused.len() < MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ErrorClass;

    fn refusal(parameter: Option<&str>, exception: Option<&str>, status: u16) -> ExchangeError {
        ExchangeError {
            parameter: parameter.map(str::to_owned),
            exception: exception.map(str::to_owned),
            status: Some(status),
            ..ExchangeError::new(ErrorClass::Denied, Stage::Exchange, "Set-Mailbox", "no")
        }
    }

    fn noted(error: &ExchangeError) -> Vec<String> {
        let mut learned = Learned::default();
        learned.cmdlet("Set-Mailbox", std::iter::empty(), Some(error));
        learned.refused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_refusal_names_what_the_role_lacks_or_nothing() {
        assert_eq!(noted(&refusal(None, None, 403)), ["Set-Mailbox"]);
        assert_eq!(
            noted(&refusal(None, Some("CommandNotFoundException"), 400)),
            ["Set-Mailbox"]
        );
        assert_eq!(
            noted(&refusal(
                Some("MailTip"),
                Some("AmbiguousParameterSetException"),
                400
            )),
            ["Set-Mailbox -MailTip"]
        );
        // One mailbox out of the role's scope; a token that is not taken.
        assert!(noted(&refusal(None, Some("InvalidOperationException"), 403)).is_empty());
        assert!(noted(&refusal(None, None, 401)).is_empty());
    }

    #[test]
    fn what_works_again_is_no_longer_refused() {
        let mut learned = Learned::default();
        learned.cmdlet(
            "Set-Mailbox",
            std::iter::empty(),
            Some(&refusal(Some("MailTip"), None, 400)),
        );
        learned.cmdlet("Set-Mailbox", std::iter::empty(), Some(&refusal(None, None, 403)));
        assert!(learned.refuses("Set-Mailbox", "mailtip") && !learned.refuses("Set-Mailbox", "Alias"));
        learned.cmdlet("Set-Mailbox", ["Alias"].into_iter(), None);
        let left: Vec<_> = learned.refused.iter().map(ToString::to_string).collect();
        assert_eq!(left, ["Set-Mailbox -MailTip"]);
        learned.cmdlet("Set-Mailbox", ["MailTip"].into_iter(), None);
        assert!(learned.refused.is_empty());
    }

    #[test]
    fn a_flood_of_refusals_is_bounded() {
        let mut learned = Learned::default();
        for number in 0..1000 {
            let error = refusal(Some(&format!("P{number}")), None, 400);
            learned.cmdlet("Set-Mailbox", std::iter::empty(), Some(&error));
        }
        assert_eq!(learned.refused.len(), MOST);
    }
}
