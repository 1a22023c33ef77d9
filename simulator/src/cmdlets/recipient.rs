//! Get-Recipient, Get-User, Get-Group, Get-DistributionGroupMember, Get-AcceptedDomain.

use super::call::{Call, Done};
use super::{query, rows};
use crate::directory::{Object, ObjectView};
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};
use crate::row::Row;
use crate::seed::GroupKind;

pub const RECIPIENT_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Filter", Takes::Text),
    ("Anr", Takes::Text),
    ("ResultSize", Takes::Text),
    ("RecipientType", Takes::Texts),
    ("RecipientTypeDetails", Takes::Texts),
    ("IncludeSoftDeletedRecipients", Takes::Switch),
];

pub const USER_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Filter", Takes::Text),
    ("Anr", Takes::Text),
    ("ResultSize", Takes::Text),
    ("RecipientTypeDetails", Takes::Texts),
];

pub const GROUP_TAKES: &[(&str, Takes)] = USER_TAKES;

pub const MEMBER_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("ResultSize", Takes::Text),
    ("IncludeSoftDeletedObjects", Takes::Switch),
];

pub const DOMAIN_TAKES: &[(&str, Takes)] = &[("Identity", Takes::Text), ("ResultSize", Takes::Text)];

fn among(kinds: &[String], kind: &str) -> bool {
    kinds.is_empty() || kinds.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind))
}

/// Sees mailboxes, mail users, guests, contacts and groups with mail; neither people without a mailbox nor plain groups.
pub fn get_recipient(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let (kinds, details) = (
        parameters.words("RecipientType"),
        parameters.words("RecipientTypeDetails"),
    );
    let deleted = parameters.is_on("IncludeSoftDeletedRecipients");
    let scope = |object: &Object| {
        object.is_recipient()
            && (deleted || object.is_live())
            && among(&kinds, object.recipient_type())
            && among(&details, object.recipient_type_details())
    };
    query::list(call, parameters, scope, rows::recipient)
}

/// Sees everybody, with or without a mailbox.
pub fn get_user(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let details = parameters.words("RecipientTypeDetails");
    let scope = |object: &Object| {
        object.is_user() && object.is_live() && among(&details, object.recipient_type_details())
    };
    query::list(call, parameters, scope, rows::user)
}

/// Sees every group, plain security groups included, but for dynamic ones.
pub fn get_group(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let details = parameters.words("RecipientTypeDetails");
    let scope = |object: &Object| {
        object
            .group
            .as_ref()
            .is_some_and(|group| group.kind != GroupKind::Dynamic)
            && object.is_live()
            && among(&details, object.recipient_type_details())
    };
    query::list(call, parameters, scope, rows::group)
}

/// The direct members of a list or mail-enabled security group, groups among them. Those of Microsoft
/// 365 groups, dynamic groups and groups without mail are not for this cmdlet to show.
pub fn get_member(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let identity = parameters.required("Identity")?;
    let size = query::result_size(parameters)?;
    let group = call.resolve(&identity, |object| {
        let listed = object
            .group
            .as_ref()
            .is_some_and(|group| group.kind.has_listed_members());
        listed && object.is_live()
    })?;
    let deleted = parameters.is_on("IncludeSoftDeletedObjects");
    let ids = group.group.as_ref().map(|group| group.members.as_slice());
    let members: Vec<ObjectView> = ids
        .unwrap_or_default()
        .iter()
        .filter_map(|id| call.world.directory.by_id(*id, call.view))
        .filter(|member| deleted || member.is_live())
        .collect();
    let shown = size.unwrap_or(usize::MAX).min(members.len());
    let warnings = if shown < members.len() {
        vec![query::truncated(parameters.has("ResultSize"))]
    } else {
        Vec::new()
    };
    let rows = members
        .iter()
        .take(shown)
        .map(|m| rows::recipient(call, m, &call.select).into())
        .collect();
    Ok(Done {
        rows,
        warnings,
        ..Done::default()
    })
}

pub fn get_accepted_domain(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let tenant = &call.world.tenant;
    let wanted = parameters.text("Identity");
    let mut rows = Vec::new();
    let domains = tenant
        .domains
        .iter()
        .chain(std::iter::once(&tenant.initial_domain));
    for domain in domains.filter(|domain| {
        wanted
            .as_ref()
            .is_none_or(|name| name.eq_ignore_ascii_case(domain))
    }) {
        let mut row = Row::new(&call.select);
        for name in ["Name", "Identity", "Id", "DomainName"] {
            row.put(name, domain.clone());
        }
        row.put("DomainType", "Authoritative");
        row.put("Default", domain == tenant.default_domain());
        row.put(
            "InitialDomain",
            domain.eq_ignore_ascii_case(&tenant.initial_domain),
        );
        row.put("IsValid", true);
        rows.push(row.finish().into());
    }
    match wanted {
        Some(name) if rows.is_empty() => Err(CmdletError::not_found(&name)),
        _ => Ok(Done {
            rows,
            ..Done::default()
        }),
    }
}
