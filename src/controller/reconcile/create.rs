//! Making a mailbox, so that a crash at any point leads to one mailbox and not to two.
//!
//! Intent first, acknowledged by the API server; then New-Mailbox under a one-time name; then the GUID,
//! acknowledged too; from there on the mailbox is one like any other.

use std::time::Duration;

use super::fetch::Seen;
use super::outcome::{Outcome, Progress, Stall};
use super::pass::{Ending, Ground, Pass};
use super::report;
use super::validate::Wanted;
use crate::api::{Intent, Record};
use crate::exchange::{CreatedMailbox, ExchangeError, NewMailbox};
use crate::mail::{Nickname, OneTimeName};
use crate::plan::{self, Creation, Observed, SHOWN_BY_THEN};

/// After a create whose answer is unknown: how long its mailbox is looked for before the same create is sent
/// again. Exchange refuses a second one with the same addresses, so this only spares it the question.
const LOOKED_FOR: Duration = Duration::from_mins(1);
/// How long a conflict may be with the mailbox of an announced create that is not shown yet.
pub const AMBIGUOUS: Duration = Duration::from_mins(10);

pub async fn create(
    pass: &mut Pass<'_>,
    mut ground: Ground,
    wanted: Wanted,
    nickname: Nickname,
) -> Result<Ending, Outcome> {
    let intent = announce(pass, &mut ground, nickname).await?;
    let creation = Creation {
        alias: intent
            .nickname()
            .ok_or_else(|| unreadable("record.intent.alias"))?,
        one_time_name: intent.one_time_name.clone(),
        address: intent.address.clone(),
    };
    let new = NewMailbox {
        name: creation.one_time_name.to_string(),
        display_name: creation.one_time_name.clone(),
        alias: creation.alias.clone(),
        primary: creation.address.clone(),
    };
    let created = match ground.tenant.gateway.create_shared_mailbox(pass.lane, &new).await {
        Ok(created) => created,
        Err(error) => return failed(pass, &ground.record, &intent, &error),
    };
    let CreatedMailbox { guid, object_id } = created;
    // Should the next write to Kubernetes fail, this process still knows.
    let created = (creation.one_time_name.clone(), guid);
    pass.context
        .state
        .remember(pass.key, |memory| memory.created = Some(created));
    let observed = Observed::just_created(guid, object_id, &creation);
    let desired = pass.desired(&ground, &wanted);
    let planned = plan::plan(&desired, &observed, &ground.record);
    // From now on the mailbox is known by its GUID, whatever happens.
    let mut status = pass.object.status.clone().unwrap_or_default();
    status.mailbox_guid = Some(guid.to_string());
    status.object_id = Some(object_id.to_string());
    status.tenant_guid = Some(ground.tenant.guid.to_string());
    status.record = Some((&planned.announced).into());
    pass.write_status(status).await?;
    pass.tell(
        false,
        "Created",
        "Create",
        &format!("made the mailbox {} with ExchangeGuid {guid}", intent.address),
    )
    .await;
    pass.act(
        ground,
        wanted,
        desired,
        Seen {
            observed,
            kind: "SharedMailbox".to_owned(),
        },
    )
    .await
}

/// The intent, as the API server has acknowledged it. An earlier one for the same address is taken up again.
async fn announce(pass: &mut Pass<'_>, ground: &mut Ground, nickname: Nickname) -> Result<Intent, Outcome> {
    let clock = pass.context.clock;
    if let Some(earlier) = &ground.record.intent {
        let age = clock.since(earlier.at);
        let unsent = pass
            .context
            .state
            .remember(pass.key, |memory| memory.unsent.clone());
        let surely_unsent = unsent.as_ref() == Some(&earlier.one_time_name);
        let same = earlier.address == ground.admitted.address
            && (ground.admitted.alias.is_none() || earlier.nickname() == ground.admitted.alias);
        // Another one has to wait until no replica can hide the first.
        let wait = if same { LOOKED_FOR } else { SHOWN_BY_THEN };
        if !surely_unsent && age < wait {
            let text = format!(
                "a New-Mailbox for {} was announced at {:.0} and its answer is not known; its mailbox is looked for \
                 before anything is repeated",
                earlier.address, earlier.at
            );
            return Err(Outcome::Progressing(Progress::LookingForMailbox(text)));
        }
        if same {
            return Ok(earlier.clone());
        }
    }
    let intent = Intent {
        one_time_name: OneTimeName::from_random_bits(pass.context.rng.bits()),
        alias: nickname.to_string(),
        address: ground.admitted.address.clone(),
        at: clock.now(),
    };
    ground.record.intent = Some(intent.clone());
    let text = format!("making the mailbox {}", intent.address);
    let creating = Outcome::Progressing(Progress::Creating(text));
    let status = report::mailbox(
        &pass.object,
        &creating.disposition(),
        &report::Sight::Nothing,
        Some(&ground.record),
        clock.now(),
    );
    pass.write_status(status).await?;
    Ok(intent)
}

fn failed(
    pass: &mut Pass<'_>,
    record: &Record,
    intent: &Intent,
    error: &ExchangeError,
) -> Result<Ending, Outcome> {
    match (error.class.proves_not_executed(), error.class.is_permanent()) {
        // The values are refused: with other values it is another intent.
        (true, true) => {
            let record = Record {
                intent: None,
                ..record.clone()
            };
            let outcome = Outcome::Stalled(Stall::SettingRefused(error.to_string()));
            Ok(Ending {
                outcome,
                record: Some(record),
                view: None,
                done: Vec::new(),
                revoked: Vec::new(),
            })
        }
        (true, false) => {
            let name = intent.one_time_name.clone();
            pass.context
                .state
                .remember(pass.key, |memory| memory.unsent = Some(name));
            Err(Outcome::of_error(error))
        }
        (false, true) if pass.context.clock.since(intent.at) >= AMBIGUOUS => {
            Err(Outcome::Stalled(Stall::AddressInUse(error.to_string())))
        }
        // Perhaps it is the mailbox of this very intent, not shown yet.
        (false, _) => Err(Outcome::Progressing(Progress::LookingForMailbox(
            error.to_string(),
        ))),
    }
}

fn unreadable(field: &str) -> Outcome {
    Outcome::Stalled(Stall::RecordUnreadable(format!(
        "status.{field} was edited and can't be read"
    )))
}
