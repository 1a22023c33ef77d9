//! Get-Mailbox.

use serde_json::{Map, Value};

use super::call::{Call, Done};
use super::{query, rows};
use crate::directory::{Object, ObjectView};
use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};
use crate::row::{Row, Select};

pub const TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("Filter", Takes::Text),
    ("Anr", Takes::Text),
    ("ResultSize", Takes::Text),
    ("RecipientTypeDetails", Takes::Texts),
    ("SoftDeletedMailbox", Takes::Switch),
    ("IncludeGrantSendOnBehalfToWithDisplayNames", Takes::Switch),
];

pub fn run(call: &mut Call<'_>, parameters: &Parameters) -> Result<Done, CmdletError> {
    let kinds = parameters.words("RecipientTypeDetails");
    let deleted = parameters.is_on("SoftDeletedMailbox");
    let names = parameters.is_on("IncludeGrantSendOnBehalfToWithDisplayNames");
    let scope = |object: &Object| {
        let Some(mailbox) = &object.mailbox else {
            return false;
        };
        object.is_live() != deleted
            && (kinds.is_empty()
                || kinds
                    .iter()
                    .any(|kind| kind.eq_ignore_ascii_case(mailbox.kind.details())))
    };
    query::list(call, parameters, scope, |call, seen, select| {
        let mut row = rows::mailbox(call, seen, select);
        if names {
            row.extend(display_names(call, seen, select));
        }
        row
    })
}

fn display_names(call: &Call<'_>, seen: &ObjectView, select: &Select) -> Map<String, Value> {
    let mut row = Row::new(select);
    if let Some(mailbox) = &seen.mailbox {
        let texts = rows::on_behalf(call, &mailbox.on_behalf, |trustee| trustee.display_name.clone());
        row.list("GrantSendOnBehalfToWithDisplayNames", texts);
    }
    row.finish()
}
