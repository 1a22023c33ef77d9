use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use rcgen::{
    CertificateParams, KeyPair as GeneratedKey, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
    date_time_ymd,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::*;

fn rsa() -> GeneratedKey {
    GeneratedKey::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

/// A certificate of `key` that ends with January 2027.
fn certificate_of(key: &GeneratedKey) -> rcgen::Certificate {
    let mut params = CertificateParams::new(vec!["shared-mailbox-operator".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 31);
    params.self_signed(key).unwrap()
}

fn parse(certificate: &str, key: &str) -> Result<ClientCertificate, UnusableCertificate> {
    ClientCertificate::parse(certificate.as_bytes(), key.as_bytes())
}

#[test]
fn it_signs_what_microsoft_documents_and_the_certificate_verifies_it() {
    let (key, client) = (rsa(), Uuid::from_u128(7));
    let generated = certificate_of(&key);
    let parsed = parse(&generated.pem(), &key.serialize_pem()).unwrap();
    let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap();
    let endpoint = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/oauth2/v2.0/token";
    let assertion = parsed.assertion(client, endpoint, now).unwrap();
    let (signed, signature) = assertion.expose_secret().rsplit_once('.').unwrap();
    let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.public_key_raw());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    let part = |nth: usize| -> Value {
        let part = signed.split('.').nth(nth).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claims) = (part(0), part(1));
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, generated.der()));
    assert_eq!(
        header,
        json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint })
    );
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(client), &json!(client)));
    assert_eq!(claims["aud"], endpoint);
    let seconds = |claim: &str| claims[claim].as_i64().unwrap() - now.as_second();
    assert_eq!((seconds("nbf"), seconds("iat"), seconds("exp")), (-60, 0, 540));
    assert_eq!(parsed.not_after(), "2027-01-31T00:00:00Z".parse().unwrap());
    let next = parsed.assertion(client, endpoint, now).unwrap();
    assert_ne!(
        assertion.expose_secret(),
        next.expose_secret(),
        "none is good twice"
    );
}

#[test]
fn one_text_may_hold_both_and_a_chain_in_any_order() {
    let key = rsa();
    let (own, other) = (certificate_of(&key).pem(), certificate_of(&rsa()).pem());
    for text in [
        format!("{own}{}", key.serialize_pem()),
        format!("{}{own}{other}", key.serialize_pem()),
        format!("{other}{own}{}", key.serialize_pem()),
        format!(
            "Bag Attributes\n  friendlyName: app\n{own}{}",
            key.serialize_pem()
        ),
    ] {
        assert!(parse(&text, &text).is_ok());
    }
}

#[test]
fn what_cannot_be_used_is_told_apart() {
    use UnusableCertificate::{AnotherKey, NoCertificate, NoKey, NotRsa, Unreadable};
    let key = rsa();
    let certificate = certificate_of(&key).pem();
    let curve = GeneratedKey::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (certificate, key, why) in [
        ("", &*key.serialize_pem(), NoCertificate),
        ("planted", &*key.serialize_pem(), NoCertificate),
        (no_certificate, &*key.serialize_pem(), Unreadable),
        (&certificate, "", NoKey),
        (&certificate, encrypted, NoKey),
        (&certificate, &*rsa().serialize_pem(), AnotherKey),
        (&certificate_of(&curve).pem(), &*curve.serialize_pem(), NotRsa),
    ] {
        assert_eq!(parse(certificate, key).err(), Some(why));
    }
}

#[test]
fn debug_output_shows_nothing_of_the_key() {
    let key = rsa();
    let parsed = parse(&certificate_of(&key).pem(), &key.serialize_pem()).unwrap();
    let shown = format!("{parsed:?}");
    assert!(
        shown.contains(parsed.thumbprint()) && shown.len() < 200,
        "{shown}"
    );
}
