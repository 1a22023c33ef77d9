//! Access rules of an ExchangeTenant: a request is allowed when one rule alone admits all of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::api::{AccessRule, Power};
use crate::mail::{AddressPattern, Right, SmtpAddress};
use crate::words::counted;

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
    custom_attributes: Vec<i32>,
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
        earlier: &'a [Arc<BTreeSet<SmtpAddress>>],
    },
    Power(Power),
    /// The custom attribute of this number.
    CustomAttribute(u8),
    /// Somebody whom a setting names, such as where mail is forwarded to. None: of what kind they are is not known yet.
    Recipient {
        kind: Option<MemberKind>,
        address: &'a SmtpAddress,
    },
    Member {
        kind: MemberKind,
        address: &'a SmtpAddress,
        right: Right,
    },
}

/// The rules as they stand to one mailbox: which of them reach it is found out once, however many members it has.
#[derive(Clone, Debug)]
pub struct MailboxRules<'a> {
    namespace: &'a str,
    addresses: &'a BTreeSet<SmtpAddress>,
    reaching: Vec<&'a Rule>,
}

/// So many addresses of the mailbox are named when the mailbox is denied, and when a member is: there is one such text for
/// each member, and a status has to hold them all.
const NAMED: usize = 5;
const NAMED_FOR_MEMBER: usize = 2;

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
                custom_attributes,
                max_mailboxes,
            } = rule;
            Rule {
                namespaces: namespaces.names.iter().cloned().collect(),
                addresses: patterns(addresses),
                members: patterns(members),
                groups: patterns(groups),
                rights: rights.clone(),
                powers: powers.clone(),
                custom_attributes: custom_attributes.clone(),
                max_mailboxes: usize::try_from(*max_mailboxes).unwrap_or(0),
            }
        });
        Self {
            rules: rules.collect(),
        }
    }

    /// The rules for the mailbox that has these addresses, or is to have them.
    pub fn of<'a>(&'a self, namespace: &'a str, addresses: &'a BTreeSet<SmtpAddress>) -> MailboxRules<'a> {
        let reaching = self.rules.iter();
        MailboxRules {
            namespace,
            addresses,
            reaching: reaching
                .filter(|rule| rule.has_mailbox(namespace, addresses))
                .collect(),
        }
    }
}

impl MailboxRules<'_> {
    /// Whether any rule names the namespace and all of the addresses.
    pub fn reach(&self) -> bool {
        !self.reaching.is_empty()
    }

    pub fn addresses(&self) -> &BTreeSet<SmtpAddress> {
        self.addresses
    }

    /// Whether one rule admits all of it.
    pub fn admits(&self, wish: Wish<'_>) -> bool {
        self.reaching.iter().any(|rule| rule.admits(self.namespace, wish))
    }

    /// The same; otherwise why not, with the rule that would.
    pub fn admit(&self, wish: Wish<'_>) -> Result<(), String> {
        if self.admits(wish) {
            return Ok(());
        }
        Err(self.denial(wish))
    }

    fn denial(&self, wish: Wish<'_>) -> String {
        let Self {
            namespace,
            addresses,
            reaching,
        } = self;
        if let (Wish::Mailbox { .. }, Some(full)) = (wish, reaching.first()) {
            let limit = full.max_mailboxes;
            return format!(
                "namespace {namespace:?} has its {} already: raise maxMailboxes of its access rule \
                 or delete a SharedMailbox",
                counted(limit, "mailbox", "mailboxes")
            );
        }
        let named = match wish {
            Wish::Mailbox { .. } | Wish::Power(_) | Wish::CustomAttribute(_) => NAMED,
            Wish::Member { .. } | Wish::Recipient { .. } => NAMED_FOR_MEMBER,
        };
        let addresses = list(addresses, named);
        let mut rule = format!("namespaces: {{names: [{namespace}]}}, addresses: [{addresses}]");
        let (what, addition) = match wish {
            Wish::Mailbox { .. } => (format!("the addresses {addresses}"), String::new()),
            Wish::Power(power) => (format!("the power {power:?}"), format!(", powers: [{power:?}]")),
            Wish::CustomAttribute(number) => (
                format!("the custom attribute {number}"),
                format!(", customAttributes: [{number}]"),
            ),
            Wish::Recipient {
                kind: Some(MemberKind::Group),
                address,
            } => (format!("the group {address}"), format!(", groups: [{address}]")),
            Wish::Recipient { kind: _, address } => (address.to_string(), format!(", members: [{address}]")),
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
        // Whoever is named by the wrong word would still get nothing by that rule.
        let other = match wish {
            Wish::Member {
                kind: MemberKind::Group,
                ..
            } => ", if that is a group; a person is named as `user`, and under `members`",
            Wish::Member {
                kind: MemberKind::User,
                ..
            } => ", if that is a person; a group is named as `group`, and under `groups`",
            Wish::Mailbox { .. } | Wish::Power(_) | Wish::CustomAttribute(_) | Wish::Recipient { .. } => "",
        };
        format!(
            "no access rule of the ExchangeTenant admits {what} in namespace {namespace:?}; this one would{other}: {{{rule}}}"
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

    /// Of a mailbox that it reaches.
    fn admits(&self, namespace: &str, wish: Wish<'_>) -> bool {
        match wish {
            Wish::Mailbox { earlier } => {
                let counted = earlier.iter().filter(|other| self.has_mailbox(namespace, other));
                counted.take(self.max_mailboxes).count() < self.max_mailboxes
            }
            Wish::Power(power) => self.powers.contains(&power),
            Wish::CustomAttribute(number) => self.custom_attributes.contains(&number.into()),
            Wish::Recipient { kind, address } => {
                let matches =
                    |patterns: &[AddressPattern]| patterns.iter().any(|pattern| pattern.matches(address));
                match kind {
                    Some(MemberKind::User) => matches(&self.members),
                    Some(MemberKind::Group) => matches(&self.groups),
                    None => matches(&self.members) || matches(&self.groups),
                }
            }
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

/// The first of them, and how many more there are.
fn list(addresses: &BTreeSet<SmtpAddress>, named: usize) -> String {
    let first: Vec<&str> = addresses.iter().take(named).map(SmtpAddress::as_str).collect();
    match addresses.len().saturating_sub(first.len()) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
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
        let sales = addresses(&["sales@contoso.com"]);
        rules.of("team", &sales).admit(Wish::Member {
            kind,
            address: &address,
            right,
        })
    }

    fn mailbox(
        rules: &AccessRules,
        namespace: &str,
        claimed: &[&str],
        earlier: &[Arc<BTreeSet<SmtpAddress>>],
    ) -> Result<(), String> {
        rules
            .of(namespace, &addresses(claimed))
            .admit(Wish::Mailbox { earlier })
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
        let error = mailbox(&none, "team", &["sales@contoso.com"], &[]).unwrap_err();
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
        assert!(error.contains("a group is named as `group`"), "{error}");
        let error = member(&rules, MemberKind::Group, "team@contoso.com", Right::FullAccess).unwrap_err();
        assert!(error.contains("a person is named as `user`"), "{error}");
        let both = ["sales@contoso.com", "sales@fabrikam.com"];
        assert!(
            mailbox(&rules, "team", &both, &[]).is_err(),
            "each rule admits only one"
        );
        let both = addresses(&both);
        assert!(!rules.of("team", &both).admits(Wish::Power(Power::AllowSignIn)));
        assert!(mailbox(&rules, "other", &["sales@contoso.com"], &[]).is_err());
    }

    #[test]
    fn a_denial_names_few_addresses_however_many_there_are() {
        let many = (0..300).map(|number| format!("{number:a>60}@{}.com", "b".repeat(60)));
        let many: BTreeSet<SmtpAddress> = many.map(|text| text.parse().unwrap()).collect();
        let rules = two_rules();
        let rules = rules.of("team", &many);
        let error = rules.admit(Wish::Mailbox { earlier: &[] }).unwrap_err();
        assert!(error.contains("and 295 more") && error.len() < 2000, "{error}");
        let first = "first@contoso.com".parse().unwrap();
        let wish = Wish::Member {
            kind: MemberKind::User,
            address: &first,
            right: Right::SendAs,
        };
        let error = rules.admit(wish).unwrap_err();
        assert!(error.contains("and 298 more") && error.len() < 1000, "{error}");
    }

    #[test]
    fn a_group_is_never_admitted_as_a_person() {
        assert!(member(&two_rules(), MemberKind::Group, "all@contoso.com", Right::SendAs).is_err());
    }

    #[test]
    fn a_rule_admits_as_many_mailboxes_as_it_says() {
        let rules = two_rules();
        let sales = addresses(&["sales@contoso.com"]);
        let earlier = [Arc::new(sales.clone())];
        let error = mailbox(&rules, "team", &["sales@contoso.com"], &earlier).unwrap_err();
        assert!(error.contains("its 1 mailbox already"), "{error}");
        let elsewhere = [Arc::new(addresses(&["x@fabrikam.com"]))];
        assert!(mailbox(&rules, "team", &["sales@contoso.com"], &elsewhere).is_ok());
    }
}
