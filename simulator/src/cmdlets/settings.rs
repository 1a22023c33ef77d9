//! Settings of a mailbox that Set-Mailbox writes and Get-Mailbox shows, one row each.

use serde_json::Value;

use crate::directory::{Mailbox, Object};
use crate::error::CmdletError;

/// One setting, named alike in Set-Mailbox and Get-Mailbox.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On or off, with what it is when nobody wrote it.
    Flag(bool),
    /// A text of at most this many characters; cleared by `null`.
    Text(usize),
    /// The internal recipient that mail is forwarded to.
    Recipient,
    /// An address outside, shown with `smtp:` before it.
    ForwardingAddress,
    /// Shown inside the HTML in which Exchange keeps it.
    MailTip,
    /// A size, or `Unlimited`, with what it is without and with a licence.
    Size(&'static str, &'static str),
    /// Days, shown as a time span.
    Days(&'static str),
    /// A number, or `Unlimited`, shown as text.
    Count(&'static str),
}

const fn setting(name: &'static str, kind: Kind) -> Setting {
    Setting { name, kind }
}

const GB_49: &str = "49 GB (52,613,349,376 bytes)";
const GB_49_5: &str = "49.5 GB (53,150,220,288 bytes)";
const GB_50: &str = "50 GB (53,687,091,200 bytes)";
const GB_98: &str = "98 GB (105,226,698,752 bytes)";
const GB_99: &str = "99 GB (106,300,440,576 bytes)";
const GB_100: &str = "100 GB (107,374,182,400 bytes)";
const MB_35: &str = "35 MB (36,700,160 bytes)";
const MB_36: &str = "36 MB (37,748,736 bytes)";

/// Quotas in the order that they must keep.
pub const QUOTAS: [&str; 3] = [
    "IssueWarningQuota",
    "ProhibitSendQuota",
    "ProhibitSendReceiveQuota",
];

pub static SETTINGS: &[Setting] = &[
    setting("HiddenFromAddressListsEnabled", Kind::Flag(false)),
    setting("DeliverToMailboxAndForward", Kind::Flag(false)),
    setting("MessageCopyForSentAsEnabled", Kind::Flag(false)),
    setting("MessageCopyForSendOnBehalfEnabled", Kind::Flag(false)),
    setting("MessageCopyForSMTPClientSubmissionEnabled", Kind::Flag(true)),
    setting("RequireSenderAuthenticationEnabled", Kind::Flag(false)),
    setting("LitigationHoldEnabled", Kind::Flag(false)),
    setting("AuditEnabled", Kind::Flag(true)),
    setting("LitigationHoldDuration", Kind::Count("Unlimited")),
    setting("LitigationHoldOwner", Kind::Text(1024)),
    setting("RecipientLimits", Kind::Count("500")),
    setting("RetainDeletedItemsFor", Kind::Days("14.00:00:00")),
    setting("ForwardingAddress", Kind::Recipient),
    setting("ForwardingSmtpAddress", Kind::ForwardingAddress),
    setting("MailTip", Kind::MailTip),
    setting("RetentionPolicy", Kind::Text(64)),
    setting("SharingPolicy", Kind::Text(64)),
    setting("RoleAssignmentPolicy", Kind::Text(64)),
    setting("IssueWarningQuota", Kind::Size(GB_49, GB_98)),
    setting("ProhibitSendQuota", Kind::Size(GB_49_5, GB_99)),
    setting("ProhibitSendReceiveQuota", Kind::Size(GB_50, GB_100)),
    setting("MaxSendSize", Kind::Size(MB_35, MB_35)),
    setting("MaxReceiveSize", Kind::Size(MB_36, MB_36)),
];

/// What Get-Mailbox shows of a setting.
pub fn shown(setting: &Setting, object: &Object, mailbox: &Mailbox) -> Value {
    if let Some(stored) = mailbox.settings.get(setting.name) {
        return stored.clone();
    }
    match setting.kind {
        Kind::Flag(usual) => usual.into(),
        Kind::Text(_) => match setting.name {
            "RetentionPolicy" => "Default MRM Policy".into(),
            "SharingPolicy" => "Default Sharing Policy".into(),
            "RoleAssignmentPolicy" => "Default Role Assignment Policy".into(),
            _ => "".into(),
        },
        Kind::Recipient | Kind::ForwardingAddress | Kind::MailTip => Value::Null,
        Kind::Size(plain, licensed) => if object.licensed { licensed } else { plain }.into(),
        Kind::Days(usual) | Kind::Count(usual) => usual.into(),
    }
}

/// What is stored for a value that was given; `None` clears the setting. Recipients are looked up by
/// the caller.
pub fn parse(setting: &Setting, value: &Value) -> Result<Option<Value>, CmdletError> {
    let text = match value {
        Value::Null => None,
        Value::String(text) => Some(text.trim().to_owned()),
        other => Some(other.to_string()),
    };
    let text = text.filter(|text| !text.is_empty());
    let fails = |to: &str| Err(CmdletError::conversion(setting.name, "System.String", to));
    match (setting.kind, text) {
        (Kind::Flag(_), _) => match value {
            Value::Bool(flag) => Ok(Some((*flag).into())),
            _ => fails("System.Boolean"),
        },
        (_, None) => Ok(None),
        (Kind::Text(most), Some(text)) => {
            if text.chars().count() > most {
                let why = format!("It is longer than {most} characters.");
                return Err(CmdletError::invalid_value(setting.name, &text, &why));
            }
            Ok(Some(text.into()))
        }
        (Kind::Recipient, Some(text)) => Ok(Some(text.into())),
        (Kind::ForwardingAddress, Some(text)) => {
            let address = crate::directory::smtp_part(&text).unwrap_or(&text);
            match address.split_once('@') {
                Some((local, domain)) if !local.is_empty() && domain.contains('.') => {
                    Ok(Some(format!("smtp:{address}").into()))
                }
                _ => Err(CmdletError::bad_address(address)),
            }
        }
        (Kind::MailTip, Some(text)) if text.chars().count() > 175 => Err(CmdletError::invalid_value(
            setting.name,
            &text,
            "It is longer than 175 characters.",
        )),
        (Kind::MailTip, Some(text)) => Ok(Some(
            format!("<html>\r\n<body>\r\n{text}\r\n</body>\r\n</html>\r\n").into(),
        )),
        (Kind::Size(..), Some(text)) => match parse_size(&text) {
            Some(size) => Ok(Some(size.into())),
            None => fails("Microsoft.Exchange.Data.ByteQuantifiedSize"),
        },
        (Kind::Days(_), Some(text)) => match text.split('.').next().and_then(|days| days.parse::<u32>().ok())
        {
            Some(days @ 0..=30) => Ok(Some(format!("{days}.00:00:00").into())),
            Some(_) => Err(CmdletError::invalid_value(
                setting.name,
                &text,
                "The most is 30 days.",
            )),
            None => fails("Microsoft.Exchange.Data.EnhancedTimeSpan"),
        },
        (Kind::Count(_), Some(text)) if text.eq_ignore_ascii_case("unlimited") => {
            Ok(Some("Unlimited".into()))
        }
        (Kind::Count(_), Some(text)) => match (setting.name, text.split('.').next().map(str::parse::<u32>)) {
            ("LitigationHoldDuration", Some(Ok(days))) => Ok(Some(format!("{days}.00:00:00").into())),
            ("RecipientLimits", Some(Ok(count @ 1..=1000))) => Ok(Some(count.to_string().into())),
            ("RecipientLimits", Some(Ok(_))) => Err(CmdletError::invalid_value(
                setting.name,
                &text,
                "It must be 1 to 1000.",
            )),
            _ => fails("Microsoft.Exchange.Data.Unlimited`1[System.Int32]"),
        },
    }
}

/// `49.5GB`, `50 GB (… bytes)`, a number of bytes, or `Unlimited`, in the form in which it is shown.
fn parse_size(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("unlimited") {
        return Some("Unlimited".to_owned());
    }
    let compact = text
        .split('(')
        .next()?
        .replace([' ', ','], "")
        .to_ascii_uppercase();
    let digits = compact.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match compact.get(digits.len()..)? {
        "" | "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let whole: u64 = whole.parse().ok()?;
    let tenths: u64 = part.get(..1)?.parse().ok()?;
    Some(format_size(
        whole
            .checked_mul(unit)?
            .checked_add(unit / 10 * tenths + unit % 10 * tenths / 10)?,
    ))
}

/// `49.5 GB (53,150,220,288 bytes)`.
fn format_size(bytes: u64) -> String {
    let (unit, name) = [(1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")]
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .unwrap_or((1_u64, "B"));
    let whole = bytes / unit;
    let thousandths = u128::from(bytes % unit) * 1000 / u128::from(unit);
    let fraction = format!("{thousandths:03}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{whole}{point}{fraction} {name} ({} bytes)", grouped(bytes))
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The bytes in a shown size; `None` is `Unlimited`.
pub fn bytes(shown: &Value) -> Option<u64> {
    let (_, inside) = shown.as_str()?.split_once('(')?;
    inside.split(' ').next()?.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{bytes, parse_size};

    #[test]
    fn sizes_come_back_with_their_bytes() {
        assert_eq!(
            parse_size("49.5GB").as_deref(),
            Some("49.5 GB (53,150,220,288 bytes)")
        );
        assert_eq!(
            parse_size("53687091200").as_deref(),
            Some("50 GB (53,687,091,200 bytes)")
        );
        assert_eq!(
            parse_size("50 GB (53,687,091,200 bytes)").as_deref(),
            Some("50 GB (53,687,091,200 bytes)")
        );
        assert_eq!(parse_size("unlimited").as_deref(), Some("Unlimited"));
        assert_eq!(parse_size("lots"), None);
        assert_eq!(
            bytes(&"50 GB (53,687,091,200 bytes)".into()),
            Some(53_687_091_200)
        );
    }
}
