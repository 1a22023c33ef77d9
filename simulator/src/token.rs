//! Access tokens: what each proves, and which the tenant has issued.

use std::collections::HashMap;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::grants::AppGrants;
use crate::wire::Http;

/// The API a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Exchange,
    Graph,
}

impl Resource {
    pub fn of_scope(scope: &str) -> Self {
        if scope.to_ascii_lowercase().contains("graph") {
            Self::Graph
        } else {
            Self::Exchange
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Graph => "graph",
        }
    }
}

/// What a token proves. Roles ride in the token: what was granted later needs a new one.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    pub resource: Resource,
    pub roles: AppGrants,
    expires: Duration,
}

/// The app's credentials and the tokens that were issued.
pub struct Tokens {
    credentials: Credentials,
    lifetime: Duration,
    issued: HashMap<String, Grant>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("issued", &self.issued.len())
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub fn new(secret: String, lifetime_seconds: u32) -> Self {
        Self {
            credentials: Credentials::new(secret),
            lifetime: Duration::from_secs(lifetime_seconds.into()),
            issued: HashMap::new(),
        }
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub fn credentials_mut(&mut self) -> &mut Credentials {
        &mut self.credentials
    }

    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Makes a token good from now on; those that have expired are forgotten.
    pub fn issue(&mut self, token: String, resource: Resource, roles: AppGrants, now: Duration) {
        self.issued.retain(|_, grant| grant.expires > now);
        let grant = Grant {
            resource,
            roles,
            expires: now + self.lifetime,
        };
        self.issued.insert(token, grant);
    }

    /// Every token issued so far stops working.
    pub fn revoke_all(&mut self) {
        self.issued.clear();
    }

    /// What the bearer token of a request proves, if it is one of ours and has not expired.
    pub fn grant(&self, http: &Http, now: Duration) -> Option<Grant> {
        let (kind, token) = http.header("authorization")?.split_once(' ')?;
        let grant = self.issued.get(token.trim())?;
        (kind.eq_ignore_ascii_case("bearer") && grant.expires > now).then_some(*grant)
    }
}
