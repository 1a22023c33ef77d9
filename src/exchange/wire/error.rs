//! What an error answer of the admin API means.
//!
//! The .NET type decides where the service sends one, then the status, and a few well-known sentences only
//! where there is neither: 500 is used for transient faults and permanent conflicts alike.

mod class;
mod reported;
#[cfg(test)]
mod tests;

use self::class::{WriteScope, classify, refused_parameter, short_name};
use self::reported::Reported;
use super::reply::Reply;
use crate::exchange::error::{ErrorClass, ExchangeError, Retry, Stage};
use crate::exchange::text;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: Box<ExchangeError>,
    /// False when the cmdlet surely changed nothing.
    pub perhaps_executed: bool,
}

impl Failure {
    pub fn new(error: ExchangeError, perhaps_executed: bool) -> Self {
        Self {
            error: Box::new(error),
            perhaps_executed,
        }
    }

    /// An attempt that surely changed nothing.
    pub fn without_effect(error: ExchangeError) -> Self {
        Self::new(error, false)
    }

    pub fn from_reply(operation: &str, reply: &Reply) -> Self {
        let reported = Reported::by(reply);
        let class = classify(reply, &reported);
        let parameter = refused_parameter(&reported);
        let perhaps_executed = class.retry() == Retry::Backoff && !surely_refused(reply.status);
        let error = ExchangeError {
            class,
            stage: Stage::Exchange,
            operation: operation.to_owned(),
            exception: reported
                .exception
                .as_deref()
                .map(|name| text::bounded(short_name(name))),
            message: message(reply, class, &reported, parameter.as_deref()),
            parameter,
            status: Some(reply.status),
            request_id: reply.request_id.clone(),
            retry_after: reply.retry_after,
        };
        Self::new(error, perhaps_executed)
    }
}

/// Statuses that the front end gives before any cmdlet runs.
fn surely_refused(status: u16) -> bool {
    matches!(status, 300..=399 | 401 | 403 | 405 | 413 | 429)
}

fn message(reply: &Reply, class: ErrorClass, reported: &Reported, parameter: Option<&str>) -> String {
    if let Some(parameter) = parameter.filter(|_| class.is_denial()) {
        return format!(
            "the app's role may not use {parameter}, or the service does not know it; the service says: {}",
            reported.text
        );
    }
    if let Some(refusal) = WriteScope::named_by(&reported.text) {
        return format!("{}; the service says: {}", refusal.advice(), reported.text);
    }
    let advice = match reply.status {
        401 => {
            "the token is refused: the app has no application role on Office 365 Exchange Online; grant it \
             Exchange.ManageAsApp with admin consent"
        }
        403 if reported.exception.is_none() => {
            "access is refused: the app lacks a directory role (such as Exchange Recipient Administrator) or an \
             Exchange role group, or the role is still propagating, which can take hours"
        }
        300..=399 => "the service redirects to another address, which is not followed",
        _ if reported.text.is_empty() => "the service gave no reason",
        _ => return reported.text.clone(),
    };
    let reason = reply.diagnostics.as_deref().unwrap_or(&reported.text);
    if reason.is_empty() {
        advice.to_owned()
    } else {
        format!("{advice}; the service says: {reason}")
    }
}
