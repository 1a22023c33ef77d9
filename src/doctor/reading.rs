//! What reads alone can show.

use super::DoctorError;
use super::finding::{Findings, described};
use crate::exchange::{
    AfterError, Anchor, Capabilities, ClockState, Column, ExchangeError, Gateway, MailboxRow, Missing,
    NO_PARAMETER, RecipientIdentity, RecipientQuery, Samples,
};
use crate::lane::Lane;
use crate::mail::{ClusterId, Domain, MailboxGuid, MarkerOwner, ObjectId, SmtpAddress};
use crate::rng::Rng;

/// Somebody waits for every answer.
pub const LANE: Lane = Lane::Edit;
/// Conditions of one filter that the operator sends at most.
const CONDITIONS: usize = 80;

const NONE_HERE: &str = "no row to see it in";

/// Checks what can be checked without writing.
pub async fn read(
    gateway: &Gateway,
    rng: &Rng,
    findings: &mut Findings,
) -> Result<Capabilities, DoctorError> {
    let domains = gateway
        .accepted_domains(LANE)
        .await
        .map_err(DoctorError::Tenant)?;
    let initial = domains
        .iter()
        .find(|domain| domain.initial)
        .map(|domain| domain.name.clone());
    findings.judge(
        "initial-domain",
        initial.is_some(),
        "marked",
        "no domain is marked",
    );
    let nobody = rng.uuid();
    let (found, samples) = gateway.probe_with_samples(LANE, nobody).await;
    of_capabilities(gateway, &found, findings);
    refusals(gateway, nobody.to_string().parse().ok(), findings).await;
    let row = match samples.mailbox {
        Some(guid) => mailbox(gateway, guid, findings).await,
        None => None,
    };
    look_ups(gateway, row.as_ref(), &samples, findings).await;
    filters(gateway, row.as_ref(), &samples, rng, findings).await;
    if let Some(row) = &row {
        account(gateway, row, findings).await;
        on_behalf(row, findings);
    }
    Ok(found)
}

/// What the operator's own probe found.
fn of_capabilities(gateway: &Gateway, found: &Capabilities, findings: &mut Findings) {
    let Capabilities {
        missing,
        role_is_listed,
        permissions,
        hidden_members,
        batches,
        paging,
        clock,
        columns,
    } = found;
    findings.judge(
        "token-claims",
        permissions.is_some(),
        "it does",
        "it can't be read",
    );
    findings.judge("role-list", *role_is_listed, "listed", "not listed");
    let lacks: Vec<&Missing> = missing.iter().filter(|missing| !is_permission(missing)).collect();
    let names: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    if !lacks.iter().all(|missing| can_be_left_out(missing)) {
        findings.differs("cmdlets-granted", format!("missing: {names}"));
    } else if !lacks.is_empty() {
        findings.holds("cmdlets-granted", format!("all but what is left out: {names}"));
    } else if *role_is_listed {
        findings.holds("cmdlets-granted", "all of them");
    } else {
        findings.not_seen("cmdlets-granted", "no list, and no read was refused");
    }
    match batches {
        Some(AfterError::Run) => findings.holds("batch-goes-on", "it does"),
        Some(AfterError::NotRun) => findings.differs("batch-goes-on", "it stops"),
        None => findings.not_seen("batch-goes-on", "no batch had an error before its end"),
    }
    match paging {
        Some(Anchor::TenantId) => findings.holds("second-page", "answered"),
        Some(Anchor::InitialDomain) => findings.differs("second-page", "answered to the initial domain only"),
        None => findings.not_seen("second-page", "no second page was answered"),
    }
    match clock {
        Some(ClockState::InStep) => findings.holds("clock-in-step", "in step"),
        Some(ClockState::Ahead) => findings.differs("clock-in-step", "ahead"),
        Some(ClockState::Behind) => findings.differs("clock-in-step", "behind"),
        None => findings.not_seen("clock-in-step", "answers carry no date"),
    }
    match hidden_members {
        Some(true) => findings.holds("hidden-members", "Member.Read.Hidden is granted"),
        Some(false) => findings.differs("hidden-members", "Member.Read.Hidden is not granted"),
        None => findings.not_seen("hidden-members", "the token does not say"),
    }
    for (name, sid, id) in [
        ("user-row", Column::UserSid, Column::UserId),
        ("group-row", Column::GroupSid, Column::GroupId),
    ] {
        match (columns.get(&sid), columns.get(&id)) {
            (Some(true), Some(true)) => findings.holds(name, "both"),
            (Some(false), Some(true)) => findings.differs(name, "no Sid"),
            (Some(true), Some(false)) => findings.differs(name, "no object id"),
            (Some(false), Some(false)) => findings.differs(name, "neither"),
            (None, _) | (_, None) => findings.not_seen(name, NONE_HERE),
        }
    }
    let refused = gateway.learned().refused;
    let of_deleted = |missing: &&Missing| match missing {
        Missing::Parameter { cmdlet, parameter } => {
            cmdlet == "Get-MailboxPermission" && parameter.starts_with("Include")
        }
        Missing::Cmdlet(_) | Missing::Permission(_) => false,
    };
    let all_admitted = !refused.iter().any(|missing| of_deleted(&missing));
    findings.judge(
        "deleted-accounts",
        all_admitted,
        "admitted",
        "the parameters are refused",
    );
}

/// A parameter of a read is left out where the role lacks it.
fn can_be_left_out(missing: &Missing) -> bool {
    match missing {
        Missing::Parameter { cmdlet, parameter: _ } => cmdlet.starts_with("Get-"),
        Missing::Cmdlet(_) | Missing::Permission(_) => false,
    }
}

fn is_permission(missing: &Missing) -> bool {
    match missing {
        Missing::Permission(_) => true,
        Missing::Cmdlet(_) | Missing::Parameter { .. } => false,
    }
}

async fn refusals(gateway: &Gateway, nobody: Option<ObjectId>, findings: &mut Findings) {
    if let Some(nobody) = nobody {
        match gateway
            .recipient(LANE, &RecipientIdentity::ObjectId(nobody))
            .await
        {
            Ok(_) => findings.differs("not-found-is-typed", "something else was answered"),
            Err(error) if error.class.is_absence() => {
                findings.holds("not-found-is-typed", described(&error));
            }
            Err(error) => findings.differs("not-found-is-typed", described(&error)),
        }
    }
    let [parameter, cmdlet] = gateway.refusals(LANE).await;
    match parameter {
        Some(error) => {
            let is_named = error.class.is_denial() && error.parameter.as_deref() == Some(NO_PARAMETER);
            let seen = described(&error);
            findings.judge("unknown-parameter-is-named", is_named, &seen, &seen);
        }
        None => findings.differs("unknown-parameter-is-named", "it was ignored"),
    }
    match cmdlet {
        Some(error) => {
            let seen = described(&error);
            findings.judge("unknown-cmdlet-is-denied", error.class.is_denial(), &seen, &seen);
        }
        None => findings.differs("unknown-cmdlet-is-denied", "it was answered"),
    }
}

/// The mailbox itself and its two lists of permissions.
async fn mailbox(gateway: &Gateway, guid: MailboxGuid, findings: &mut Findings) -> Option<MailboxRow> {
    let (row, full_access, send_as) = futures::join!(
        gateway.mailbox(LANE, guid, &[]),
        gateway.full_access(LANE, guid, None),
        gateway.send_as(LANE, guid, None),
    );
    let sids = full_access.map(|rows| rows.into_iter().map(|row| row.sid.is_some()).collect());
    carry_sids("full-access-row", sids, findings);
    let sids = send_as.map(|rows| rows.into_iter().map(|row| row.sid.is_some()).collect());
    carry_sids("send-as-row", sids, findings);
    match row {
        Ok(row) => {
            findings.holds("mailbox-by-guid", "found, and complete");
            Some(row)
        }
        Err(error) => {
            findings.differs("mailbox-by-guid", described(&error));
            None
        }
    }
}

/// `rows`: of each row, whether it has a SID.
fn carry_sids(name: &'static str, rows: Result<Vec<bool>, ExchangeError>, findings: &mut Findings) {
    match rows {
        Ok(rows) if rows.is_empty() => findings.not_seen(name, NONE_HERE),
        Ok(rows) => {
            let without = rows.iter().filter(|has_sid| !**has_sid).count();
            let otherwise = format!("{without} of {} rows without a SID", rows.len());
            findings.judge(name, without == 0, "they do", &otherwise);
        }
        Err(error) => findings.differs(name, described(&error)),
    }
}

async fn look_ups(gateway: &Gateway, row: Option<&MailboxRow>, samples: &Samples, findings: &mut Findings) {
    match row.and_then(|row| row.object_id) {
        Some(id) => match gateway.recipient(LANE, &RecipientIdentity::ObjectId(id)).await {
            Ok(_) => findings.holds("recipient-by-object-id", "found"),
            Err(error) => findings.differs("recipient-by-object-id", described(&error)),
        },
        None => findings.not_seen("recipient-by-object-id", NONE_HERE),
    }
    match &samples.group {
        Some(group) => match gateway.group_members(LANE, group).await {
            Ok(_) => findings.holds("group-members", "it does"),
            // A group of Exchange's own is in no directory.
            Err(error) if error.class.is_absence() => {
                findings.not_seen("group-members", "the first group is not in the directory");
            }
            Err(error) => findings.differs("group-members", described(&error)),
        },
        None => findings.not_seen("group-members", "no group with an object id"),
    }
}

async fn filters(
    gateway: &Gateway,
    row: Option<&MailboxRow>,
    samples: &Samples,
    rng: &Rng,
    findings: &mut Findings,
) {
    if let Some(row) = row {
        let one = [RecipientQuery::Address(row.primary.clone())];
        let many = crowd(&row.primary, rng);
        for (name, queries) in [("filter-by-address", &one[..]), ("filter-of-eighty", &many)] {
            match gateway.find_recipients(LANE, queries).await {
                Ok(found) => {
                    let is_found = found.iter().any(|other| other.guid == Some(row.guid));
                    findings.judge(name, is_found, "found", "not found");
                }
                Err(error) => findings.differs(name, described(&error)),
            }
        }
    }
    // A filter that is too long is halved until it is taken.
    let most = gateway.conditions_a_filter();
    if most < CONDITIONS {
        findings.differs("filter-of-eighty", format!("at most {most}"));
    }
    by_sid(gateway, samples, findings).await;
    match gateway
        .find_recipients(LANE, &[RecipientQuery::Marker(15, nobodys(rng))])
        .await
    {
        Ok(_) => findings.not_seen("filter-by-prefix", "admitted; what it finds shows with --scratch"),
        Err(error) => findings.differs("filter-by-prefix", described(&error)),
    }
}

async fn by_sid(gateway: &Gateway, samples: &Samples, findings: &mut Findings) {
    const NAME: &str = "filter-by-sid";
    let users: Vec<_> = samples.user_sid.iter().cloned().collect();
    let groups: Vec<_> = samples.group_sid.iter().cloned().collect();
    if users.is_empty() && groups.is_empty() {
        return findings.not_seen(NAME, NONE_HERE);
    }
    let found = futures::try_join!(
        gateway.find_users_by_sid(LANE, &users),
        gateway.find_groups_by_sid(LANE, &groups),
    );
    match found {
        Ok((people, teams)) => {
            let all = people.len() == users.len() && teams.len() == groups.len();
            findings.judge(NAME, all, "found", "not found");
        }
        Err(error) => findings.differs(NAME, described(&error)),
    }
}

/// The address among so many that nobody has that one filter is full.
fn crowd(address: &SmtpAddress, rng: &Rng) -> Vec<RecipientQuery> {
    let nobody = rng.uuid().simple().to_string();
    let domain: Domain = address.domain();
    let others =
        (1..CONDITIONS).filter_map(|number| SmtpAddress::of(&format!("{nobody}-{number}"), &domain).ok());
    others
        .chain([address.clone()])
        .map(RecipientQuery::Address)
        .collect()
}

/// An owner whose marker no mailbox has.
pub fn nobodys(rng: &Rng) -> MarkerOwner {
    MarkerOwner {
        cluster: ClusterId {
            name: "doctor".to_owned(),
            uid_part: "doctor".to_owned(),
        },
        namespace: "doctor".to_owned(),
        name: rng.uuid().simple().to_string(),
        uid: String::new(),
    }
}

/// What Graph says of the account behind the mailbox, beside what Exchange says.
async fn account(gateway: &Gateway, row: &MailboxRow, findings: &mut Findings) {
    const READABLE: &str = "accounts-readable";
    let Some(id) = row.object_id else {
        return findings.not_seen(READABLE, NONE_HERE);
    };
    match gateway.directory_user(LANE, &id).await {
        Ok(user) => {
            findings.holds(READABLE, "it does");
            let agrees = user.account_enabled != row.account_disabled;
            findings.judge(
                "exchange-agrees-with-entra",
                agrees,
                "it does, of one mailbox",
                "it does not, of one mailbox",
            );
        }
        Err(error) if error.class.is_absence() => {
            findings.not_seen(READABLE, "the first mailbox has no account in Entra");
        }
        Err(error) => findings.differs(READABLE, described(&error)),
    }
}

fn on_behalf(row: &MailboxRow, findings: &mut Findings) {
    const NAME: &str = "on-behalf-is-an-id";
    if row.on_behalf.is_empty() {
        return findings.not_seen(NAME, "nobody has the right on the first mailbox");
    }
    let ids = row
        .on_behalf
        .iter()
        .filter(|text| text.parse::<ObjectId>().is_ok())
        .count();
    let seen = format!("{ids} of {} are ids", row.on_behalf.len());
    findings.judge(NAME, ids == row.on_behalf.len(), &seen, &seen);
}
