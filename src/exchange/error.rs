//! What can go wrong, classified once.

use std::fmt;
use std::time::Duration;

/// What an error is. Decided from .NET type names and status codes; from prose only where the service sends no type.
///
/// What follows from an error is asked of its class, by a question below. A new class is a variant and its [`Rule`]. Nobody
/// asks for a class by name, but where it is decided from what the service answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ErrorClass {
    /// The object does not exist, or not yet on the replica that answered.
    NotFound,
    /// Another object holds the name or address.
    Conflict,
    /// The tenant's budget is used up; nothing was executed.
    Throttled,
    /// Credentials, consent or roles are missing; nothing was executed.
    Denied,
    /// The service refuses the values for good; nothing was executed.
    Invalid,
    /// May go away by itself; repeating the call is safe.
    Transient,
    /// A create of which nobody knows whether it was executed. Observe before repeating it.
    Ambiguous,
}

/// When the gateway sends a failed call once more by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// A few times, with growing pauses.
    Backoff,
    /// When the tenant's pause is over.
    AfterPause,
    /// Once, and only if it was the token that was refused.
    WithNewToken,
}

/// What an error says something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// The objects and values that the call named.
    Call,
    /// The app: its credentials, consent and roles.
    App,
    /// The service, its load or the way to it. Nothing was answered.
    Service,
}

/// What a failed read says of what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedRead {
    /// It is not there, or not shown yet.
    Absent,
    /// The app may not read it.
    NotAllowed,
    /// Nothing.
    Nothing,
}

/// How a reconcile ends that could not go on because of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// What was reported before stays, until the service answers.
    Unavailable,
    /// The app needs a permission or a role.
    NotAuthorized,
    /// The manifest asks for what the service refuses.
    Refused,
    /// Exchange may show soon what was asked for.
    NotShownYet,
    /// Whether it was done has to be looked up first.
    LookItUp,
}

/// How an error is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// No retry helps.
    Loud,
    Normal,
    /// It is an answer.
    Quiet,
}

/// All that follows from a class.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers, each to a question of its own"
)]
struct Rule {
    retry: Retry,
    concerns: Concerns,
    is_permanent: bool,
    proves_not_executed: bool,
    leaves_doubt: bool,
    is_absence: bool,
    is_clash: bool,
    ends: Ends,
    notice: Notice,
}

impl Rule {
    /// The service answered, about the call; the questions that are answered with yes are named where it is used.
    const fn answer(ends: Ends) -> Self {
        Self {
            retry: Retry::Never,
            concerns: Concerns::Call,
            is_permanent: false,
            proves_not_executed: false,
            leaves_doubt: false,
            is_absence: false,
            is_clash: false,
            ends,
            notice: Notice::Quiet,
        }
    }

    /// The service did not answer.
    const fn failure(ends: Ends) -> Self {
        Self {
            concerns: Concerns::Service,
            notice: Notice::Normal,
            ..Self::answer(ends)
        }
    }
}

impl ErrorClass {
    const fn rule(self) -> Rule {
        match self {
            Self::NotFound => Rule {
                is_absence: true,
                ..Rule::answer(Ends::NotShownYet)
            },
            Self::Conflict => Rule {
                is_permanent: true,
                is_clash: true,
                ..Rule::answer(Ends::Refused)
            },
            Self::Invalid => Rule {
                is_permanent: true,
                proves_not_executed: true,
                notice: Notice::Loud,
                ..Rule::answer(Ends::Refused)
            },
            Self::Denied => Rule {
                retry: Retry::WithNewToken,
                concerns: Concerns::App,
                proves_not_executed: true,
                notice: Notice::Loud,
                ..Rule::answer(Ends::NotAuthorized)
            },
            Self::Throttled => Rule {
                retry: Retry::AfterPause,
                proves_not_executed: true,
                ..Rule::failure(Ends::Unavailable)
            },
            Self::Transient => Rule {
                retry: Retry::Backoff,
                proves_not_executed: true,
                ..Rule::failure(Ends::Unavailable)
            },
            Self::Ambiguous => Rule {
                leaves_doubt: true,
                notice: Notice::Loud,
                ..Rule::failure(Ends::LookItUp)
            },
        }
    }

    /// When the gateway sends the call once more by itself.
    pub fn retry(self) -> Retry {
        self.rule().retry
    }

    /// What the error says something about.
    pub fn concerns(self) -> Concerns {
        self.rule().concerns
    }

    /// True when the same values will be refused again, whoever asks and however often. What is denied or not found is
    /// not permanent: a role may be granted, and an object show up, without a change of the manifest.
    pub fn is_permanent(self) -> bool {
        self.rule().is_permanent
    }

    /// True when a create that ended so surely created nothing. A conflict may be with the very object that an earlier
    /// attempt created. A transient failure that leaves a doubt reaches callers as [`Self::Ambiguous`].
    pub fn proves_not_executed(self) -> bool {
        self.rule().proves_not_executed
    }

    /// True when nobody knows whether the call was executed: observe before repeating it.
    pub fn leaves_doubt(self) -> bool {
        self.rule().leaves_doubt
    }

    /// True for an answer like any other: whoever asks whether something exists learns that it does not, or is not shown
    /// yet.
    pub fn is_absence(self) -> bool {
        self.rule().is_absence
    }

    /// True when another object has the name or the address.
    pub fn is_clash(self) -> bool {
        self.rule().is_clash
    }

    /// True when it is the app that may not do it.
    pub fn is_denial(self) -> bool {
        self.concerns() == Concerns::App
    }

    /// True when only the time was wrong: nothing speaks against the call itself, however often it ends so.
    pub fn is_throttling(self) -> bool {
        self.retry() == Retry::AfterPause
    }

    /// How a reconcile ends that could not go on.
    pub fn ends(self) -> Ends {
        self.rule().ends
    }

    /// What a read that ended so says of what it asked for.
    pub fn of_a_read(self) -> FailedRead {
        match (self.is_absence(), self.is_denial()) {
            (true, _) => FailedRead::Absent,
            (false, true) => FailedRead::NotAllowed,
            (false, false) => FailedRead::Nothing,
        }
    }

    /// What the error is for a call that was only a part of what was answered, as one of a batch is, or of which only a
    /// part was answered, as a page of a list is: what would be an answer about the call proves nothing about it.
    pub fn of_a_part(self) -> Self {
        match self.concerns() {
            Concerns::Call => Self::Transient,
            Concerns::App | Concerns::Service => self,
        }
    }

    /// The metric label.
    pub fn label(self) -> &'static str {
        self.into()
    }
}

/// Which service an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// The token endpoint of Entra.
    Token,
    Exchange,
    Graph,
}

impl Stage {
    /// The metric label.
    pub fn label(self) -> &'static str {
        self.into()
    }
}

/// A failed operation. Holds no secret and no more than a few hundred characters of the service's own text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ExchangeError {
    pub class: ErrorClass,
    pub stage: Stage,
    /// The cmdlet or the call, as a person knows it: `Set-Mailbox`.
    pub operation: String,
    /// The .NET type without its namespace, Graph's error code, or Entra's AADSTS code.
    pub exception: Option<String>,
    /// The parameter that is refused, when the service names it for certain.
    pub parameter: Option<String>,
    pub message: String,
    pub status: Option<u16>,
    /// What Microsoft's support asks for: the service's id of the request, or ours when there was no answer.
    pub request_id: Option<String>,
    /// How long the service wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl ExchangeError {
    pub(crate) fn new(class: ErrorClass, stage: Stage, operation: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            stage,
            operation: operation.to_owned(),
            exception: None,
            parameter: None,
            message: message.into(),
            status: None,
            request_id: None,
            retry_after: None,
        }
    }

    /// True when it is `identity` that is not found, and nothing else that the call named: Exchange repeats the
    /// identity it was given.
    pub fn does_not_find(&self, identity: impl fmt::Display) -> bool {
        self.class.is_absence() && self.message.contains(&identity.to_string())
    }

    /// True when a retry can't help as long as the same is asked for, so that the part of a call that is refused is taken
    /// out and the rest is sent: its values, or a parameter that the app may not use.
    pub fn refuses_what_was_asked(&self) -> bool {
        self.class.is_permanent() || self.parameter.is_some()
    }

    /// Logs a call that failed for good: loudly when no retry helps, quietly when the failure is an answer.
    pub(super) fn log(&self) {
        let (class, error) = (self.class.label(), self.traced());
        match self.class.rule().notice {
            Notice::Loud => tracing::warn!(class, error, "call failed"),
            Notice::Normal => tracing::info!(class, error, "call failed"),
            Notice::Quiet => tracing::debug!(class, error, "call failed"),
        }
    }

    /// The text for logs: with the id that Microsoft's support asks for.
    pub fn traced(&self) -> String {
        let details: Vec<String> = [
            self.request_id.as_ref().map(|id| format!("request {id}")),
            self.retry_after
                .map(|wait| format!("retry after {} s", wait.as_secs())),
        ]
        .into_iter()
        .flatten()
        .collect();
        let text = self.text(&self.message);
        if details.is_empty() {
            text
        } else {
            format!("{text} ({})", details.join(", "))
        }
    }

    fn text(&self, message: &str) -> String {
        let status = self.status.map(|status| format!("HTTP {status}"));
        let details: Vec<String> = [self.exception.clone(), status].into_iter().flatten().collect();
        let text = format!("{} failed: {}", self.operation, message.trim_end_matches('.'));
        if details.is_empty() {
            text
        } else {
            format!("{text} ({})", details.join(", "))
        }
    }
}

/// In place of what Exchange says of a conflict: that names whoever has the name or the address, who is nobody else's
/// business.
const TAKEN: &str = "a name or an address that it asks for is already used in the tenant";

/// The same text whenever the same thing goes wrong, so that a condition that holds it is not rewritten with
/// each try; and for every reader. [`ExchangeError::traced`] adds what differs, and what only the log may say.
impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = if self.class.is_clash() {
            TAKEN
        } else {
            &self.message
        };
        f.write_str(&self.text(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use strum::IntoEnumIterator;

    #[test]
    fn the_answers_of_a_class_agree_with_each_other() {
        for class in ErrorClass::iter() {
            let (retry, concerns) = (class.retry(), class.concerns());
            assert!(
                !(class.is_permanent() || class.is_absence())
                    || (retry, concerns) == (Retry::Never, Concerns::Call),
                "{class:?}: an answer about the call is not asked for again"
            );
            assert!(
                retry == Retry::Never || class.proves_not_executed(),
                "{class:?}: what is repeated for a create must not have been executed"
            );
            assert_ne!(class.of_a_part().concerns(), Concerns::Call, "{class:?}");
            assert!(
                !(class.leaves_doubt() && class.proves_not_executed()),
                "{class:?}: nobody knows, and it is proved"
            );
        }
        assert_eq!(ErrorClass::NotFound.label(), "not_found");
        assert_eq!(Stage::Exchange.label(), "exchange");
    }

    #[test]
    fn what_is_said_of_a_conflict_names_nobody_but_in_the_log() {
        let message = "The proxy address \"smtp:a@contoso.com\" is already being used by \"Salary\".";
        let error = ExchangeError::new(ErrorClass::Conflict, Stage::Exchange, "New-Mailbox", message);
        assert_eq!(error.to_string(), format!("New-Mailbox failed: {TAKEN}"));
        assert!(error.traced().contains("Salary"));
    }

    #[test]
    fn an_error_reads_as_a_sentence_that_is_the_same_with_each_try() {
        let mut error = ExchangeError::new(
            ErrorClass::Invalid,
            Stage::Exchange,
            "Set-Mailbox",
            "The value is too long.",
        );
        assert_eq!(error.to_string(), "Set-Mailbox failed: The value is too long");
        error.exception = Some("DataValidationException".to_owned());
        error.status = Some(500);
        error.request_id = Some("1b2c".to_owned());
        error.retry_after = Some(Duration::from_secs(30));
        assert!(error.to_string().ends_with("(DataValidationException, HTTP 500)"));
        assert!(
            error
                .traced()
                .ends_with("HTTP 500) (request 1b2c, retry after 30 s)")
        );
    }
}
