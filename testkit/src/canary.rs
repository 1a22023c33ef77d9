//! Secrets that must not come out, and how they would look if they did.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How each access token of the simulated tenant begins: `{"alg":` in base64.
pub const TOKEN: &str = "eyJhbGciO";

/// `secret` as it is, percent-encoded, and in base64 wherever it stands in what was encoded.
pub fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned(), percent_encoded(secret)];
    for before in 0..3 {
        // Whole groups of four characters that depend on the secret alone.
        let text = format!("{}{secret}", "\0".repeat(before));
        let whole = text.len() / 3 * 3;
        let encoded = STANDARD.encode(&text.as_bytes()[..whole]);
        let own = &encoded[if before == 0 { 0 } else { 4 }..];
        all.extend([own.to_owned(), own.replace('+', "-").replace('/', "_")]);
    }
    all
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The first spelling of `secret` in `text`, with what stands before it.
pub fn found_in(text: &[u8], secret: &str) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    spellings(secret).into_iter().find_map(|spelling| {
        let at = text.find(&spelling)?;
        let before: String = text[..at].chars().rev().take(120).collect();
        Some(format!("{}{spelling}", before.chars().rev().collect::<String>()))
    })
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    let secret = "canary+4f1d/7c0e9b";
    let form = "client_secret=canary%2B4f1d%2F7c0e9b&x=y";
    let basic = |user: &str| STANDARD.encode(format!("{user}:{secret}@"));
    for text in [secret, form, &basic("a"), &basic("ab"), &basic("abc")] {
        assert!(found_in(text.as_bytes(), secret).is_some(), "{text}");
    }
    assert_eq!(found_in(b"canary+4f1d/7c0e9", secret), None);
    assert!(
        STANDARD
            .encode(r#"{"alg":"none","typ":"JWT"}"#)
            .starts_with(TOKEN)
    );
}
