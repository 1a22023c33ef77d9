//! Whether anybody can sign in to the account behind a mailbox, and what is written so that nobody can.
//!
//! Entra's word is the only proof. Exchange's `AccountDisabled` may say something else (CIPP issue 2572, 2024): it is
//! written with the first settings of a new mailbox, where Graph can't write, and where a write through Graph does not show.

use super::account::{Account, Attempt, SignInAttempts, SignInStanding};
use super::{Desired, Observed};
use crate::api::{SignIn, SignInControl};
use crate::ledger::Ledger;

/// How sign-in of the mailbox stands.
pub fn standing(desired: &Desired, observed: &Observed) -> SignInStanding {
    if desired.leaves_sign_in {
        return left(observed, &desired.sign_in_attempts);
    }
    let allowed = desired.sign_in == SignIn::Allowed;
    let attempts = &desired.sign_in_attempts;
    match &observed.account {
        account @ (Account::Open | Account::Blocked) => {
            if account.is_open() == Some(allowed) {
                SignInStanding::AsDeclared
            } else {
                differs(desired.sign_in_control, attempts, allowed)
            }
        }
        Account::NotShown if !attempts.is_long_unknown => SignInStanding::Propagating,
        Account::NotShown => {
            let why = "Microsoft Graph does not know the account behind the mailbox";
            without_graph(observed, attempts, allowed, why)
        }
        Account::Denied(why) => without_graph(observed, attempts, allowed, why),
        Account::Unread(why) => SignInStanding::Unverified(why.clone()),
    }
}

/// Nothing is written to an account of which nobody has said how it is to be.
fn left(observed: &Observed, attempts: &SignInAttempts) -> SignInStanding {
    match &observed.account {
        Account::Open => SignInStanding::Undecided,
        Account::Blocked => SignInStanding::AsDeclared,
        Account::NotShown if !attempts.is_long_unknown => SignInStanding::Propagating,
        Account::NotShown => SignInStanding::Unverified(
            "Microsoft Graph does not know the account behind the mailbox".to_owned(),
        ),
        Account::Denied(why) | Account::Unread(why) => SignInStanding::Unverified(why.clone()),
    }
}

/// Whether sign-in is still left as it was found: once it was seen closed, or somebody has said how it is to be, it is
/// kept like that of any mailbox.
pub(super) fn stays_undecided(desired: &Desired, observed: &Observed) -> bool {
    desired.leaves_sign_in && observed.account != Account::Blocked
}

/// Entra shows something else than is declared: one API, then the other one once.
fn differs(preferred: SignInControl, attempts: &SignInAttempts, allowed: bool) -> SignInStanding {
    let other = preferred.other();
    match (attempts.of(preferred, allowed), attempts.of(other, allowed)) {
        (None, _) => SignInStanding::Differs(preferred),
        (Some(Attempt::Fresh), _) | (Some(_), Some(Attempt::Fresh)) => SignInStanding::Waiting,
        (Some(_), None) => SignInStanding::Differs(other),
        (Some(one), Some(another)) => {
            SignInStanding::NotEffective(format!("{}; {}", one.words(preferred), another.words(other)))
        }
    }
}

/// Exchange's own switch is as good as it gets.
fn without_graph(observed: &Observed, attempts: &SignInAttempts, allowed: bool, why: &str) -> SignInStanding {
    if observed.account_disabled != allowed {
        return SignInStanding::Unverified(why.to_owned());
    }
    match attempts.of(SignInControl::Exchange, allowed) {
        None => SignInStanding::Differs(SignInControl::Exchange),
        Some(Attempt::Fresh) => SignInStanding::Waiting,
        Some(Attempt::Unseen) => {
            SignInStanding::Unverified(format!("{why}; and Exchange does not show what it acknowledged"))
        }
        Some(refused @ Attempt::Refused(_)) => {
            SignInStanding::NotEffective(format!("{why}; {}", refused.words(SignInControl::Exchange)))
        }
    }
}

/// Whether the mailbox's first settings, which are sent anyway, block sign-in: so that nothing waits for Graph.
pub(super) fn is_in_first_settings(desired: &Desired, observed: &Observed, ledger: &Ledger) -> bool {
    ledger.intent.is_some()
        && desired.sign_in == SignIn::Blocked
        && observed.account.is_open() != Some(false)
        && !observed.account_disabled
}

/// Whether the sessions of the account are to be revoked once `standing` is carried out: a block that closes an open
/// account owes it, until it is done or sign-in is to be allowed.
pub(super) fn owes_sign_out(
    desired: &Desired,
    observed: &Observed,
    ledger: &Ledger,
    standing: &SignInStanding,
) -> bool {
    let closes = observed.account == Account::Open && matches!(standing, SignInStanding::Differs(_));
    desired.sign_in == SignIn::Blocked && (closes || ledger.sign_out_owed)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{desired, our_mailbox};
    use super::*;

    const GRAPH: SignInControl = SignInControl::Graph;
    const EXCHANGE: SignInControl = SignInControl::Exchange;

    fn standing_of(control: SignInControl, account: &Account, by: [Option<Attempt>; 2]) -> SignInStanding {
        let [by_graph, by_exchange] = by.map(|attempt| attempt.map(|attempt| (false, attempt)));
        let wanted = Desired {
            sign_in_control: control,
            sign_in_attempts: SignInAttempts {
                by_graph,
                by_exchange,
                is_long_unknown: false,
            },
            ..desired()
        };
        let shown = Observed {
            account: account.clone(),
            ..our_mailbox()
        };
        standing(&wanted, &shown)
    }

    #[test]
    fn one_api_is_tried_then_the_other_and_then_none() {
        let refused = || Some(Attempt::Refused("no".to_owned()));
        for (preferred, other) in [(GRAPH, EXCHANGE), (EXCHANGE, GRAPH)] {
            let of = |one: Option<Attempt>, another: Option<Attempt>| {
                let by = if preferred == GRAPH {
                    [one, another]
                } else {
                    [another, one]
                };
                standing_of(preferred, &Account::Open, by)
            };
            assert_eq!(of(None, None), SignInStanding::Differs(preferred));
            assert_eq!(
                of(None, Some(Attempt::Unseen)),
                SignInStanding::Differs(preferred)
            );
            assert_eq!(of(Some(Attempt::Fresh), None), SignInStanding::Waiting);
            assert_eq!(of(Some(Attempt::Unseen), None), SignInStanding::Differs(other));
            assert_eq!(of(refused(), None), SignInStanding::Differs(other));
            assert_eq!(of(refused(), Some(Attempt::Fresh)), SignInStanding::Waiting);
            for one in [Some(Attempt::Unseen), refused()] {
                let ended = of(one, refused());
                assert!(matches!(ended, SignInStanding::NotEffective(_)), "{ended:?}");
            }
        }
    }

    #[test]
    fn what_was_tried_for_the_opposite_does_not_count() {
        let wanted = Desired {
            sign_in_control: GRAPH,
            sign_in_attempts: SignInAttempts {
                by_graph: Some((true, Attempt::Unseen)),
                ..SignInAttempts::default()
            },
            ..desired()
        };
        let shown = Observed {
            account: Account::Open,
            ..our_mailbox()
        };
        assert_eq!(standing(&wanted, &shown), SignInStanding::Differs(GRAPH));
    }

    #[test]
    fn exchanges_word_is_compared_only_where_graph_gives_none_and_never_proves_anything() {
        let denied = Account::Denied("no User.Read.All".to_owned());
        for exchange_says_disabled in [false, true] {
            let shown = |account: Account| Observed {
                account,
                account_disabled: exchange_says_disabled,
                ..our_mailbox()
            };
            assert_eq!(
                standing(&desired(), &shown(Account::Blocked)),
                SignInStanding::AsDeclared
            );
            let unread = Account::Unread("a time-out".to_owned());
            assert!(matches!(
                standing(&desired(), &shown(unread)),
                SignInStanding::Unverified(_)
            ));
            assert_eq!(
                standing(&desired(), &shown(Account::NotShown)),
                SignInStanding::Propagating
            );
            let without = standing(&desired(), &shown(denied.clone()));
            if exchange_says_disabled {
                assert_eq!(without, SignInStanding::Unverified("no User.Read.All".to_owned()));
            } else {
                assert_eq!(without, SignInStanding::Differs(EXCHANGE));
            }
        }
    }
}
