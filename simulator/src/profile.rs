//! Named tenants: which position of which switch goes with which.

use std::fmt;
use std::str::FromStr;

use crate::quirks::{
    AccessQuirks, BadWord, GroupQuirks, Linked, ListQuirks, NextLink, OrganizationRows, Quirks, QuotaOrder,
    RefusalQuirks, UnknownParameter, UserFilter,
};
use crate::random::Random;
use crate::seed::{GroupKind, Seed, SeedGroup};

/// A tenant as there are many. Without one, a tenant behaves as is likeliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As an old tenant answered in 2020.
    Y2020,
    /// As the newest captures of 2026 show it.
    Y2026,
    /// An app in a role group of its own, with a write scope and without what it could do without.
    NarrowRole,
    /// People and groups come from on premises, and had other SIDs before.
    Hybrid,
    /// People sign in with accounts of another forest.
    LinkedAccounts,
}

/// An address that the scope of [`Profile::NarrowRole`] does not reach.
pub const OUT_OF_SCOPE: &str = "out-of-scope@contoso.com";
/// The role group that [`Profile::Y2026`] has in its directory.
const ROLE_GROUP: &str = "discovery@contoso.com";
const ROLE_GROUP_NAME: &str = "Discovery Management";

impl Profile {
    pub const ALL: [Self; 5] = [
        Self::Y2020,
        Self::Y2026,
        Self::NarrowRole,
        Self::Hybrid,
        Self::LinkedAccounts,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Y2020 => "2020",
            Self::Y2026 => "2026",
            Self::NarrowRole => "narrow-role",
            Self::Hybrid => "hybrid",
            Self::LinkedAccounts => "linked-accounts",
        }
    }

    /// A profile, or none, by a number.
    pub fn drawn(seed: u64) -> Option<Self> {
        let drawn = Random::seeded(!seed).below(Self::ALL.len() as u64 + 1);
        let at = usize::try_from(drawn).ok()?;
        Self::ALL.get(at).copied()
    }

    /// Makes `seed` a tenant of this kind. Of its own quirks those stay that no profile sets.
    pub fn apply(self, seed: &mut Seed) {
        let Quirks {
            flags_null_until_set,
            access,
            refusals,
            lists,
            groups,
            ..
        } = self.quirks();
        seed.quirks.flags_null_until_set |= flags_null_until_set;
        seed.quirks.access = access;
        seed.quirks.refusals = refusals;
        seed.quirks.lists = lists;
        seed.quirks.groups = groups;
        match self {
            Self::Y2020 => seed.keeps_given_names = true,
            Self::Y2026 => {
                seed.send_as_rows_lack_inheritance = true;
                let role = SeedGroup::new(ROLE_GROUP, ROLE_GROUP_NAME, GroupKind::Role, &[]);
                seed.groups.push(role);
            }
            Self::Hybrid => {
                for user in &mut seed.users {
                    user.dir_synced |= user.licensed;
                }
                for group in &mut seed.groups {
                    group.dir_synced = true;
                }
            }
            Self::NarrowRole | Self::LinkedAccounts => {}
        }
    }

    pub fn quirks(self) -> Quirks {
        let likeliest = Quirks::default();
        match self {
            Self::Y2020 => Quirks {
                access: AccessQuirks {
                    adding_answers_the_row: false,
                    ..AccessQuirks::default()
                },
                refusals: RefusalQuirks {
                    unknown_parameter: UnknownParameter::NotBound,
                    bad_word: BadWord::Named,
                    quota_order: QuotaOrder::WarningBelowSend,
                    ..RefusalQuirks::default()
                },
                groups: GroupQuirks {
                    show_visibility: false,
                    ..GroupQuirks::default()
                },
                ..likeliest
            },
            Self::Y2026 => Quirks {
                flags_null_until_set: true,
                access: AccessQuirks {
                    organization_rows: OrganizationRows::OnTheMailbox,
                    ..AccessQuirks::default()
                },
                lists: ListQuirks {
                    next_link: NextLink::InitialDomain,
                    largest_page: 3,
                    groups_have_no_id_filter: true,
                    ..ListQuirks::default()
                },
                ..likeliest
            },
            Self::NarrowRole => Quirks {
                refusals: RefusalQuirks {
                    not_in_role: [
                        "Get-MailboxPermission/IncludeUnresolvedPermissions",
                        "Get-MailboxPermission/IncludeSoftDeletedUserPermissions",
                    ]
                    .map(str::to_owned)
                    .into(),
                    out_of_scope: [OUT_OF_SCOPE.to_owned()].into(),
                    ..RefusalQuirks::default()
                },
                lists: ListQuirks {
                    most_conditions: 3,
                    ..ListQuirks::default()
                },
                ..likeliest
            },
            Self::Hybrid => Quirks {
                access: AccessQuirks {
                    former_sids: true,
                    user_filter: UserFilter::EverySid,
                    warns_of_former_sids: true,
                    ..AccessQuirks::default()
                },
                refusals: RefusalQuirks {
                    synced: true,
                    ..RefusalQuirks::default()
                },
                lists: ListQuirks {
                    group_rows_lack_ids: true,
                    ..ListQuirks::default()
                },
                ..likeliest
            },
            Self::LinkedAccounts => Quirks {
                access: AccessQuirks {
                    linked: Linked::Found,
                    ..AccessQuirks::default()
                },
                ..likeliest
            },
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                format!("there is no profile {text:?}; there are {known}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_profile_is_known_by_its_name_and_none_is_the_likeliest_tenant() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
            let mut seed = Seed::contoso();
            profile.apply(&mut seed);
            assert_ne!(seed, Seed::contoso(), "{profile}");
        }
        for profile in Profile::ALL.map(Some).into_iter().chain([None]) {
            let is_drawn = (0..100).any(|seed| Profile::drawn(seed) == profile);
            assert!(is_drawn, "{profile:?}");
        }
        assert!("2021".parse::<Profile>().unwrap_err().contains("narrow-role"));
    }
}
