//! Sizes as Exchange reads and shows them.

pub const MB: u64 = 1 << 20;
pub const GB: u64 = 1 << 30;

/// `49.5GB`, `50 GB (… bytes)` or a number of bytes.
pub fn parse(text: &str) -> Option<u64> {
    let compact = text
        .split('(')
        .next()?
        .replace([' ', ','], "")
        .to_ascii_uppercase();
    let digits = compact.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match compact.get(digits.len()..)? {
        "" | "B" => 1,
        "KB" => 1 << 10,
        "MB" => MB,
        "GB" => GB,
        "TB" => 1 << 40,
        _ => return None,
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let whole: u64 = whole.parse().ok()?;
    let tenths: u64 = part.get(..1)?.parse().ok()?;
    whole
        .checked_mul(unit)?
        .checked_add(unit / 10 * tenths + unit % 10 * tenths / 10)
}

/// `49.5 GB (53,150,220,288 bytes)`.
pub fn shown(bytes: u64) -> String {
    let (unit, name) = [(1 << 40, "TB"), (GB, "GB"), (MB, "MB"), (1 << 10, "KB")]
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

#[cfg(test)]
mod tests {
    use super::{parse, shown};

    #[test]
    fn sizes_come_back_with_their_bytes() {
        for (written, read) in [
            ("49.5GB", "49.5 GB (53,150,220,288 bytes)"),
            ("53687091200", "50 GB (53,687,091,200 bytes)"),
            ("50 GB (53,687,091,200 bytes)", "50 GB (53,687,091,200 bytes)"),
            ("1000", "1000 B (1,000 bytes)"),
        ] {
            assert_eq!(parse(written).map(shown).as_deref(), Some(read));
        }
        assert_eq!(parse("lots"), None);
        assert_eq!(parse("99999999TB"), None);
    }
}
