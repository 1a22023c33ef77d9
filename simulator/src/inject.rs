//! Answers made up by faults.

use crate::error::CmdletError;
use crate::faults::Fault;
use crate::wire::Reply;

/// The answer that takes the place of the tenant's own; `None` for faults that leave it as it is.
pub fn reply(fault: &Fault) -> Option<Reply> {
    match fault {
        Fault::Throttled { retry_after_seconds } => {
            let reply = Reply::error(429, "Too many requests. Please wait and try again.");
            Some(match retry_after_seconds {
                Some(seconds) => reply.with("retry-after", seconds.to_string()),
                None => reply,
            })
        }
        Fault::TenantConcurrency => Some(Reply::text(
            429,
            "You have reached the maximum number of concurrent requests per tenant. Please wait and try again",
        )),
        Fault::ServerError {
            status,
            exception,
            message,
        } => {
            let text = message
                .as_deref()
                .unwrap_or("The server is too busy. This issue may be transient.");
            Some(match exception {
                Some(exception) => Reply::cmdlet_error(&CmdletError::new(*status, exception, text)),
                None => Reply::text(*status, text),
            })
        }
        Fault::ErrorInBody { exception, message } => {
            let reply = Reply::cmdlet_error(&CmdletError::new(500, exception, message.as_str()));
            Some(Reply { status: 200, ..reply })
        }
        Fault::Redirect { location } => Some(Reply::empty(302).with("location", location.as_str())),
        Fault::Denied => Some(Reply::denied()),
        Fault::Unauthorized => {
            Some(Reply::empty(401).with("www-authenticate", "Bearer error=\"invalid_token\""))
        }
        Fault::LostRequest | Fault::LostAnswer | Fault::CutAnswer | Fault::Forgotten | Fault::Silent => None,
    }
}
