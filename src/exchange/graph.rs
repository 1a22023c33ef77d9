//! The account behind a mailbox, in Microsoft Graph.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use bytes::Bytes;
use http::{Method, Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::auth::Token;
use super::error::{ErrorClass, ExchangeError, Stage};
use super::gateway::{
    Attempts, Core, Gateway, STALE_ROLES, THROTTLED_PATIENCE, Verdict, answer_to, not_leading,
};
use super::metrics::Attempt;
use super::text;
use super::trail;
use super::wire::{Effect, Failure, Row, retry_after};
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

const GET_MEMBERS: &str = "Graph GET group members";
/// Pages of a group that are read at most; a page has up to 999 people.
const MOST_PAGES: usize = 20;
const GET_USER: &str = "Graph GET user";
const PATCH_USER: &str = "Graph PATCH user";

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

    /// Everybody in the group, through nested groups too: people only. All pages, or an error: an incomplete list
    /// proves nothing. `Denied` when the app may not read groups (`GroupMember.Read.All` may).
    pub async fn group_members(
        &self,
        lane: Lane,
        group: &ObjectId,
    ) -> Result<BTreeSet<ObjectId>, ExchangeError> {
        let failed =
            |message: &str| ExchangeError::new(ErrorClass::Transient, Stage::Graph, GET_MEMBERS, message);
        let base = format!("{}/v1.0/", self.core.graph_base);
        let mut path = format!("groups/{group}/transitiveMembers?$select=id&$top=999");
        let mut people = BTreeSet::new();
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
                people.extend(person(row).map_err(failed)?);
            }
            match page.get("@odata.nextLink").and_then(Value::as_str) {
                None => return Ok(people),
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
}

/// Requests of ours with a body change something, and may be repeated.
fn effect_of(body: Option<&Value>) -> Effect {
    if body.is_some() {
        Effect::Repeatable
    } else {
        Effect::Read
    }
}

/// The person in a row of a group's members; None for groups, contacts and devices.
fn person(row: &Value) -> Result<Option<ObjectId>, &'static str> {
    let row = Row(row.as_object().ok_or("a member can't be read")?);
    let kind = row
        .optional_text("@odata.type")
        .ok_or("a member does not tell what it is")?;
    if kind != "#microsoft.graph.user" {
        return Ok(None);
    }
    row.optional("id").map(Some).ok_or("a member has no id")
}

impl Core {
    /// One Graph request, repeated where that may help: all of ours are safe to repeat. None when the answer has no
    /// JSON body.
    async fn graph(
        &self,
        lane: Lane,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, ExchangeError> {
        let span = tracing::info_span!(
            "graph_call",
            operation,
            lane = lane.label(),
            client_request_id = tracing::field::Empty,
            request_id = tracing::field::Empty,
            error = tracing::field::Empty,
        );
        self.graph_attempts(lane, operation, method, path, body)
            .instrument(span)
            .await
    }

    async fn graph_attempts(
        &self,
        lane: Lane,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, ExchangeError> {
        let mut attempts = Attempts::new(effect_of(body));
        loop {
            let failure = match self
                .graph_attempt(lane, operation, method.clone(), path, body)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let class = failure.error.class;
            match attempts.judge(failure, self.clock.instant()) {
                Verdict::Final(error) => {
                    Span::current().record("error", error.class.label());
                    trail::note(&error);
                    error.log();
                    return Err(error);
                }
                Verdict::Again(wait) => {
                    self.metrics.retried(class);
                    self.pause(wait).await;
                }
            }
        }
    }

    async fn graph_attempt(
        &self,
        lane: Lane,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, Failure> {
        // The semaphore is never closed; an error here could only mean that it was.
        let _slot = self.graph_slots.acquire().await;
        let token = self.graph_tokens.get().await.map_err(Failure::without_effect)?;
        // After the token: fetching one takes a while, in which Graph may ask to be left alone.
        self.wait_for_graph(operation).await?;
        let id = Uuid::new_v4();
        let request = self
            .graph_request(method, path, body, &token, id)
            .map_err(|error| {
                let message = text::bounded(&error.to_string());
                Failure::without_effect(ExchangeError::new(
                    ErrorClass::Invalid,
                    Stage::Graph,
                    operation,
                    message,
                ))
            })?;
        let writing = body.map(|_| self.leadership.begin_write());
        let refused = match &writing {
            Some(begun) => begun.is_none(),
            None => self.leadership.has_stood_down(),
        };
        if refused {
            return Err(not_leading(Stage::Graph, operation));
        }
        Span::current().record("client_request_id", tracing::field::display(id));
        let started = self.clock.instant();
        self.metrics.requested(Stage::Graph);
        let answer = answer_to(&self.http, request).await;
        if let Some(writing) = writing.flatten() {
            writing.ended();
        }
        let result = match answer {
            Ok(response) if response.status().is_success() => {
                Ok(serde_json::from_slice(response.body()).ok())
            }
            Ok(response) => Err(self.graph_error(operation, &response)),
            Err(lost) => {
                let message = text::bounded(&lost.message);
                let error = ExchangeError::new(ErrorClass::Transient, Stage::Graph, operation, message);
                let request_id = Some(id.to_string());
                Err(Failure::new(ExchangeError { request_id, ..error }, lost.sent))
            }
        };
        let now = self.clock.instant();
        let error = result.as_ref().err().map(|failure| &failure.error);
        self.metrics.answered(&Attempt {
            cmdlet: operation,
            effect: effect_of(body),
            lane,
            error: error.map(|error| error.class),
            took: now.duration_since(started),
        });
        if let Some(error) = error {
            if let Some(id) = &error.request_id {
                Span::current().record("request_id", id.as_str());
            }
            let (class, text) = (error.class.label(), error.traced());
            tracing::debug!(class, error = text, "an attempt failed");
            let lacks_a_role = error.status == Some(403) && now.duration_since(token.obtained) > STALE_ROLES;
            if error.status == Some(401) || lacks_a_role {
                self.graph_tokens.reject(&token).await;
            }
        }
        let mut hold = self.graph_hold.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => hold.accepted(now),
            Some(error) if error.class == ErrorClass::Throttled || error.retry_after.is_some() => {
                hold.refused(now, error.retry_after);
            }
            Some(_) => {}
        }
        drop(hold);
        result
    }

    /// Returns when Graph may be called, or says how long it may not when that is too long to wait for.
    async fn wait_for_graph(&self, operation: &'static str) -> Result<(), Failure> {
        loop {
            let now = self.clock.instant();
            let left = self
                .graph_hold
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remaining(now);
            match left {
                None => return Ok(()),
                Some(left) if left <= THROTTLED_PATIENCE => {
                    self.clock.sleep(left).await;
                    self.metrics.waited(super::metrics::Wait::Throttled, left);
                }
                Some(left) => {
                    let message = "the tenant is throttled";
                    let mut error =
                        ExchangeError::new(ErrorClass::Throttled, Stage::Graph, operation, message);
                    error.retry_after = Some(left);
                    return Err(Failure::without_effect(error));
                }
            }
        }
    }

    fn graph_request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: &Token,
        id: Uuid,
    ) -> Result<Request<Bytes>, http::Error> {
        let mut authorization =
            http::HeaderValue::from_str(&format!("Bearer {}", token.secret.expose_secret()))?;
        authorization.set_sensitive(true);
        Request::builder()
            .method(method)
            .uri(format!("{}/v1.0/{path}", self.graph_base))
            .header(http::header::AUTHORIZATION, authorization)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json")
            .header("client-request-id", id.to_string())
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())
    }

    fn graph_error(&self, operation: &str, response: &Response<Bytes>) -> Failure {
        let status = response.status().as_u16();
        let permission = match operation {
            PATCH_USER => "User.EnableDisableAccount.All",
            GET_MEMBERS => "GroupMember.Read.All",
            _ => "User.Read.All",
        };
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let json: Option<Value> = serde_json::from_slice(response.body()).ok();
        let told = |pointer: &str| {
            json.as_ref()
                .and_then(|json| json.pointer(pointer))
                .and_then(Value::as_str)
                .map(text::bounded)
        };
        let code = told("/error/code");
        let class = match (status, code.as_deref()) {
            (429, _) => ErrorClass::Throttled,
            (401 | 403, _) => ErrorClass::Denied,
            (404, Some("Request_ResourceNotFound")) => ErrorClass::NotFound,
            (400, Some(_)) => ErrorClass::Invalid,
            // A 404 without Graph's own code included: it proves nothing.
            _ => ErrorClass::Transient,
        };
        let reason = told("/error/message").unwrap_or_else(|| "the service gave no reason".to_owned());
        let message = if matches!(status, 401 | 403) {
            format!(
                "{}; the app needs {permission} on Microsoft Graph, with admin consent",
                reason.trim_end_matches('.')
            )
        } else {
            reason
        };
        let error = ExchangeError {
            exception: code,
            status: Some(status),
            request_id: header("request-id")
                .map(text::bounded)
                .or_else(|| told("/error/innerError/request-id")),
            retry_after: header("retry-after").and_then(|value| retry_after(value, self.clock.now())),
            ..ExchangeError::new(class, Stage::Graph, operation, message)
        };
        Failure::new(error, class == ErrorClass::Transient)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::exchange::testing::{Call, Reaction, Tenant};

    fn id() -> ObjectId {
        "66666666-7777-8888-9999-aaaaaaaaaaaa".parse().unwrap()
    }

    fn answering(reaction: Reaction) -> Tenant {
        Tenant::new(move |call: &Call| {
            if call.name == "token" {
                Tenant::default_reaction(call)
            } else {
                reaction.clone()
            }
        })
    }

    fn once(first: Reaction) -> Tenant {
        Tenant::new(move |call: &Call| match (call.name.as_str(), call.earlier) {
            ("token", _) => Tenant::default_reaction(call),
            (_, 0) => first.clone(),
            _ => Reaction::text(204, ""),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_is_read_with_the_properties_that_only_come_when_asked_for() {
        let tenant = answering(Reaction::status(
            200,
            &json!({"id": id().to_string(), "userPrincipalName": "sales@contoso.com", "accountEnabled": false, "onPremisesSyncEnabled": null}),
        ));
        let user = tenant.gateway().directory_user(Lane::Edit, &id()).await.unwrap();
        assert_eq!(
            user,
            DirectoryUser {
                id: id(),
                user_principal_name: "sales@contoso.com".to_owned(),
                account_enabled: false,
                on_premises_sync_enabled: false
            }
        );
        let url = &tenant.requests()[0].calls[0].url;
        assert!(
            url.starts_with("https://graph.microsoft.com/v1.0/users/66666666-"),
            "{url}"
        );
        assert!(
            url.contains("$select=id,userPrincipalName,accountEnabled"),
            "{url}"
        );
        assert!(
            tenant.token_requests()[0].body.contains("graph.microsoft.com"),
            "a token of its own"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_does_not_tell_whether_it_is_enabled_is_not_a_disabled_one() {
        let tenant = answering(Reaction::status(
            200,
            &json!({"id": id().to_string(), "accountEnabled": null}),
        ));
        let error = tenant
            .gateway()
            .directory_user(Lane::Edit, &id())
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.message.contains("User.Read.All"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn another_account_than_the_one_asked_for_is_an_error() {
        let other = json!({"id": "11111111-7777-8888-9999-aaaaaaaaaaaa", "accountEnabled": true});
        let tenant = answering(Reaction::status(200, &other));
        let error = tenant
            .gateway()
            .directory_user(Lane::Edit, &id())
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
    }

    #[tokio::test(start_paused = true)]
    async fn sign_in_is_blocked_with_one_patch() {
        let tenant = answering(Reaction::text(204, ""));
        tenant
            .gateway()
            .set_account_enabled(Lane::Edit, &id(), false)
            .await
            .unwrap();
        let requests = tenant.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].names(), [format!("PATCH /v1.0/users/{}", id())]);
        assert_eq!(requests[0].body, r#"{"accountEnabled":false}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_told_apart_by_graphs_codes() {
        for (status, code, class) in [
            (404, "Request_ResourceNotFound", ErrorClass::NotFound),
            (404, "UnknownError", ErrorClass::Transient),
            (403, "Authorization_RequestDenied", ErrorClass::Denied),
            (400, "Request_BadRequest", ErrorClass::Invalid),
            (409, "Conflict", ErrorClass::Transient),
        ] {
            let body =
                json!({"error": {"code": code, "message": "why", "innerError": {"request-id": "req-2"}}});
            let tenant = answering(Reaction::status(status, &body));
            let error = tenant
                .gateway()
                .set_account_enabled(Lane::Edit, &id(), false)
                .await
                .unwrap_err();
            assert_eq!(
                (error.class, error.stage),
                (class, Stage::Graph),
                "{status} {code}"
            );
            assert_eq!(error.exception.as_deref(), Some(code));
            assert!(error.message.starts_with("why"), "{}", error.message);
            let advised = error.message.contains("User.EnableDisableAccount.All");
            assert_eq!(advised, class == ErrorClass::Denied, "{}", error.message);
            assert_eq!(error.request_id.as_deref(), Some("req-2"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_made_good_and_a_refused_token_renewed() {
        for first in [
            Reaction::Lost,
            Reaction::Refused,
            Reaction::text(503, ""),
            Reaction::text(401, ""),
        ] {
            let tenant = once(first.clone());
            tenant
                .gateway()
                .set_account_enabled(Lane::Edit, &id(), false)
                .await
                .unwrap();
            assert_eq!(tenant.requests().len(), 2, "{first:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_all_of_graph_and_not_exchange() {
        let tenant = Tenant::new(|call: &Call| {
            if call.name.ends_with(&id().to_string()) && call.earlier == 0 {
                Reaction::text(429, "").with("retry-after", "40")
            } else if call.name.starts_with("PATCH") {
                Reaction::text(204, "")
            } else {
                Tenant::default_reaction(call)
            }
        });
        let gateway = tenant.gateway();
        let mailbox = "11111111-7777-8888-9999-aaaaaaaaaaaa".parse().unwrap();
        let ids = [id(), "76666666-7777-8888-9999-aaaaaaaaaaaa".parse().unwrap()];
        let later = |wait, id| {
            let gateway = gateway.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(wait)).await;
                gateway.set_account_enabled(Lane::Edit, id, false).await.unwrap();
            }
        };
        let exchange = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            gateway.full_access(Lane::Edit, mailbox, None).await.unwrap();
        };
        tokio::join!(later(0, &ids[0]), later(5, &ids[1]), exchange);
        let at = |name: &str| -> Vec<u64> {
            let requests = tenant.requests();
            requests
                .iter()
                .filter(|seen| seen.names()[0].starts_with(name))
                .map(|seen| seen.at.as_secs())
                .collect()
        };
        let patches = at("PATCH");
        assert_eq!(patches.len(), 3, "{patches:?}");
        assert!(patches[1..].iter().all(|at| *at >= 40), "{patches:?}");
        assert!(at("Get-")[0] < 10);
    }
}
