//! What a text in HTML says, whatever markup a service or an editor puts around it.

/// What is between these tags says nothing.
const SILENT: [&str; 4] = ["head", "style", "script", "title"];

/// Attributes that lead somewhere.
const LINKS: [&str; 2] = ["href", "src"];

/// The words and the targets of links and pictures, in their order.
pub fn said(markup: &str) -> Vec<String> {
    let mut said = Vec::new();
    let mut rest = markup;
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        words(text, &mut said);
        let Some((tag, after)) = split_tag(tag) else {
            // A lone "<" stands for itself.
            words(tag, &mut said);
            return said;
        };
        said.extend(links(tag));
        rest = after;
    }
    words(rest, &mut said);
    said
}

/// A text without markup, as HTML that says the same.
pub fn of_plain(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '\r' | '\n' => html.push_str("<br>"),
            other => html.push(other),
        }
    }
    html
}

fn words(text: &str, said: &mut Vec<String>) {
    said.extend(decoded(text).split_whitespace().map(str::to_owned));
}

/// What stands between `<` and `>`, and what follows. A comment, and what says nothing, is skipped to its end.
fn split_tag(markup: &str) -> Option<(&str, &str)> {
    if let Some(comment) = markup.strip_prefix("<!--") {
        return Some(("", comment.split_once("-->")?.1));
    }
    let (tag, after) = markup.strip_prefix('<')?.split_once('>')?;
    let name = tag.split(|c: char| c.is_whitespace() || c == '/').next()?;
    let silent = SILENT.iter().find(|silent| name.eq_ignore_ascii_case(silent));
    match silent {
        Some(silent) => Some(("", after_end_of(silent, after))),
        None => Some((tag, after)),
    }
}

fn after_end_of<'a>(name: &str, markup: &'a str) -> &'a str {
    let end = format!("</{name}");
    let found = markup.to_ascii_lowercase().find(&end);
    let rest = found.and_then(|at| markup.get(at..)?.split_once('>'));
    rest.map_or("", |(_, after)| after)
}

/// The targets in a tag.
fn links(tag: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.split_whitespace().next_back().unwrap_or_default();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| *c == '"' || *c == '\'');
        let (value, next) = match quote {
            Some(quote) => {
                let inside = after.get(1..).unwrap_or_default();
                inside.split_once(quote).unwrap_or((inside, ""))
            }
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if LINKS.iter().any(|link| name.eq_ignore_ascii_case(link)) {
            found.push(format!("<{}>", decoded(value).trim()));
        }
        rest = next;
    }
    found
}

/// With entities as the characters for which they stand, decoded once.
pub fn decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        decoded.push_str(rest.get(..start).unwrap_or_default());
        let after = rest.get(start + 1..).unwrap_or_default();
        let found = after
            .split_once(';')
            .and_then(|(name, after)| Some((entity(name)?, after)));
        // A lone ampersand stands for itself.
        let (character, after) = found.unwrap_or(('&', after));
        decoded.push(character);
        rest = after;
    }
    decoded.push_str(rest);
    decoded
}

fn entity(name: &str) -> Option<char> {
    let number = |digits: &str, radix| char::from_u32(u32::from_str_radix(digits, radix).ok()?);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        other => {
            let digits = other.strip_prefix('#')?;
            match digits.strip_prefix(['x', 'X']) {
                Some(hex) => number(hex, 16),
                None => number(digits, 10),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_that_an_editor_adds_says_nothing() {
        let plain = "<p>We are <b>away</b> until <a href=\"https://contoso.com/a?b&amp;c\">Monday</a>.</p>";
        let dressed = "<html>\n<head>\n<meta charset=\"utf-8\">\n<style>p { margin: 0 }</style>\n</head>\n<body>\n\
                       <!-- Outlook --><div dir='ltr' style=\"color: black\"><p class=x>We are <b>away</b>\r\nuntil \
                       <a href='https://contoso.com/a?b&#38;c' target=_blank>Monday</a>.</p></div>\n</body>\n</html>\n";
        assert_eq!(said(dressed), said(plain));
        assert_eq!(
            said(plain)[3..],
            ["until", "<https://contoso.com/a?b&c>", "Monday", "."]
        );
    }

    #[test]
    fn another_word_or_another_target_is_something_else() {
        let one = said("<p>Call <a href=\"tel:1\">us</a></p>");
        assert_ne!(one, said("<p>Call <a href=\"tel:2\">us</a></p>"));
        assert_ne!(one, said("<p>Mail <a href=\"tel:1\">us</a></p>"));
        assert_ne!(one, said("<p>Call us</p>"));
    }

    #[test]
    fn plain_text_is_escaped_and_keeps_its_lines() {
        assert_eq!(of_plain("a < b & c\r\nd"), "a &lt; b &amp; c<br>d");
        assert_eq!(said(&of_plain("a < b & c\r\nd")), ["a", "<", "b", "&", "c", "d"]);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in any::<String>()) {
            let _ = said(&text);
        }

        #[test]
        fn plain_text_says_its_words(text in "[a-z<>&;\"' \r\n]{0,30}") {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            prop_assert_eq!(said(&of_plain(&text)), words);
        }
    }
}
