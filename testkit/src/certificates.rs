//! Certificates for apps, made on the spot.

use std::sync::LazyLock;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};

/// Making a key takes seconds in a debug build.
static KEYS: LazyLock<[KeyPair; 2]> = LazyLock::new(|| {
    [(); 2].map(|()| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key"))
});

/// A certificate with its private key.
pub struct AppCertificate {
    pub pem: String,
    pub key_pem: String,
    /// The public half, as the app registration gets it.
    pub der: Vec<u8>,
}

impl AppCertificate {
    /// A new one, always of the same key, that ends on the day of `ends`.
    pub fn ending(ends: &str) -> Self {
        Self::of(&KEYS[0], ends)
    }

    /// A new one of another key.
    pub fn of_another_key(ends: &str) -> Self {
        Self::of(&KEYS[1], ends)
    }

    fn of(key: &KeyPair, ends: &str) -> Self {
        let mut params = CertificateParams::new(vec!["shared-mailbox-operator".to_owned()]).expect("a name");
        let ends: Timestamp = format!("{ends}T00:00:00Z").parse().expect("a day");
        let day = ends.to_zoned(jiff::tz::TimeZone::UTC).date();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(
            day.year().into(),
            u8::try_from(day.month()).expect("a month"),
            u8::try_from(day.day()).expect("a day"),
        );
        let certificate = params.self_signed(key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }
}
