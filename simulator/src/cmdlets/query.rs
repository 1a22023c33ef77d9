//! What Get- cmdlets share: `Identity`, `Filter`, `Anr`, `ResultSize`.

use serde_json::{Map, Value};

use super::call::{Call, Done};
use crate::directory::{Object, ObjectView};
use crate::error::CmdletError;
use crate::filter::Filter;
use crate::parameters::Parameters;
use crate::row::Select;

/// Rows that a Get- cmdlet gives unless `ResultSize` says otherwise.
const DEFAULT_SIZE: usize = 1000;

/// Lists the objects in scope. A missing, `null` or empty Identity stands for all of them, as in
/// Exchange, where that is a known danger.
pub fn list(
    call: &Call<'_>,
    parameters: &Parameters,
    scope: impl Fn(&Object) -> bool,
    row: impl Fn(&Call<'_>, &ObjectView, &Select) -> Map<String, Value>,
) -> Result<Done, CmdletError> {
    let filter = parameters
        .text("Filter")
        .map(|text| Filter::parse(&text))
        .transpose()?;
    let size = result_size(parameters)?;
    if let Some(identity) = parameters.text("Identity") {
        let seen = call.resolve(&identity, scope)?;
        return Ok(Done {
            rows: vec![row(call, &seen, &call.select).into()],
            ..Done::default()
        });
    }
    let keys = filter.as_ref().map(Filter::select);
    let anr = parameters.text("Anr").map(|text| text.to_lowercase());
    let mut done = Done::default();
    for seen in candidates(call, filter.as_ref()) {
        if !scope(&seen) || anr.as_ref().is_some_and(|text| !resembles(&seen, text)) {
            continue;
        }
        if let (Some(filter), Some(keys)) = (&filter, &keys)
            && !filter.matches(&row(call, &seen, keys))?
        {
            continue;
        }
        if size.is_some_and(|size| done.rows.len() >= size) {
            done.warnings.push(truncated(parameters.has("ResultSize")));
            break;
        }
        done.rows.push(row(call, &seen, &call.select).into());
    }
    Ok(done)
}

/// The text that says that not everything is shown.
pub fn truncated(size_was_given: bool) -> String {
    if size_was_given {
        "There are more results available than are currently displayed. To view them, increase the value for the \
         ResultSize parameter."
            .to_owned()
    } else {
        "By default, only the first 1000 items are returned. Use the ResultSize parameter to specify the number of \
         items returned. To return all items, specify \"-ResultSize Unlimited\". Be aware that, depending on the \
         actual number of items, returning all items can take a long time and consume a large amount of memory."
            .to_owned()
    }
}

/// The most rows wanted; `None` is `Unlimited`.
pub fn result_size(parameters: &Parameters) -> Result<Option<usize>, CmdletError> {
    match parameters.text("ResultSize") {
        None => Ok(Some(DEFAULT_SIZE)),
        Some(text) if text.eq_ignore_ascii_case("unlimited") => Ok(None),
        Some(text) => match text.parse() {
            Ok(size) => Ok(Some(size)),
            Err(_) => Err(CmdletError::conversion(
                "ResultSize",
                "System.String",
                "Microsoft.Exchange.Data.Unlimited`1[System.UInt32]",
            )),
        },
    }
}

/// Objects that the filter can match: found by name where it names them, else all.
fn candidates<'c>(call: &'c Call<'_>, filter: Option<&Filter>) -> Box<dyn Iterator<Item = ObjectView> + 'c> {
    let directory = &call.world.directory;
    let Some(names) = filter.and_then(Filter::names) else {
        return Box::new(directory.all(call.view));
    };
    let mut found: Vec<ObjectView> = names
        .iter()
        .flat_map(|name| directory.matching(name, call.view))
        .collect();
    found.sort_unstable_by_key(|seen| seen.handle);
    found.dedup_by_key(|seen| seen.handle);
    Box::new(found.into_iter())
}

/// Ambiguous name resolution: the text begins a name or an address.
fn resembles(object: &Object, text: &str) -> bool {
    let begins = |name: &str| name.to_lowercase().starts_with(text);
    begins(&object.display_name)
        || begins(&object.name)
        || object.alias.as_deref().is_some_and(begins)
        || object.smtp_addresses().any(begins)
}
