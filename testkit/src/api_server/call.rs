//! One request, taken apart: which verb on which resource, and how it asked for it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};

/// What a request does, in RBAC's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    /// Discovery, health, version.
    Other,
}

/// A request as handlers and the log see it.
#[derive(Clone, Debug)]
pub struct Call {
    pub verb: Verb,
    pub method: Method,
    pub path: String,
    pub group: String,
    pub version: String,
    pub plural: String,
    /// Empty for cluster-scoped objects and for collections of all namespaces.
    pub namespace: String,
    /// Empty for collections.
    pub name: String,
    /// `status`, `finalize` or empty.
    pub subresource: String,
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    pub accept: String,
    pub user_agent: String,
    pub body: Bytes,
}

impl Call {
    pub fn parse(parts: &Parts, body: Bytes) -> Option<Self> {
        let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query: BTreeMap<String, String> = query.into_owned().collect();
        let segments: Vec<&str> = parts
            .uri
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let header = |name: &str| header(&parts.headers, name);
        let mut call = Self {
            verb: Verb::Other,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            group: String::new(),
            version: String::new(),
            plural: String::new(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
            query,
            content_type: header("content-type"),
            accept: header("accept"),
            user_agent: header("user-agent"),
            body,
        };
        let rest = match segments.as_slice() {
            ["api", version, rest @ ..] => {
                call.version = String::from(*version);
                rest
            }
            ["apis", group, version, rest @ ..] => {
                call.group = String::from(*group);
                call.version = String::from(*version);
                rest
            }
            _ => return Some(call),
        };
        call.locate(rest);
        call.verb = call.verb_of_method();
        Some(call)
    }

    fn locate(&mut self, rest: &[&str]) {
        let rest = match rest {
            ["namespaces", name, subresource @ ("status" | "finalize")] => {
                self.subresource = String::from(*subresource);
                &["namespaces", name]
            }
            ["namespaces", namespace, below @ ..] if !below.is_empty() => {
                self.namespace = String::from(*namespace);
                below
            }
            _ => rest,
        };
        let mut parts = rest.iter().map(|part| (*part).to_owned());
        self.plural = parts.next().unwrap_or_default();
        self.name = parts.next().unwrap_or_default();
        if let Some(subresource) = parts.next() {
            self.subresource = subresource;
        }
    }

    fn verb_of_method(&self) -> Verb {
        if self.plural.is_empty() {
            return Verb::Other;
        }
        match (&self.method, self.name.is_empty()) {
            (&Method::GET, true) if self.is_set("watch") => Verb::Watch,
            (&Method::GET, true) => Verb::List,
            (&Method::GET, false) => Verb::Get,
            (&Method::POST, _) => Verb::Create,
            (&Method::PUT, _) => Verb::Update,
            (&Method::PATCH, _) => Verb::Patch,
            (&Method::DELETE, true) => Verb::DeleteCollection,
            (&Method::DELETE, false) => Verb::Delete,
            _ => Verb::Other,
        }
    }

    /// Whether this request may change anything.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, Verb::Get | Verb::List | Verb::Watch | Verb::Other)
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.query.get(name).map(String::as_str), Some("true" | "1"))
    }

    /// Only metadata is wanted in the answer.
    pub fn wants_metadata_only(&self) -> bool {
        self.accept.contains("as=PartialObjectMetadata")
    }

    /// Who writes: the field manager that was named, or else the program.
    pub fn manager(&self) -> String {
        if let Some(manager) = self.parameter("fieldManager") {
            return manager.to_owned();
        }
        match self.user_agent.split('/').next() {
            Some(program) if !program.is_empty() => program.to_owned(),
            _ => "unknown".to_owned(),
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}
