//! HTTP as the handlers see it: a request already taken apart, and an answer not yet put together.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{CmdletError, Envelope};

/// A request, and its number in the order of arrival.
#[derive(Debug)]
pub struct Http {
    pub number: u64,
    pub method: Method,
    /// Path segments, unescaped.
    pub segments: Vec<String>,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// `scheme://host` as the client called it, for links in answers.
    pub base_url: String,
    /// Requests of the same kind that were unanswered when it arrived, this one included.
    pub in_flight: u32,
}

impl Http {
    pub fn new(number: u64, in_flight: u32, request: Request<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        let host = parts.uri.authority().map(ToString::to_string).or_else(|| {
            parts
                .headers
                .get(http::header::HOST)?
                .to_str()
                .ok()
                .map(str::to_owned)
        });
        let scheme = parts.uri.scheme_str().unwrap_or("http");
        let base_url = format!("{scheme}://{}", host.as_deref().unwrap_or("localhost"));
        let path = parts.uri.path().to_owned();
        let segments = segments(&path);
        let query = query(parts.uri.query().unwrap_or_default());
        Self {
            number,
            method: parts.method,
            segments,
            path,
            query,
            headers: parts.headers,
            body,
            base_url,
            in_flight,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path segments for matching against literals.
    pub fn route(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }
}

pub fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect()
}

pub fn query(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (own(name), own(value)))
        .collect()
}

fn own(text: Cow<'_, str>) -> String {
    text.into_owned()
}

/// The value of a query option such as `$select`.
pub fn option<'q>(query: &'q [(String, String)], name: &str) -> Option<&'q str> {
    query
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// The comma-separated names of `$select`.
pub fn selected(query: &[(String, String)]) -> Option<Vec<String>> {
    let names = option(query, "$select")?;
    Some(
        names
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect(),
    )
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Empty,
    Json(Value),
    Text(String),
    /// What the admin API sends with a 403: a long run of NUL bytes.
    Nul,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

/// How an answer travels.
#[derive(Debug)]
pub enum Delivery {
    Whole(Reply),
    /// Half of the body arrives, then the connection breaks.
    Cut(Reply),
    /// Nothing arrives.
    Lost,
    /// Nothing arrives, and the connection stays open.
    Silent,
}

impl Reply {
    pub fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Json(body),
        }
    }

    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Empty,
        }
    }

    pub fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Text(text.to_owned()),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The 403 of the admin API.
    pub fn denied() -> Self {
        Self {
            status: 403,
            headers: Vec::new(),
            body: Body::Nul,
        }
    }

    /// The admin API's error body around a failure that is no cmdlet's.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(
            status,
            json!({"error": {"code": code(status), "message": message}}),
        )
    }

    /// The admin API's error body for a failed cmdlet.
    pub fn cmdlet_error(error: &CmdletError) -> Self {
        if error.status == 403 {
            return Self::denied();
        }
        let CmdletError {
            status,
            id,
            exception,
            message,
            envelope,
        } = error;
        let stack =
            format!("   at {exception}.Throw()\r\n   at Microsoft.Exchange.Admin.OData.Core.Execute()");
        let summary = match envelope {
            Envelope::Executed => "Error executing cmdlet",
            Envelope::Invalid | Envelope::InvalidWithoutDetails => "Invalid Operation",
        };
        let mut error = json!({
            "code": code(*status),
            "message": summary,
            "innererror": {
                "message": summary,
                "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
                "stacktrace": stack,
                "internalexception": {"message": message, "type": exception, "stacktrace": stack},
            },
        });
        match envelope {
            Envelope::Executed | Envelope::Invalid => {
                let detail = format!("{id}|{exception}|{message}");
                error["details"] = json!([{"code": "Client", "target": "", "message": detail}]);
            }
            Envelope::InvalidWithoutDetails => {}
        }
        let body = json!({
            "error": error,
            "adminapi.warnings@odata.type": "#Collection(String)",
            "@adminapi.warnings": [],
        });
        let short = exception.rsplit('.').next().unwrap_or(exception).to_owned();
        Self::json(*status, body).with("x-exceptiontype", short)
    }

    /// The body's bytes.
    pub fn bytes(&self) -> Bytes {
        match &self.body {
            Body::Empty => Bytes::new(),
            Body::Json(value) => value.to_string().into(),
            Body::Text(text) => text.clone().into(),
            Body::Nul => vec![0; 1024].into(),
        }
    }

    /// The body as it stands inside the answer to a batch.
    pub fn nested_body(&self) -> Value {
        match &self.body {
            Body::Empty => Value::Null,
            Body::Json(value) => value.clone(),
            Body::Text(text) => text.clone().into(),
            Body::Nul => "\0".repeat(64).into(),
        }
    }

    pub fn into_response(self, request_id: Uuid, cut: bool) -> Response<Bytes> {
        let mut bytes = self.bytes();
        if cut {
            bytes.truncate(bytes.len() / 2);
        }
        let mut response = Response::new(bytes);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = match self.body {
            Body::Json(_) => Some("application/json; charset=utf-8"),
            Body::Text(_) => Some("text/plain; charset=utf-8"),
            Body::Nul => Some("text/html"),
            Body::Empty => None,
        };
        let headers = response.headers_mut();
        if let Some(kind) = kind {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        let id = ("request-id", request_id.to_string());
        for (name, value) in self.headers.into_iter().chain([id]) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

fn code(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        _ => "InternalServerError",
    }
}
