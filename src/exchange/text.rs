//! Text of services, made safe for logs, status and events.

/// Characters of a service's text that are kept.
const LONGEST: usize = 600;

/// `text` on one line without control characters (403 answers are runs of NULs), without anything that looks
/// like an access token, and at most 600 characters long.
pub(super) fn bounded(text: &str) -> String {
    let mut kept = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if kept.len() + word.len() >= LONGEST {
            let room = LONGEST.saturating_sub(kept.len() + 1);
            if !kept.is_empty() {
                kept.push(' ');
            }
            if !holds_token(word) {
                kept.extend(word.chars().take(room));
            }
            kept.push('…');
            break;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(if holds_token(word) { "[token]" } else { word });
    }
    kept
}

/// JSON Web Tokens start with `{"` in base64.
fn holds_token(word: &str) -> bool {
    word.find("eyJ").is_some_and(|at| word.len() - at > 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_dropped_and_lines_joined() {
        assert_eq!(bounded("\0\0\0\0"), "");
        assert_eq!(bounded("one\r\n  two\0three"), "one two three");
    }

    #[test]
    fn a_token_echoed_by_a_service_is_not_kept() {
        let token = |length| format!("eyJ{}", "a".repeat(length));
        assert_eq!(
            bounded(&format!("Bearer={} refused", token(100))),
            "[token] refused"
        );
        assert_eq!(bounded(&format!("bad header: {}", token(900))), "bad header: …");
    }

    #[test]
    fn long_text_is_cut() {
        let cut = bounded(&"word ".repeat(1000));
        assert!(
            cut.chars().count() <= LONGEST + 2 && cut.ends_with('…'),
            "{}",
            cut.len()
        );
        assert!(bounded(&"ü".repeat(5000)).chars().count() <= LONGEST + 1);
    }
}
