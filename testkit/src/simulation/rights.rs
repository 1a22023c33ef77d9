//! Rights as cmdlets and ledgers write them.

use serde_json::Value;

use super::model::texts;

/// A right as parameters and ledgers write it: the holder's object id or SID, and the right.
pub type Pair = (String, &'static str);

/// Which rights a cmdlet gives and takes.
#[derive(Default)]
pub struct RightsChange {
    pub given: Vec<Pair>,
    pub taken: Vec<Pair>,
}

impl RightsChange {
    fn giving(given: Vec<Pair>) -> Self {
        Self {
            given,
            taken: Vec::new(),
        }
    }

    fn taking(taken: Vec<Pair>) -> Self {
        Self {
            given: Vec::new(),
            taken,
        }
    }
}

pub fn changes(cmdlet: &str, parameters: &Value) -> RightsChange {
    let one = |field: &str, right| {
        let holder = parameters[field].as_str().map(str::to_owned);
        // Without a holder it clears the automapping of all.
        holder.map(|holder| (holder, right)).into_iter().collect()
    };
    let on_behalf = |way: &str| -> Vec<Pair> {
        let list = texts(&parameters["GrantSendOnBehalfTo"][way]);
        list.into_iter().map(|holder| (holder, "SendOnBehalf")).collect()
    };
    match cmdlet {
        "Add-MailboxPermission" => RightsChange::giving(one("User", "FullAccess")),
        "Remove-MailboxPermission" => RightsChange::taking(one("User", "FullAccess")),
        "Add-RecipientPermission" => RightsChange::giving(one("Trustee", "SendAs")),
        "Remove-RecipientPermission" => RightsChange::taking(one("Trustee", "SendAs")),
        "Set-Mailbox" => RightsChange {
            given: on_behalf("Add"),
            taken: on_behalf("Remove"),
        },
        _ => RightsChange::default(),
    }
}
