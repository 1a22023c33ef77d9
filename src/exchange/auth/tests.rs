use futures::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;
use crate::exchange::testing::{Call, Reaction, SECRET, TENANT, Tenant};

fn source(tenant: &Tenant) -> TokenSource {
    let base = "https://outlook.office365.com";
    let connection = Arc::new(Tenant::connection());
    TokenSource::new(
        connection,
        base,
        Tenant::clock(),
        tenant.service(),
        GatewayMetrics::default(),
    )
}

fn refusing(status: u16, body: &'static str) -> Tenant {
    Tenant::new(move |_: &Call| Reaction::text(status, body))
}

#[tokio::test(start_paused = true)]
async fn many_callers_make_one_request() {
    let tenant = Tenant::new(Tenant::default_reaction);
    let source = source(&tenant);
    let tokens = join_all((0..20).map(|_| source.get())).await;
    assert!(tokens.iter().all(|token| token.as_ref().unwrap().number == 1));
    let requests = tenant.token_requests();
    assert_eq!(requests.len(), 1);
    let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
    assert_eq!(requests[0].calls[0].url, url);
    assert_eq!(
        requests[0].body,
        format!(
            "client_id=00000000-0000-0000-0000-000000000007&\
             scope=https%3A%2F%2Foutlook.office365.com%2F.default&\
             grant_type=client_credentials&client_secret={SECRET}"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn the_token_names_its_tenant_and_what_it_permits() {
    let source = source(&Tenant::new(Tenant::default_reaction));
    assert_eq!(source.get().await.unwrap().tenant, Some(TENANT.parse().unwrap()));
    assert!(claims_of("opaque").is_none() && claims_of("a.!!.c").is_none());
    let roles =
        |payload: &str| claims_of(&format!("a.{}.c", URL_SAFE_NO_PAD.encode(payload))).map(|c| c.roles);
    assert_eq!(
        roles(r#"{"tid": "x", "roles": ["User.Read.All"]}"#).unwrap(),
        ["User.Read.All"]
    );
    assert_eq!(roles(r#"{"tid": "x"}"#), Some(Vec::new()), "no permission at all");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_five_minutes_before_its_end() {
    let tenant = Tenant::new(Tenant::default_reaction);
    let source = source(&tenant);
    source.get().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3599 - 302)).await;
    source.get().await.unwrap();
    assert_eq!(tenant.token_requests().len(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(source.get().await.unwrap().number, 2);
    assert_eq!(tenant.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_entra_is_down_the_old_token_is_used_to_its_end() {
    let tenant = Tenant::new(|call: &Call| match call.earlier {
        0 => Tenant::default_reaction(call),
        _ => Reaction::text(503, ""),
    });
    let source = source(&tenant);
    source.get().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3400)).await;
    assert_eq!(source.get().await.unwrap().number, 1);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(source.get().await.unwrap_err().class, ErrorClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_renewed_once_however_many_reject_it() {
    let tenant = Tenant::new(Tenant::default_reaction);
    let source = source(&tenant);
    let first = source.get().await.unwrap();
    source.reject(&first).await;
    let second = source.get().await.unwrap();
    source.reject(&first).await;
    assert_eq!(source.get().await.unwrap().number, second.number);
    assert_eq!(tenant.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_entras_code_and_answers_everybody_for_a_while() {
    let tenant = refusing(
        401,
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2 Timestamp: 3","error_codes":[7000215],"trace_id":"trace-1"}"#,
    );
    let source = source(&tenant);
    let errors = join_all((0..5).map(|_| source.get())).await;
    let error = errors.into_iter().next().unwrap().unwrap_err();
    assert_eq!((error.class, error.stage), (ErrorClass::Denied, Stage::Token));
    assert_eq!(error.exception.as_deref(), Some("AADSTS7000215"));
    assert_eq!(error.message, "AADSTS7000215: Invalid client secret provided.");
    assert_eq!(error.request_id.as_deref(), Some("trace-1"));
    assert_eq!(tenant.token_requests().len(), 1);
    tokio::time::sleep(REFUSAL_HOLDS).await;
    source.get().await.unwrap_err();
    assert_eq!(tenant.token_requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_distinguished() {
    for (status, body, class) in [
        (
            400,
            r#"{"error":"invalid_request","error_description":"AADSTS90002: Tenant not found."}"#,
            ErrorClass::Invalid,
        ),
        (
            400,
            r#"{"error":"unauthorized_client","error_codes":[700016]}"#,
            ErrorClass::Denied,
        ),
        (
            400,
            r#"{"error":"temporarily_unavailable"}"#,
            ErrorClass::Transient,
        ),
        (400, "<html>a proxy</html>", ErrorClass::Transient),
        (503, "", ErrorClass::Transient),
        (200, "{}", ErrorClass::Transient),
        (429, "", ErrorClass::Throttled),
        (302, "", ErrorClass::Transient),
    ] {
        let error = source(&refusing(status, body)).get().await.unwrap_err();
        assert_eq!(error.class, class, "{status} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn neither_secret_nor_token_shows_in_debug_output_or_errors() {
    let source = source(&Tenant::new(Tenant::default_reaction));
    let token = source.get().await.unwrap();
    let debug = format!("{source:?} {token:?}");
    assert!(
        !debug.contains(SECRET) && !debug.contains(token.secret.expose_secret()),
        "{debug}"
    );

    let echo = Tenant::new(|_: &Call| {
        let reported = format!("AADSTS1: you sent {SECRET}");
        Reaction::status(400, &json!({"error": "x", "error_description": reported}))
    });
    let error = self::source(&echo).get().await.unwrap_err();
    assert_eq!(error.message, "AADSTS1: you sent [secret]");
}

#[test]
fn form_values_are_percent_encoded() {
    assert_eq!(
        form(&[("client_secret", "a b&c=~é")]),
        "client_secret=a%20b%26c%3D~%C3%A9"
    );
}
