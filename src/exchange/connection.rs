//! Which tenant, where, and as whom.

use ::http::Uri;
use uuid::Uuid;

use super::credential::Credential;
use crate::mail::TenantGuid;

/// Microsoft's national clouds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// World-wide, GCC included.
    Worldwide,
    GccHigh,
    Dod,
    /// Operated by 21Vianet.
    China,
    /// Closed by Microsoft in October 2021.
    Germany,
}

/// Base URLs without a trailing slash: `https://outlook.office365.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub authority: String,
    pub exchange: String,
    pub graph: String,
    /// For whom tokens for Exchange are asked; with `/.default` it is their scope. The cloud's own, whatever host
    /// the calls go to: a host of its own is no resource that Entra knows.
    pub exchange_audience: String,
    /// The same for Graph.
    pub graph_audience: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a base URL: write https://HOST or http://HOST:PORT, without a path")]
pub struct InvalidEndpoint {
    text: String,
}

impl Endpoints {
    /// The hosts that Connect-ExchangeOnline uses, with the DoD host that Microsoft's Exchange Online Admin API
    /// documents, and the national cloud pages of Microsoft Graph and Entra.
    pub fn for_cloud(cloud: Cloud) -> Self {
        let (authority, exchange, graph) = match cloud {
            Cloud::Worldwide => (
                "https://login.microsoftonline.com",
                "https://outlook.office365.com",
                "https://graph.microsoft.com",
            ),
            Cloud::GccHigh => (
                "https://login.microsoftonline.us",
                "https://outlook.office365.us",
                "https://graph.microsoft.us",
            ),
            Cloud::Dod => (
                "https://login.microsoftonline.us",
                "https://outlook-dod.office365.us",
                "https://dod-graph.microsoft.us",
            ),
            Cloud::China => (
                "https://login.partner.microsoftonline.cn",
                "https://partner.outlook.cn",
                "https://microsoftgraph.chinacloudapi.cn",
            ),
            Cloud::Germany => (
                "https://login.microsoftonline.de",
                "https://outlook.office.de",
                "https://graph.microsoft.de",
            ),
        };
        Self {
            authority: authority.to_owned(),
            exchange: exchange.to_owned(),
            graph: graph.to_owned(),
            exchange_audience: exchange.to_owned(),
            graph_audience: graph.to_owned(),
        }
    }

    /// The base URL that `text` writes: scheme and host only, a trailing slash is dropped.
    pub fn base_url(text: &str) -> Result<String, InvalidEndpoint> {
        let invalid = || InvalidEndpoint {
            text: text.to_owned(),
        };
        let base = text.strip_suffix('/').unwrap_or(text);
        let uri: Uri = base.parse().map_err(|_| invalid())?;
        let plain = matches!(uri.scheme_str(), Some("https" | "http"))
            && uri.path() == "/"
            && uri.query().is_none()
            && uri
                .authority()
                .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
        if plain {
            Ok(base.to_owned())
        } else {
            Err(invalid())
        }
    }
}

/// Everything the gateway needs to know about one tenant. Its secrets show in no output.
#[derive(Clone, Debug)]
pub struct Connection {
    pub tenant: TenantGuid,
    pub endpoints: Endpoints,
    /// The application (client) id of the app registration.
    pub client_id: Uuid,
    /// In the order in which they are tried; at least one.
    pub credentials: Vec<Credential>,
    /// Requests in flight at Exchange at a time; at least one.
    pub max_concurrent: usize,
    /// Cmdlets a minute that change something; at least one. A full minute's worth may go at once.
    pub writes_per_minute: u32,
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn every_cloud_has_base_urls() {
        for cloud in [
            Cloud::Worldwide,
            Cloud::GccHigh,
            Cloud::Dod,
            Cloud::China,
            Cloud::Germany,
        ] {
            let Endpoints {
                authority,
                exchange,
                graph,
                exchange_audience,
                graph_audience,
            } = Endpoints::for_cloud(cloud);
            assert_eq!((&exchange_audience, &graph_audience), (&exchange, &graph));
            for base in [authority, exchange, graph] {
                assert_eq!(Endpoints::base_url(&base), Ok(base));
            }
        }
    }

    #[test]
    fn a_base_url_is_a_scheme_and_a_host() {
        assert_eq!(
            Endpoints::base_url("http://127.0.0.1:8080/").as_deref(),
            Ok("http://127.0.0.1:8080")
        );
        for bad in [
            "",
            "outlook.office365.com",
            "ftp://host",
            "https://",
            "https://host/path",
            "https://host?x=1",
            "https://user@host",
        ] {
            assert!(Endpoints::base_url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_secret_is_not_in_debug_output() {
        let connection = Connection {
            tenant: "11111111-2222-3333-4444-555555555555".parse().unwrap(),
            endpoints: Endpoints::for_cloud(Cloud::Worldwide),
            client_id: Uuid::nil(),
            credentials: vec![Credential::ClientSecret(SecretString::from("planted-secret"))],
            max_concurrent: 4,
            writes_per_minute: 120,
        };
        assert!(!format!("{connection:?}").contains("planted"));
    }
}
