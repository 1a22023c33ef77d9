//! The account behind a mailbox, in Microsoft Graph.

pub(super) mod call;
pub(super) mod silence;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use self::call::{GET_GROUP, GET_MEMBERS, GET_USER, PATCH_USER, SIGN_OUT};
use super::error::{ErrorClass, ExchangeError, Stage};
use super::gateway::Gateway;
use super::wire::Row;
use crate::lane::Lane;
use crate::mail::ObjectId;

/// A user as the directory shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    pub id: ObjectId,
    pub user_principal_name: String,
    pub account_enabled: bool,
    /// True when the account is mastered on premises: its sign-in can only be changed there.
    pub on_premises_sync_enabled: bool,
}

/// Who is in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// People only, through nested groups too.
    People {
        people: BTreeSet<ObjectId>,
        /// A group in it shows neither members nor whether it hides them: there may be more people.
        may_be_more: bool,
    },
    /// The group, or one in it, hides its members: what Graph shows of them may be nobody.
    Hidden,
}

/// Nested groups that are asked for their members one by one at most; with more of them nobody knows.
const MOST_NESTED: usize = 20;

/// Pages of a group that are read at most; a page has up to 999 people.
const MOST_PAGES: usize = 20;

impl Gateway {
    /// The account; `Denied` when the app may not see whether it is enabled (`User.Read.All` may,
    /// `User.ReadBasic.All` may not).
    pub async fn directory_user(&self, lane: Lane, id: &ObjectId) -> Result<DirectoryUser, ExchangeError> {
        let path = format!("users/{id}?$select=id,userPrincipalName,accountEnabled,onPremisesSyncEnabled");
        let body = self.core.graph(lane, GET_USER, Method::GET, &path, None).await?;
        let failed = |class, message: &str| ExchangeError::new(class, Stage::Graph, GET_USER, message);
        let Some(Value::Object(user)) = body else {
            return Err(failed(
                ErrorClass::Transient,
                "the service answered 200 without a user",
            ));
        };
        let row = Row(&user);
        if row.optional::<ObjectId>("id") != Some(*id) {
            return Err(failed(
                ErrorClass::Transient,
                "the service answered another user than the one asked for",
            ));
        }
        let Some(account_enabled) = row.optional_flag("accountEnabled") else {
            return Err(failed(
                ErrorClass::Denied,
                "the app may not see whether the account is enabled: grant it User.Read.All with admin consent",
            ));
        };
        Ok(DirectoryUser {
            id: *id,
            user_principal_name: row
                .optional_text("userPrincipalName")
                .unwrap_or_default()
                .to_owned(),
            account_enabled,
            on_premises_sync_enabled: row.optional_flag("onPremisesSyncEnabled").unwrap_or(false),
        })
    }

    /// Everybody in the group, through nested groups too. All pages, or an error: an incomplete list proves nothing.
    /// `Denied` when the app may not read groups (`GroupMember.Read.All` may).
    ///
    /// A group whose `visibility` is `HiddenMembership` shows its members only to apps with `Member.Read.Hidden`, and
    /// others may get an empty list (Microsoft's page "List group transitive members"). Tenants may leave `visibility`
    /// out, so an empty list is no proof of an empty group, and a nested group of which none is shown is asked for its
    /// own members.
    pub async fn group_members(&self, lane: Lane, group: &ObjectId) -> Result<Membership, ExchangeError> {
        let path = format!("groups/{group}?$select=id,visibility");
        let shown = self.core.graph(lane, GET_GROUP, Method::GET, &path, None).await?;
        if shown.as_ref().is_some_and(hides_members) {
            return Ok(Membership::Hidden);
        }
        let failed =
            |message: &str| ExchangeError::new(ErrorClass::Transient, Stage::Graph, GET_MEMBERS, message);
        let base = format!("{}/v1.0/", self.core.graph_base);
        let mut path = format!("groups/{group}/transitiveMembers?$select=id,visibility&$top=999");
        let mut people = BTreeSet::new();
        let mut nested = BTreeSet::new();
        for _ in 0..MOST_PAGES {
            let body = self
                .core
                .graph(lane, GET_MEMBERS, Method::GET, &path, None)
                .await?;
            let Some(Value::Object(page)) = body else {
                return Err(failed("the service answered 200 without a page"));
            };
            let Some(Value::Array(rows)) = page.get("value") else {
                return Err(failed("the service answered a page without a list"));
            };
            for row in rows {
                if hides_members(row) {
                    return Ok(Membership::Hidden);
                }
                people.extend(person(row).map_err(failed)?);
                nested.extend(unexplained(row));
            }
            match page.get("@odata.nextLink").and_then(Value::as_str) {
                None => {
                    let may_be_more = self.shows_nobody(lane, &nested).await?;
                    return Ok(Membership::People { people, may_be_more });
                }
                Some(next) => match next.strip_prefix(&base) {
                    Some(rest) => rest.clone_into(&mut path),
                    None => {
                        return Err(failed(
                            "its next page is on another host, which does not get the token",
                        ));
                    }
                },
            }
        }
        Err(failed("the group has too many pages"))
    }

    /// Whether one of these groups shows no member at all.
    async fn shows_nobody(&self, lane: Lane, nested: &BTreeSet<ObjectId>) -> Result<bool, ExchangeError> {
        if nested.len() > MOST_NESTED {
            return Ok(true);
        }
        for group in nested {
            let path = format!("groups/{group}/members?$select=id&$top=1");
            let page = self
                .core
                .graph(lane, GET_MEMBERS, Method::GET, &path, None)
                .await?;
            let rows = page.as_ref().and_then(|page| page.get("value"));
            if rows.and_then(Value::as_array).is_none_or(Vec::is_empty) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Allows or blocks sign-in.
    pub async fn set_account_enabled(
        &self,
        lane: Lane,
        id: &ObjectId,
        enabled: bool,
    ) -> Result<(), ExchangeError> {
        let body = json!({ "accountEnabled": enabled });
        self.core
            .graph(
                lane,
                PATCH_USER,
                Method::PATCH,
                &format!("users/{id}"),
                Some(&body),
            )
            .await?;
        Ok(())
    }

    /// Revokes the sessions of an account: whoever is signed in must sign in again, within minutes. `Denied` without
    /// `User.RevokeSessions.All`.
    pub async fn revoke_sessions(&self, lane: Lane, id: &ObjectId) -> Result<(), ExchangeError> {
        let path = format!("users/{id}/revokeSignInSessions");
        self.core
            .graph(lane, SIGN_OUT, Method::POST, &path, Some(&json!({})))
            .await?;
        Ok(())
    }
}

fn hides_members(group: &Value) -> bool {
    let visibility = group.get("visibility").and_then(Value::as_str);
    visibility.is_some_and(|visibility| visibility.eq_ignore_ascii_case("HiddenMembership"))
}

/// The group in a row of a group's members that does not say whether it hides its own.
fn unexplained(row: &Value) -> Option<ObjectId> {
    let says = |name: &str| row.get(name).and_then(Value::as_str);
    let is_group = says("@odata.type") == Some("#microsoft.graph.group");
    if !is_group || says("visibility").is_some() {
        return None;
    }
    says("id")?.parse().ok()
}

/// The person in a row of a group's members; None for groups, contacts and devices.
fn person(row: &Value) -> Result<Option<ObjectId>, &'static str> {
    let row = Row(row.as_object().ok_or("a member can't be read")?);
    let kind = row
        .optional_text("@odata.type")
        .ok_or("a member does not say what it is")?;
    if kind != "#microsoft.graph.user" {
        return Ok(None);
    }
    row.optional("id").map(Some).ok_or("a member has no id")
}
