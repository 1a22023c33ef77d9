//! Where a tenant's services are: the cloud's own hosts, or overrides that the operator was started with.

use crate::api::{CloudName, EndpointOverrides};
use crate::exchange::{Cloud, Endpoints};

/// The endpoints of a tenant; a message for people when an override is not allowed.
pub fn resolve(
    cloud: CloudName,
    overrides: Option<&EndpointOverrides>,
    allowed: &[String],
) -> Result<Endpoints, String> {
    let mut endpoints = Endpoints::for_cloud(match cloud {
        CloudName::Worldwide => Cloud::Worldwide,
        CloudName::GccHigh => Cloud::GccHigh,
        CloudName::Dod => Cloud::Dod,
        CloudName::China => Cloud::China,
        CloudName::Germany => Cloud::Germany,
    });
    let Some(EndpointOverrides {
        authority,
        exchange,
        graph,
    }) = overrides
    else {
        return Ok(endpoints);
    };
    for (field, wanted, place) in [
        ("authority", authority, &mut endpoints.authority),
        ("exchange", exchange, &mut endpoints.exchange),
        ("graph", graph, &mut endpoints.graph),
    ] {
        if let Some(url) = wanted {
            *place = admit(url, allowed).map_err(|why| format!("spec.endpoints.{field}: {why}"))?;
        }
    }
    Ok(endpoints)
}

fn admit(url: &str, allowed: &[String]) -> Result<String, String> {
    let base = Endpoints::base_url(url).map_err(|error| error.to_string())?;
    let uri: http::Uri = base.parse().map_err(|_| format!("{url:?} is no URL"))?;
    let host = uri.host().unwrap_or_default();
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let listed = allowed
        .iter()
        .any(|entry| entry == authority || (entry == host && uri.port().is_none()));
    if !listed {
        return Err(format!(
            "{authority} is not among the hosts that the operator was started with \
             (--allow-endpoint-overrides={authority})"
        ));
    }
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let lower = host.to_ascii_lowercase();
    let in_cluster = [".svc", ".svc.cluster.local"]
        .iter()
        .any(|suffix| lower.ends_with(suffix));
    if uri.scheme_str() != Some("https") && !loopback && !in_cluster {
        return Err(format!(
            "{url} is plain http: only loopback and *.svc names may be"
        ));
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str, allowed: &[&str]) -> Result<Endpoints, String> {
        let overrides = EndpointOverrides {
            authority: None,
            exchange: Some(url.to_owned()),
            graph: None,
        };
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        resolve(CloudName::Worldwide, Some(&overrides), &allowed)
    }

    #[test]
    fn without_overrides_the_cloud_decides() {
        let endpoints = resolve(CloudName::GccHigh, None, &[]).unwrap();
        assert_eq!(endpoints.exchange, "https://outlook.office365.us");
    }

    #[test]
    fn only_hosts_that_the_operator_was_started_with_are_taken() {
        let taken = at("http://127.0.0.1:8800", &["127.0.0.1:8800"]).unwrap();
        assert_eq!(taken.exchange, "http://127.0.0.1:8800");
        assert_eq!(
            taken.authority, "https://login.microsoftonline.com",
            "the others stay"
        );
        assert_eq!(
            taken.exchange_audience, "https://outlook.office365.com",
            "tokens are for the service, wherever the calls go"
        );
        for (url, allowed) in [
            ("https://evil.example", &[][..]),
            ("https://evil.example", &["good.example"]),
            ("https://good.example:444", &["good.example"]),
            ("http://127.0.0.1:8801", &["127.0.0.1:8800"]),
            ("https://good.example@evil.example", &["good.example"]),
        ] {
            let error = at(url, allowed).unwrap_err();
            assert!(error.starts_with("spec.endpoints.exchange: "), "{error}");
        }
    }

    #[test]
    fn plain_http_is_for_loopback_and_services_of_the_cluster() {
        assert!(at("http://simulator.mail.svc:80", &["simulator.mail.svc:80"]).is_ok());
        assert!(at("http://localhost:1", &["localhost:1"]).is_ok());
        let error = at("http://mail.example:80", &["mail.example:80"]).unwrap_err();
        assert!(error.contains("plain http"), "{error}");
    }
}
