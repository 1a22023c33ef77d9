//! The HTML in which Exchange keeps a mail tip.

use serde_json::Value;

use crate::quirks::{EmptyMailTip, Entities, LineEnds, MailTipForm};

/// Most characters that are displayed (page of Set-Mailbox).
pub const MOST: usize = 175;

/// The characters that a sender sees: those outside of tags.
pub fn displayed(text: &str) -> usize {
    let mut inside = false;
    text.chars()
        .filter(|c| match c {
            '<' => {
                inside = true;
                false
            }
            '>' if inside => {
                inside = false;
                false
            }
            _ => !inside,
        })
        .count()
}

/// A mail tip as Get-Mailbox shows it.
pub fn shown(text: &str, form: MailTipForm) -> String {
    let end = match form.line_ends {
        LineEnds::CrLf => "\r\n",
        LineEnds::Lf => "\n",
        LineEnds::None => "",
    };
    let text = encoded(text, form.entities);
    format!("<html>{end}<body>{end}{text}{end}</body>{end}</html>{end}")
}

/// What stands there when there is none.
pub fn shown_empty(form: MailTipForm) -> Value {
    match form.when_empty {
        EmptyMailTip::Null => Value::Null,
        EmptyMailTip::Empty => "".into(),
        EmptyMailTip::Wrapper => shown("", form).into(),
    }
}

fn encoded(text: &str, entities: Entities) -> String {
    let table: &[(char, &str)] = match entities {
        Entities::Kept => &[],
        Entities::Named => &[('&', "&amp;"), ('"', "&quot;")],
        Entities::Numbered => &[('&', "&#38;"), ('"', "&#34;"), ('\'', "&#39;")],
    };
    text.chars()
        .map(|c| {
            let entity = table.iter().find(|(plain, _)| *plain == c);
            entity.map_or_else(|| c.to_string(), |(_, entity)| (*entity).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{displayed, shown};
    use crate::quirks::{Entities, LineEnds, MailTipForm};

    #[test]
    fn tags_are_not_displayed() {
        assert_eq!(displayed("a <b>bold</b> word"), 11);
        assert_eq!(displayed("1 > 0"), 5);
    }

    #[test]
    fn the_wrapper_and_the_entities_follow_the_form() {
        let form = MailTipForm {
            line_ends: LineEnds::None,
            entities: Entities::Named,
            ..MailTipForm::default()
        };
        assert_eq!(shown("R&D", form), "<html><body>R&amp;D</body></html>");
        assert_eq!(
            shown("R&D", MailTipForm::default()),
            "<html>\r\n<body>\r\nR&D\r\n</body>\r\n</html>\r\n"
        );
    }
}
