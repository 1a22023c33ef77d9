//! What must hold of each single write of a MailboxLedger, whatever else is going on: it is sealed for the very version
//! that it makes, and it changes something.

use serde_json::Value;

use super::ledgers::text;

/// What is wrong with this write of a ledger by the operator; `stored`: the version that it replaces.
pub fn wrong_with(written: &Value, stored: Option<&Value>) -> Option<String> {
    let name = &written["metadata"]["name"];
    let seal = &written["spec"]["seal"];
    let Some(stored) = stored else {
        // There is no uid yet that could be sealed.
        let people = written["spec"]["people"].as_array();
        let lists_nobody = people.is_none_or(Vec::is_empty);
        let is_fine = lists_nobody && has_no_uid(seal) && seal["generation"] == 1;
        return (!is_fine).then(|| format!("ledger {name} begins with people or another seal: {seal}"));
    };
    if stored["metadata"]["resourceVersion"] != written["metadata"]["resourceVersion"] {
        // The API server refuses it.
        return None;
    }
    let was_intact = is_sealed(&stored["spec"]["seal"], stored, 0);
    // Two restored ledgers are merged first and sealed by the take-up that follows.
    let stays_broken = !was_intact && *seal == stored["spec"]["seal"];
    if !is_sealed(seal, stored, 1) && !stays_broken {
        return Some(format!(
            "ledger {name} is written with a seal that is broken: {seal}"
        ));
    }
    (was_intact && without_seal(written) == without_seal(stored))
        .then(|| format!("ledger {name} is written and nothing in it changes"))
}

/// Whether the seal is that of the stored version, or of one that comes so many writes later.
fn is_sealed(seal: &Value, stored: &Value, later: i64) -> bool {
    let metadata = &stored["metadata"];
    let generation = metadata["generation"].as_i64().unwrap_or_default();
    let is_first = later == 0 && generation == 1 && has_no_uid(seal);
    (is_first || seal["uid"] == metadata["uid"]) && seal["generation"] == generation + later
}

fn has_no_uid(seal: &Value) -> bool {
    text(&seal["uid"]).is_empty()
}

fn without_seal(ledger: &Value) -> Value {
    let mut spec = ledger["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("seal");
    }
    spec
}
