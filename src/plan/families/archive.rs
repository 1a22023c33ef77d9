//! A second mailbox for what is old.

use super::family::{Company, Family, Feature, Need};
use crate::api::Archive;
use crate::setting::{Call, Kind, Property, Value, Values};

const ARCHIVE: &str = "Archive";
const EXPANDING: &str = "AutoExpandingArchive";

pub const ARCHIVING: Family = Family {
    name: "archive",
    call: Call::Archive,
    company: Company::OneByOne,
    properties: &[
        Property::new("archive.enabled", ARCHIVE, Kind::Made).shown_as("ArchiveGuid"),
        Property::new("archive.autoExpanding", EXPANDING, Kind::Made).shown_as("AutoExpandingArchiveEnabled"),
    ],
    declared: |spec| {
        let Archive {
            enabled,
            auto_expanding,
        } = &spec.archive;
        Ok(Values::of([
            (ARCHIVE, (*enabled).map(Value::Flag)),
            (EXPANDING, (*auto_expanding).map(Value::Flag)),
        ]))
    },
    demands: "Exchange Online Plan 2, or Plan 1 with archiving",
    needs: |step| {
        if is_on(step.wish, ARCHIVE) {
            vec![Need::Licence(Feature::Archive)]
        } else {
            Vec::new()
        }
    },
    check: |step| {
        let ends = |name| is_on(step.shown, name) && step.wish.get(name) == Some(&Value::Flag(false));
        if ends(ARCHIVE) {
            return Err("the mailbox has an archive (ArchiveExists), which is never deleted for a setting: disable it by \
                        hand, its contents are lost 30 days later: Disable-Mailbox -Archive"
                .to_owned());
        }
        if ends(EXPANDING) {
            return Err(
                "Exchange can't stop an archive from expanding: leave archive.autoExpanding out".to_owned(),
            );
        }
        Ok(())
    },
    ..Family::PLAIN
};

fn is_on(values: &Values, name: &str) -> bool {
    values.get(name) == Some(&Value::Flag(true))
}
