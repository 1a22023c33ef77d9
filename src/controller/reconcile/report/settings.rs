//! How the settings of a mailbox are reported.

use std::collections::BTreeSet;

use super::findings::Findings;
use super::names::first_of;
use crate::api::condition::{Kind, Truth, Verdict};
use crate::api::reason::Reason;
use crate::plan::{self, Change, Feature, Standing, Step};

/// `SettingsSynced`, with the gravest reason that there is.
pub fn synced(findings: &Findings<'_>) -> Verdict {
    let kind = Kind::SettingsSynced;
    let refused = refused(findings);
    if !refused.is_empty() {
        return Verdict::new(kind, false, Reason::SettingRefused, first_of(refused.iter()));
    }
    let mut not_converging = Vec::new();
    let mut waiting = Vec::new();
    for (family, standing) in &findings.rest.standings {
        match standing {
            Standing::NotConverging(why) => not_converging.push(why.clone()),
            Standing::Waiting => waiting.push((*family).to_owned()),
            Standing::Synced | Standing::Differs { .. } | Standing::Refused(_) | Standing::Unread(_) => {}
        }
    }
    if !not_converging.is_empty() {
        return Verdict::new(
            kind,
            false,
            Reason::NotConverging,
            first_of(not_converging.iter()),
        );
    }
    let differing = differing(findings);
    if !differing.is_empty() {
        return Verdict::new(
            kind,
            false,
            Reason::Syncing,
            format!("to do: {}", first_of(differing.iter())),
        );
    }
    if !waiting.is_empty() {
        let text = format!(
            "Exchange acknowledged and does not show yet: {}",
            first_of(waiting.iter())
        );
        return Verdict::new(kind, false, Reason::Syncing, text);
    }
    let unread = unread(findings);
    if !unread.is_empty() {
        let text = format!(
            "not known, because it could not be read: {}",
            first_of(unread.iter())
        );
        return Verdict::new(kind, Truth::Unknown, Reason::Unread, text);
    }
    Verdict::new(kind, true, Reason::Synced, "all declared settings are set")
}

/// What is worth knowing beside it.
pub fn advisories(findings: &Findings<'_>) -> Vec<Verdict> {
    let mut advisories = Vec::new();
    let unlicensed = plan::unlicensed(findings.desired, findings.observed);
    let needs: Vec<String> = unlicensed
        .into_iter()
        .map(|(family, feature)| format!("{family} needs {}", needed(feature)))
        .collect();
    if !needs.is_empty() {
        let text = format!(
            "{}, and no licence is assigned to the account behind the mailbox: assign one, or lower the setting",
            first_of(needs.iter())
        );
        advisories.push(Verdict::new(Kind::LicenseRequired, true, Reason::NoLicence, text));
    }
    advisories
}

fn needed(feature: Feature) -> &'static str {
    match feature {
        Feature::LargeMailbox => "Exchange Online Plan 2 (more than 50 GB)",
        Feature::Archive => "Exchange Online Plan 2, or Plan 1 with archiving (an archive)",
        Feature::Hold => "Exchange Online Plan 2, or Plan 1 with archiving (a litigation hold)",
    }
}

/// By Exchange in this reconcile, or before it was asked.
fn refused(findings: &Findings<'_>) -> Vec<String> {
    let by_exchange: BTreeSet<&str> = findings
        .refused
        .iter()
        .flat_map(|refused| refused.families.iter().copied())
        .collect();
    let mut all: Vec<String> = findings.refused.iter().map(ToString::to_string).collect();
    for (family, standing) in &findings.rest.standings {
        if let Standing::Refused(why) = standing
            && !by_exchange.contains(family)
        {
            all.push(format!("{family}: {why}"));
        }
    }
    all
}

/// What is still to be written, Send on Behalf aside: that is reported with the grants.
fn differing(findings: &Findings<'_>) -> Vec<String> {
    let calls = findings.rest.steps.iter().filter_map(|step| {
        if let Step::Set { changes, call: _ } = step {
            Some(changes)
        } else {
            None
        }
    });
    let settings = calls.flatten().filter(|change| !change.is_about_grants());
    settings.map(Change::to_string).collect()
}

/// Settings that could not be read, each with why.
pub fn unread(findings: &Findings<'_>) -> Vec<String> {
    let standings = findings.rest.standings.iter();
    standings
        .filter_map(|(family, standing)| match standing {
            Standing::Unread(unread) => Some(format!("{family}: {}", unread.why)),
            Standing::Synced
            | Standing::Differs { .. }
            | Standing::Waiting
            | Standing::Refused(_)
            | Standing::NotConverging(_) => None,
        })
        .collect()
}
