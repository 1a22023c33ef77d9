//! How the operator proves which app it is: workload identity, certificate, client secret, and what is told of each.

use std::path::Path;

use super::edits::{keep_secret, set_secret};
use super::kit::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared_mailbox_operator::api::ExchangeTenant;
use simulator::{Fault, FaultRule, Federation, Seed, Surface};
use testkit::{AppCertificate, START, World, condition, tenant};

const SUBJECT: &str = "system:serviceaccount:shared-mailbox-system:shared-mailbox-operator";

/// Contoso with the operator's clock: what is signed holds the time.
async fn without_operator() -> World {
    without_operator_at(START).await
}

/// Where Entra's clock begins at this time.
async fn without_operator_at(start: &str) -> World {
    let seed = Seed {
        start: Some(start.parse().unwrap()),
        ..Seed::contoso()
    };
    World::without_operator(seed).await
}

/// Starts the operator with this certificate in its Secret, which the app registration knows, and this ExchangeTenant.
async fn start_with(world: &mut World, certificate: &AppCertificate, tenant: &Value) {
    world
        .tenant
        .set_certificates(std::slice::from_ref(&certificate.der));
    keep_certificate(world, certificate).await;
    world.apply(tenant).await;
    world.start_operator();
}

/// The ExchangeTenant with these credentials beside the client id, and nothing else.
fn with_credentials(credentials: &Value) -> Value {
    let mut tenant = tenant();
    let all = credentials.as_object().unwrap().clone();
    let of_spec = tenant["spec"]["credentials"].as_object_mut().unwrap();
    of_spec.remove("clientSecretRef");
    of_spec.extend(all);
    tenant
}

async fn keep_certificate(world: &World, certificate: &AppCertificate) {
    let data = json!({ "tls.crt": certificate.pem, "tls.key": certificate.key_pem });
    keep_secret(world, "exchange-certificate", "kubernetes.io/tls", data).await;
}

/// The credential in use, as the status shows it.
fn in_use(object: &ExchangeTenant) -> Value {
    json!(object.status.as_ref().unwrap().credential)
}

fn certificate_only() -> Value {
    with_credentials(&json!({ "certificateSecretRef": { "name": "exchange-certificate" } }))
}

fn certificate_and_secret() -> Value {
    with_credentials(&json!({
        "certificateSecretRef": { "name": "exchange-certificate" },
        "clientSecretRef": { "name": "exchange-credentials" }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_enough_and_shows_when_it_ends() {
    let mut world = without_operator().await;
    let certificate = AppCertificate::ending("2028-05-01");
    start_with(&mut world, &certificate, &certificate_only()).await;
    let object = world.wait_tenant("True", "Connected").await;
    let shown = json!({ "kind": "Certificate", "notAfter": "2028-05-01T00:00:00Z" });
    assert_eq!(in_use(&object), shown);
    assert_eq!(condition(&object, "CredentialExpiring"), None);
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let key = certificate.key_pem.lines().nth(1).unwrap();
    assert!(!world.dump().await.contains(key));
}

#[tokio::test(start_paused = true)]
async fn certificate_and_key_may_lie_in_one_text() {
    let mut world = without_operator().await;
    let certificate = AppCertificate::ending("2028-05-01");
    world
        .tenant
        .set_certificates(std::slice::from_ref(&certificate.der));
    let text = format!("{}{}", certificate.key_pem, certificate.pem);
    keep_secret(
        &world,
        "exchange-certificate",
        "Opaque",
        json!({ "app.pem": text }),
    )
    .await;
    let reference = json!({ "certificateSecretRef": { "name": "exchange-certificate", "key": "app.pem" } });
    world.apply(&with_credentials(&reference)).await;
    world.start_operator();
    world.wait_tenant("True", "Connected").await;
}

/// The whole of a renewal: nothing that the operator does fails meanwhile.
#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_without_a_refused_call_while_another_credential_works() {
    let mut world = without_operator().await;
    let [old, new] = ["2026-12-10", "2028-05-01"].map(AppCertificate::ending);
    world.apply(&sales(json!({}))).await;
    start_with(&mut world, &old, &certificate_and_secret()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let object = world.wait_tenant("True", "Connected").await;
    let told = condition(&object, "CredentialExpiring").unwrap();
    says(&told.message, &["the certificate ends on 2026-12-10"]);
    let before = world.wait_mailbox("sales", "True", "UpToDate").await;

    // The new one is in the Secret before the app registration knows it.
    keep_certificate(&world, &new).await;
    world.sleep(3 * 3600).await;
    let object = world.wait_tenant("True", "Connected").await;
    assert_eq!(in_use(&object)["kind"], "ClientSecret");
    let told = condition(&object, "CredentialRefused").unwrap();
    says(
        &told.message,
        &[
            "certificate: ",
            "AADSTS700027",
            "the client secret is used instead",
        ],
    );
    assert_eq!(condition(&object, "CredentialExpiring"), None);
    let events = events_about(&world, "default").await;
    let warnings = events
        .iter()
        .filter(|event| event.starts_with("CredentialRefused"));
    assert_eq!(warnings.count(), 1, "{events:?}");

    world.tenant.set_certificates(std::slice::from_ref(&new.der));
    world.sleep(15 * 60).await;
    let object = world.wait_tenant("True", "Connected").await;
    assert_eq!(in_use(&object)["kind"], "Certificate");
    assert_eq!(condition(&object, "CredentialRefused"), None);
    let after = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(before.status, after.status);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_service_account_is_enough_and_is_read_anew_each_time() {
    let mut world = without_operator().await;
    world.tenant.set_federation(Some(federation(SUBJECT)));
    let folder = std::env::temp_dir().join(format!("federation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("azure-identity-token");
    project(&file, "2026-11-22T10:00:00Z");
    world.federated_token_file = Some(file.clone());
    world
        .apply(&with_credentials(&json!({ "workloadIdentity": {} })))
        .await;
    world.start_operator();
    let object = world.wait_tenant("True", "Connected").await;
    assert_eq!(in_use(&object), json!({ "kind": "WorkloadIdentity" }));
    world.sleep(40 * 60).await;
    // As Kubernetes does it, long before the old one ends.
    project(&file, "2026-11-22T12:00:00Z");
    world.sleep(80 * 60).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    // Nothing is projected any more.
    std::fs::remove_file(&file).unwrap();
    world.tenant.revoke_tokens();
    let object = world.wait_tenant("False", "CredentialsRefused").await;
    says(
        &stalled(&object, "CredentialsRefused"),
        &["azure-identity-token", "can't be read"],
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

fn federation(subject: &str) -> Federation {
    Federation {
        issuer: "https://issuer.contoso.com".to_owned(),
        subject: subject.to_owned(),
        audience: "api://AzureADTokenExchange".to_owned(),
    }
}

/// A token as Kubernetes projects it, good until `ends`.
fn project(file: &Path, ends: &str) {
    let ends: jiff::Timestamp = ends.parse().unwrap();
    let claims = json!({
        "iss": "https://issuer.contoso.com", "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"],
        "exp": ends.as_second(),
    });
    let token = [
        json!({ "alg": "RS256" }).to_string(),
        claims.to_string(),
        "signature".to_owned(),
    ]
    .map(|part| URL_SAFE_NO_PAD.encode(part))
    .join(".");
    std::fs::write(file, token).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_cannot_be_used_says_which_and_why() {
    let certificate = AppCertificate::ending("2028-05-01");
    let another = AppCertificate::of_another_key("2028-05-01");
    let good = json!({ "tls.crt": certificate.pem, "tls.key": certificate.key_pem });
    for (data, known, reason, parts) in [
        (
            good.clone(),
            &another,
            "CertificateUnknown",
            ["upload its public half", "AADSTS700027"],
        ),
        (
            json!({ "tls.crt": certificate.pem, "tls.key": another.key_pem }),
            &certificate,
            "CertificateUnusable",
            [
                "shared-mailbox-system/exchange-certificate",
                "not the certificate's",
            ],
        ),
        (
            json!({ "tls.crt": certificate.pem, "tls.key": "planted" }),
            &certificate,
            "CertificateUnusable",
            ["shared-mailbox-system/exchange-certificate", "no private key"],
        ),
    ] {
        let mut world = without_operator().await;
        world.tenant.set_certificates(std::slice::from_ref(&known.der));
        keep_secret(&world, "exchange-certificate", "kubernetes.io/tls", data).await;
        world.apply(&certificate_only()).await;
        world.start_operator();
        let object = world.wait_tenant("False", reason).await;
        says(&stalled(&object, reason), &parts);
        world.apply(&sales(json!({}))).await;
        sales_is_refused(&world, "TenantNotReady", &parts).await;
    }
}

#[tokio::test(start_paused = true)]
async fn workload_identity_says_what_is_missing() {
    for (mounted, registered, reason, parts) in [
        (
            false,
            SUBJECT,
            "WorkloadIdentityNotMounted",
            ["workloadIdentity.enabled=true", "chart"],
        ),
        (
            true,
            "system:serviceaccount:default:other",
            "FederationUnknown",
            ["issuer, subject", "AADSTS700213"],
        ),
    ] {
        let mut world = without_operator().await;
        world.tenant.set_federation(Some(federation(registered)));
        let file = std::env::temp_dir().join(format!("token-{}-{mounted}", std::process::id()));
        project(&file, "2026-11-22T12:00:00Z");
        world.federated_token_file = mounted.then(|| file.clone());
        world
            .apply(&with_credentials(&json!({ "workloadIdentity": {} })))
            .await;
        world.start_operator();
        let object = world.wait_tenant("False", reason).await;
        says(&stalled(&object, reason), &parts);
        std::fs::remove_file(&file).unwrap();
    }
}

/// Entra's words hold the time.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_is_reported_once() {
    let mut world = without_operator_at("2026-11-22T21:00:00Z").await;
    let certificate = AppCertificate::ending("2028-05-01");
    world.apply(&sales(json!({}))).await;
    start_with(&mut world, &certificate, &certificate_only()).await;
    let object = world.wait_tenant("False", "ClockSkew").await;
    says(
        &stalled(&object, "ClockSkew"),
        &["the clock of the operator's node"],
    );
    world.sleep(5).await;
    world.server.forget_requests();
    world.sleep(3600).await;
    let writes = (world.kubernetes_writes(), world.tenant_status_writes());
    assert_eq!(writes, (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_entra_refuses_no_credential() {
    let mut world = without_operator().await;
    let certificate = AppCertificate::ending("2028-05-01");
    start_with(&mut world, &certificate, &certificate_only()).await;
    world.wait_tenant("True", "Connected").await;
    let busy = Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    };
    world.tenant.add_fault(FaultRule::always(busy).at(Surface::Token));
    world.sleep(58 * 60).await;
    let object = world.wait_tenant("True", "Connected").await;
    assert_eq!(condition(&object, "CredentialRefused"), None);
    assert_eq!(in_use(&object)["kind"], "Certificate");
}

#[tokio::test(start_paused = true)]
async fn every_credential_that_fails_is_named() {
    let mut world = without_operator().await;
    keep_certificate(&world, &AppCertificate::ending("2028-05-01")).await;
    set_secret(&world, json!({ "clientSecret": "hunter2" })).await;
    world.apply(&certificate_and_secret()).await;
    world.start_operator();
    let object = world.wait_tenant("False", "CertificateUnknown").await;
    says(
        &stalled(&object, "CertificateUnknown"),
        &["certificate: AADSTS700027", "client secret: AADSTS7000215"],
    );
    assert!(!world.dump().await.contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_ended_is_told_and_the_metric_shows_the_first_end() {
    let mut world = without_operator().await;
    let certificate = AppCertificate::ending("2026-12-10");
    start_with(&mut world, &certificate, &certificate_only()).await;
    world.wait_tenant("True", "Connected").await;
    let ends: jiff::Timestamp = "2026-12-10T00:00:00Z".parse().unwrap();
    let line = format!(
        "sharedmailbox_credential_expiry_timestamp_seconds{{tenant=\"default\"}} {}",
        ends.as_second()
    );
    assert!(world.metrics().contains(&line));
    world.sleep(19 * 24 * 3600).await;
    let object = world.wait_tenant("False", "CertificateUnknown").await;
    says(&stalled(&object, "CertificateUnknown"), &["has ended"]);
    let told = condition(&object, "CredentialExpiring").unwrap();
    says(&told.message, &["the certificate ended on 2026-12-10"]);
}

#[tokio::test(start_paused = true)]
async fn the_api_server_refuses_a_tenant_without_any_credential() {
    let world = without_operator().await;
    let error = world
        .try_apply(&with_credentials(&json!({})))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("needs at least one of workloadIdentity"),
        "{error}"
    );
}
