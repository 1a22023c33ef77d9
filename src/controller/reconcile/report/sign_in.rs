//! How sign-in is reported. Entra's word is the only proof: without it the condition is Unknown, whatever Exchange says.

use super::findings::Findings;
use crate::api::condition::{Kind, Truth, Verdict};
use crate::api::reason::Reason;
use crate::api::{SharedMailbox, SignIn};
use crate::controller::reconcile::verdict::decision_on_sign_in;
use crate::plan::{Account, SignInStanding};

/// What is known of sign-in, and what is done about it.
pub struct SignInFacts<'a> {
    account: &'a Account,
    /// The manifest allows it, and the rules do.
    is_allowed: bool,
    /// It is blocked when it is open.
    is_repaired: bool,
    standing: Option<&'a SignInStanding>,
    /// What to decide, of an adopted mailbox.
    decision: Option<String>,
}

impl<'a> SignInFacts<'a> {
    pub fn of(findings: &Findings<'a>) -> Self {
        Self {
            account: &findings.observed.account,
            is_allowed: findings.desired.sign_in == SignIn::Allowed,
            is_repaired: findings.writes,
            standing: Some(&findings.rest.sign_in),
            decision: Some(decision_on_sign_in(findings.observed)),
        }
    }

    /// Of a reconcile that read the account and ended before anything was planned.
    pub fn alone(account: &'a Account, object: &SharedMailbox) -> Self {
        Self {
            account,
            is_allowed: object.spec.sign_in == Some(SignIn::Allowed),
            is_repaired: false,
            standing: None,
            decision: None,
        }
    }

    /// For the column.
    pub fn word(&self) -> Reason {
        match self.account {
            Account::Open => Reason::Open,
            Account::Blocked => Reason::Blocked,
            Account::NotShown if self.is_new() => Reason::Propagating,
            Account::NotShown | Account::Denied(_) | Account::Unread(_) => Reason::Unverified,
        }
    }

    fn is_new(&self) -> bool {
        matches!(self.standing, Some(SignInStanding::Propagating))
    }

    pub fn verdict(&self) -> Verdict {
        match self.account {
            Account::Blocked => Verdict::new(
                Kind::SignInBlocked,
                true,
                Reason::Blocked,
                "nobody can sign in to the account behind the mailbox: Entra shows it disabled",
            ),
            Account::Open => self.open(),
            Account::NotShown if self.is_new() => Verdict::new(
                Kind::SignInBlocked,
                Truth::Unknown,
                Reason::Propagating,
                "Microsoft Graph does not know the account behind the mailbox yet; this takes minutes",
            ),
            Account::NotShown => unverified("Microsoft Graph does not know it"),
            Account::Denied(why) | Account::Unread(why) => unverified(why),
        }
    }

    fn open(&self) -> Verdict {
        let open = |reason: Reason, text: String| Verdict::new(Kind::SignInBlocked, false, reason, text);
        if self.is_allowed {
            let text = "spec.signIn is Allowed: people can sign in with a password".to_owned();
            return open(Reason::AllowedBySpec, text);
        }
        if let (Some(SignInStanding::Undecided), Some(decision)) = (self.standing, &self.decision) {
            return open(Reason::DecisionNeeded, decision.clone());
        }
        let fact = "the account behind the mailbox can be signed in to";
        match self.standing {
            Some(SignInStanding::NotEffective(why)) => {
                open(Reason::SignInNotEffective, format!("{fact}: {why}"))
            }
            Some(
                SignInStanding::AsDeclared
                | SignInStanding::Undecided
                | SignInStanding::Differs(_)
                | SignInStanding::Waiting
                | SignInStanding::Propagating
                | SignInStanding::Unverified(_),
            )
            | None => {
                let next = if self.is_repaired {
                    "it is being blocked"
                } else {
                    "nothing is written to it now (see Ready)"
                };
                open(Reason::Open, format!("{fact}; {next}"))
            }
        }
    }
}

fn unverified(why: &str) -> Verdict {
    let text = format!(
        "nobody knows whether the account behind the mailbox can be signed in to: {}. Only Microsoft Graph proves it \
         (the app needs User.Read.All); what Exchange says of it does not",
        why.trim_end_matches('.')
    );
    Verdict::new(Kind::SignInBlocked, Truth::Unknown, Reason::Unverified, text)
}
