//! The service's own list of the cmdlets that the app's role has.
//!
//! Microsoft's module asks for it when it connects: `GET /adminapi/v1.0/{tenant}/EXOModuleFile` with the header
//! `CommandName: *` answers the generated module and, in `value[].exportedCmdlets`, its cmdlets separated by commas. It
//! is not documented for direct use, and front doors may redirect it; without it only refusals show what is missing.

use std::collections::BTreeSet;

use serde::Deserialize;
use uuid::Uuid;

use crate::exchange::error::Stage;
use crate::exchange::gateway::{Core, REQUEST_TIMEOUT};
use crate::exchange::http::answer_to;

#[derive(Deserialize)]
struct Modules {
    value: Vec<Module>,
}

/// The module itself is not read: it can be megabytes of text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Module {
    #[serde(default)]
    exported_cmdlets: Option<String>,
}

impl Core {
    /// None when the service does not say; nobody waits for it or tries again.
    pub async fn cmdlets_of_role(&self) -> Option<BTreeSet<String>> {
        let token = self.exchange_tokens.get().await.ok()?;
        self.wait_out_hold().await.ok()?;
        let request = self.api.cmdlets_of_role(&token.secret, Uuid::new_v4()).ok()?;
        self.metrics.requested(Stage::Exchange);
        let answer = answer_to(&self.http, request, REQUEST_TIMEOUT).await.ok()?;
        (answer.status() == 200).then(|| listed(answer.body())).flatten()
    }
}

fn listed(body: &[u8]) -> Option<BTreeSet<String>> {
    let modules: Modules = serde_json::from_slice(body).ok()?;
    let texts = modules
        .value
        .iter()
        .filter_map(|module| module.exported_cmdlets.as_deref());
    let names: BTreeSet<String> = texts
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmdlets_are_read_from_the_answer_or_nothing_is_known() {
        let names =
            listed(br#"{"value": [{"exportedCmdlets": "Get-Mailbox, Set-Mailbox,,", "moduleFile": "x"}]}"#);
        let names: Vec<_> = names.unwrap().into_iter().collect();
        assert_eq!(names, ["Get-Mailbox", "Set-Mailbox"]);
        for body in [
            &b"\0\0"[..],
            b"{}",
            br#"{"value": []}"#,
            br#"{"value": [{"exportedCmdlets": ""}]}"#,
        ] {
            assert_eq!(listed(body), None);
        }
    }
}
