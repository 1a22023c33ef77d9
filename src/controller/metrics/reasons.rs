//! The reasons that may become a label. A status can be edited by whoever may edit it: what it says is no label as
//! it stands.

use crate::api::reason::Reason;

/// The label for a reason.
pub fn label(reason: &str) -> &'static str {
    Reason::read(reason).map_or("Other", Reason::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_into_a_status_is_no_label() {
        assert_eq!(label("AccessDenied"), "AccessDenied");
        assert_eq!(label("AnythingElse"), "Other");
    }
}
