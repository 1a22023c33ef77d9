//! Access rules of an ExchangeTenant: a request is allowed when one rule alone admits all of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::api::{AccessRule, Power};
use crate::mail::{AddressPattern, Right, SmtpAddress};

/// The rules, parsed. A pattern that can't be parsed admits nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessRules {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    namespaces: BTreeSet<String>,
    addresses: Vec<AddressPattern>,
    members: Vec<AddressPattern>,
    groups: Vec<AddressPattern>,
    rights: Vec<Right>,
    powers: Vec<Power>,
    max_mailboxes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberKind {
    User,
    Group,
}

/// What is asked for, beside the namespace and the mailbox's addresses.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    /// The mailbox itself; `earlier` mailboxes of the namespace that the same rule would admit count against
    /// its limit.
    Mailbox {
        earlier: &'a [BTreeSet<SmtpAddress>],
    },
    Power(Power),
    Member {
        kind: MemberKind,
        address: &'a SmtpAddress,
        right: Right,
    },
}

impl AccessRules {
    pub fn parse(rules: &[AccessRule]) -> Self {
        fn patterns(texts: &[String]) -> Vec<AddressPattern> {
            texts.iter().filter_map(|text| text.parse().ok()).collect()
        }
        let rules = rules.iter().map(|rule| {
            let AccessRule {
                namespaces,
                addresses,
                members,
                groups,
                rights,
                powers,
                max_mailboxes,
            } = rule;
            Rule {
                namespaces: namespaces.names.iter().cloned().collect(),
                addresses: patterns(addresses),
                members: patterns(members),
                groups: patterns(groups),
                rights: rights.clone(),
                powers: powers.clone(),
                max_mailboxes: usize::try_from(*max_mailboxes).unwrap_or(0),
            }
        });
        Self {
            rules: rules.collect(),
        }
    }

    /// Whether one rule admits all of it; otherwise the rule that would.
    pub fn admit(
        &self,
        namespace: &str,
        addresses: &BTreeSet<SmtpAddress>,
        wish: Wish<'_>,
    ) -> Result<(), String> {
        if self
            .rules
            .iter()
            .any(|rule| rule.admits(namespace, addresses, wish))
        {
            return Ok(());
        }
        Err(self.denial(namespace, addresses, wish))
    }

    fn denial(&self, namespace: &str, addresses: &BTreeSet<SmtpAddress>, wish: Wish<'_>) -> String {
        let reached = self
            .rules
            .iter()
            .find(|rule| rule.has_mailbox(namespace, addresses));
        if let (Wish::Mailbox { .. }, Some(full)) = (wish, reached) {
            let limit = full.max_mailboxes;
            return format!(
                "namespace {namespace:?} has its {limit} mailboxes already: raise maxMailboxes of its access rule \
                 or delete a SharedMailbox"
            );
        }
        let mut rule = format!(
            "namespaces: {{names: [{namespace}]}}, addresses: [{}]",
            list(addresses)
        );
        let (what, addition) = match wish {
            Wish::Mailbox { .. } => (format!("the addresses {}", list(addresses)), String::new()),
            Wish::Power(power) => (format!("the power {power:?}"), format!(", powers: [{power:?}]")),
            Wish::Member {
                kind: MemberKind::User,
                address,
                right,
            } => (
                format!("{right} for the user {address}"),
                format!(", members: [{address}], rights: [{right}]"),
            ),
            Wish::Member {
                kind: MemberKind::Group,
                address,
                right,
            } => (
                format!("{right} for the group {address}"),
                format!(", groups: [{address}], rights: [{right}]"),
            ),
        };
        let _ = write!(rule, "{addition}");
        format!(
            "no access rule of the ExchangeTenant admits {what} in namespace {namespace:?}; this one would: {{{rule}}}"
        )
    }
}

impl Rule {
    fn has_mailbox(&self, namespace: &str, addresses: &BTreeSet<SmtpAddress>) -> bool {
        self.namespaces.contains(namespace)
            && addresses
                .iter()
                .all(|address| self.addresses.iter().any(|pattern| pattern.matches(address)))
    }

    fn admits(&self, namespace: &str, addresses: &BTreeSet<SmtpAddress>, wish: Wish<'_>) -> bool {
        if !self.has_mailbox(namespace, addresses) {
            return false;
        }
        match wish {
            Wish::Mailbox { earlier } => {
                earlier
                    .iter()
                    .filter(|other| self.has_mailbox(namespace, other))
                    .count()
                    < self.max_mailboxes
            }
            Wish::Power(power) => self.powers.contains(&power),
            Wish::Member { kind, address, right } => {
                let patterns = match kind {
                    MemberKind::User => &self.members,
                    MemberKind::Group => &self.groups,
                };
                self.rights.contains(&right) && patterns.iter().any(|pattern| pattern.matches(address))
            }
        }
    }
}

fn list(addresses: &BTreeSet<SmtpAddress>) -> String {
    let quoted: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(rules: serde_json::Value) -> AccessRules {
        AccessRules::parse(&serde_json::from_value::<Vec<AccessRule>>(rules).unwrap())
    }

    fn addresses(texts: &[&str]) -> BTreeSet<SmtpAddress> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn member(rules: &AccessRules, kind: MemberKind, address: &str, right: Right) -> Result<(), String> {
        let address = address.parse().unwrap();
        rules.admit(
            "team",
            &addresses(&["sales@contoso.com"]),
            Wish::Member {
                kind,
                address: &address,
                right,
            },
        )
    }

    fn two_rules() -> AccessRules {
        rules(json!([
            { "namespaces": { "names": ["team"] }, "addresses": ["sales@contoso.com"],
              "members": ["*@contoso.com"], "rights": ["SendAs"], "maxMailboxes": 1 },
            { "namespaces": { "names": ["team"] }, "addresses": ["*@fabrikam.com"],
              "members": ["*@fabrikam.com"], "groups": ["team@contoso.com"], "rights": ["FullAccess"],
              "powers": ["AllowSignIn"] },
        ]))
    }

    #[test]
    fn no_rule_no_access() {
        let none = AccessRules::default();
        let error = none
            .admit(
                "team",
                &addresses(&["sales@contoso.com"]),
                Wish::Mailbox { earlier: &[] },
            )
            .unwrap_err();
        assert!(
            error.contains("{namespaces: {names: [team]}, addresses: [sales@contoso.com]}"),
            "{error}"
        );
    }

    #[test]
    fn one_rule_alone_must_admit_all_of_it() {
        let rules = two_rules();
        assert!(member(&rules, MemberKind::User, "first@contoso.com", Right::SendAs).is_ok());
        let error = member(&rules, MemberKind::User, "first@contoso.com", Right::FullAccess).unwrap_err();
        assert!(
            error.contains("members: [first@contoso.com], rights: [FullAccess]"),
            "{error}"
        );
        assert!(member(&rules, MemberKind::Group, "team@contoso.com", Right::FullAccess).is_err());
        let both = addresses(&["sales@contoso.com", "sales@fabrikam.com"]);
        assert!(
            rules
                .admit("team", &both, Wish::Mailbox { earlier: &[] })
                .is_err(),
            "each rule admits only one"
        );
        assert!(
            rules
                .admit("team", &both, Wish::Power(Power::AllowSignIn))
                .is_err()
        );
        assert!(
            rules
                .admit(
                    "other",
                    &addresses(&["sales@contoso.com"]),
                    Wish::Mailbox { earlier: &[] }
                )
                .is_err()
        );
    }

    #[test]
    fn a_group_is_never_admitted_as_a_person() {
        assert!(member(&two_rules(), MemberKind::Group, "all@contoso.com", Right::SendAs).is_err());
    }

    #[test]
    fn a_rule_admits_as_many_mailboxes_as_it_says() {
        let rules = two_rules();
        let sales = addresses(&["sales@contoso.com"]);
        let earlier = [sales.clone()];
        let error = rules
            .admit("team", &sales, Wish::Mailbox { earlier: &earlier })
            .unwrap_err();
        assert!(error.contains("1 mailboxes already"), "{error}");
        let elsewhere = [addresses(&["x@fabrikam.com"])];
        assert!(
            rules
                .admit("team", &sales, Wish::Mailbox { earlier: &elsewhere })
                .is_ok()
        );
    }
}
