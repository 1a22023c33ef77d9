//! What members and recipients are judged by.

use std::collections::{BTreeMap, BTreeSet};

use crate::controller::state::directory::{Expansion, Resolution};
use crate::mail::{ObjectId, SmtpAddress};
use crate::plan::People;
use crate::rules::{MailboxRules, MemberKind};

/// What the directory says about everybody that permissions name.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub members: BTreeMap<(MemberKind, SmtpAddress), Resolution>,
    /// By the address of the group as written.
    pub groups: BTreeMap<SmtpAddress, Expansion>,
    /// How people are called who are in one of these groups, or were, where anybody knows.
    pub names: BTreeMap<ObjectId, String>,
}

impl Directory {
    /// Groups in which there may be more people than those that are shown.
    pub fn perhaps_more(&self) -> BTreeSet<SmtpAddress> {
        let groups = self.groups.iter();
        let unsure = groups.filter(|(_, group)| match group {
            Expansion::People {
                people: _,
                may_be_more,
            } => *may_be_more,
            Expansion::TooLarge(_) | Expansion::Unread(_) | Expansion::Hidden => false,
        });
        unsure.map(|(address, _)| address.clone()).collect()
    }
}

/// What a member is judged by.
pub(super) struct Bench<'a> {
    /// The mailbox itself, once it is known: who has one of its declared addresses may be somebody else.
    pub mailbox: Option<ObjectId>,
    /// As they stand to the addresses that the mailbox has or is to have.
    pub rules: &'a MailboxRules<'a>,
    pub departed: &'a People,
    pub directory: &'a Directory,
}
