//! Rights as cmdlets and ledgers write them.

use serde_json::Value;

use super::model::texts;

/// A right as parameters and ledgers write it: the holder's object id or SID, and the right.
pub type Pair = (String, &'static str);

/// Which rights a cmdlet gives and takes.
pub fn changes(cmdlet: &str, parameters: &Value) -> (Vec<Pair>, Vec<Pair>) {
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
        "Add-MailboxPermission" => (one("User", "FullAccess"), vec![]),
        "Remove-MailboxPermission" => (vec![], one("User", "FullAccess")),
        "Add-RecipientPermission" => (one("Trustee", "SendAs"), vec![]),
        "Remove-RecipientPermission" => (vec![], one("Trustee", "SendAs")),
        "Set-Mailbox" => (on_behalf("Add"), on_behalf("Remove")),
        _ => (vec![], vec![]),
    }
}
