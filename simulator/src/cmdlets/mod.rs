//! The cmdlets: their names, which parameters each takes, and what runs.

mod archive;
mod call;
mod cas_mailbox;
mod get_mailbox;
mod mailbox_permission;
mod new_mailbox;
mod query;
mod quotas;
mod recipient;
mod recipient_permission;
mod remove_mailbox;
mod rows;
mod set_mailbox;
mod store;
mod unkind;
mod write_settings;

use serde_json::{Map, Value};

pub use call::{Call, Done};

use crate::error::CmdletError;
use crate::grants::ParameterRule;
use crate::journal::Actor;
use crate::parameters::{Parameters, Takes};
use crate::settings::{self, Pair, Setting};
use crate::world::World;

type Run = fn(&mut Call<'_>, &Parameters) -> Result<Done, CmdletError>;

struct Cmdlet {
    name: &'static str,
    takes: &'static [(&'static str, Takes)],
    /// Settings that it takes as parameters besides.
    settings: &'static [Setting],
    /// Asks before it acts, unless `Confirm` is false.
    pauses: bool,
    run: Run,
}

const fn cmdlet(name: &'static str, takes: &'static [(&'static str, Takes)], run: Run) -> Cmdlet {
    Cmdlet {
        name,
        takes,
        settings: &[],
        pauses: false,
        run,
    }
}

/// The Set- cmdlet of a pair: every setting of the table is one of its parameters.
const fn setting(pair: &'static Pair, takes: &'static [(&'static str, Takes)], run: Run) -> Cmdlet {
    Cmdlet {
        name: pair.set,
        takes,
        settings: pair.settings,
        pauses: false,
        run,
    }
}

const fn pausing(name: &'static str, takes: &'static [(&'static str, Takes)], run: Run) -> Cmdlet {
    Cmdlet {
        name,
        takes,
        settings: &[],
        pauses: true,
        run,
    }
}

static CMDLETS: &[Cmdlet] = &[
    cmdlet("New-Mailbox", new_mailbox::TAKES, new_mailbox::run),
    cmdlet(settings::MAILBOX.get, get_mailbox::TAKES, get_mailbox::run),
    setting(&settings::MAILBOX, set_mailbox::TAKES, set_mailbox::run),
    cmdlet(
        settings::CLIENT_ACCESS.get,
        cas_mailbox::GET_TAKES,
        cas_mailbox::get,
    ),
    setting(&settings::CLIENT_ACCESS, cas_mailbox::SET_TAKES, cas_mailbox::set),
    cmdlet(
        settings::REGIONAL.get,
        store::GET_REGIONAL_TAKES,
        store::get_regional,
    ),
    setting(
        &settings::REGIONAL,
        store::SET_REGIONAL_TAKES,
        store::set_regional,
    ),
    cmdlet(
        settings::AUTO_REPLY.get,
        store::GET_AUTO_REPLY_TAKES,
        store::get_auto_reply,
    ),
    setting(
        &settings::AUTO_REPLY,
        store::SET_AUTO_REPLY_TAKES,
        store::set_auto_reply,
    ),
    cmdlet("Enable-Mailbox", archive::ENABLE_TAKES, archive::enable),
    pausing("Disable-Mailbox", archive::DISABLE_TAKES, archive::disable),
    pausing("Remove-Mailbox", remove_mailbox::TAKES, remove_mailbox::run),
    cmdlet(
        "Undo-SoftDeletedMailbox",
        remove_mailbox::UNDO_TAKES,
        remove_mailbox::undo,
    ),
    cmdlet(
        "Get-Recipient",
        recipient::RECIPIENT_TAKES,
        recipient::get_recipient,
    ),
    cmdlet("Get-User", recipient::USER_TAKES, recipient::get_user),
    cmdlet("Get-Group", recipient::GROUP_TAKES, recipient::get_group),
    cmdlet(
        "Get-DistributionGroupMember",
        recipient::MEMBER_TAKES,
        recipient::get_member,
    ),
    cmdlet(
        "Get-AcceptedDomain",
        recipient::DOMAIN_TAKES,
        recipient::get_accepted_domain,
    ),
    cmdlet(
        "Get-MailboxPermission",
        mailbox_permission::GET_TAKES,
        mailbox_permission::get,
    ),
    cmdlet(
        "Add-MailboxPermission",
        mailbox_permission::ADD_TAKES,
        mailbox_permission::add,
    ),
    pausing(
        "Remove-MailboxPermission",
        mailbox_permission::REMOVE_TAKES,
        mailbox_permission::remove,
    ),
    cmdlet(
        "Get-RecipientPermission",
        recipient_permission::GET_TAKES,
        recipient_permission::get,
    ),
    pausing(
        "Add-RecipientPermission",
        recipient_permission::ADD_TAKES,
        recipient_permission::add,
    ),
    pausing(
        "Remove-RecipientPermission",
        recipient_permission::REMOVE_TAKES,
        recipient_permission::remove,
    ),
];

/// What the app's role has.
pub fn in_role(world: &World) -> impl Iterator<Item = &'static str> {
    let lacks = |name: &str| {
        world.parameter_rules.of(name, WHOLE_CMDLET) == ParameterRule::NotInRole
            || world.quirks.refusals.not_in_role.contains(name)
    };
    CMDLETS
        .iter()
        .map(|cmdlet| cmdlet.name)
        .filter(move |name| !lacks(name))
}

impl Cmdlet {
    /// A parameter's name as it is written, and what it takes.
    fn parameter(&self, name: &str) -> Option<(&'static str, Takes)> {
        let own = self.takes.iter().copied();
        let settings = self
            .settings
            .iter()
            .map(|setting| (setting.name, setting.takes()));
        own.chain(settings)
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

/// Runs a cmdlet. An admin at a console has every role, and is taken to have answered its questions with yes.
pub fn run(call: &mut Call<'_>, name: &str, parameters: &Map<String, Value>) -> Result<Done, CmdletError> {
    let cmdlet = CMDLETS
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| CmdletError::unknown_cmdlet(name))?;
    match call.actor {
        Actor::Admin => start(call, cmdlet, parameters),
        Actor::App => {
            let mut done = check_rules(call, cmdlet.name, parameters)
                .and_then(|()| unkind::check(call, cmdlet.name, parameters))
                .and_then(|()| start(call, cmdlet, parameters))
                .map_err(|error| call.world.quirks.refusals.retell(error))?;
            let shows_ids = cmdlet.name != "Get-Group" || !call.world.quirks.lists.group_rows_lack_ids;
            for row in done.rows.iter_mut().filter_map(Value::as_object_mut) {
                call.world.quirks.alter(row);
                if !shows_ids && let Some(id) = row.get_mut("ExternalDirectoryObjectId") {
                    *id = Value::from("");
                }
            }
            Ok(done)
        }
    }
}

fn start(call: &mut Call<'_>, cmdlet: &Cmdlet, parameters: &Map<String, Value>) -> Result<Done, CmdletError> {
    let parameters = Parameters::bind(parameters, |name| cmdlet.parameter(name))?;
    let confirmed = call.actor == Actor::Admin || parameters.switch("Confirm") == Some(false);
    if parameters.is_on("WhatIf") || (cmdlet.pauses && !confirmed) {
        let target = parameters.text("Identity").unwrap_or_default();
        return Ok(Done {
            confirmation: Some(format!(
                "Are you sure you want to perform this action? {} on \"{target}\".",
                cmdlet.name
            )),
            ..Done::default()
        });
    }
    (cmdlet.run)(call, &parameters)
}

/// A rule for this "parameter" is one for the cmdlet itself.
pub const WHOLE_CMDLET: &str = "";

/// What tests have put in the way of cmdlets and single parameters.
fn check_rules(call: &Call<'_>, cmdlet: &str, parameters: &Map<String, Value>) -> Result<(), CmdletError> {
    if call.world.parameter_rules.of(cmdlet, WHOLE_CMDLET) == ParameterRule::NotInRole {
        return Err(CmdletError::unknown_cmdlet(cmdlet));
    }
    for (name, value) in parameters {
        match call.world.parameter_rules.of(cmdlet, name) {
            ParameterRule::Accepted => {}
            ParameterRule::NotInRole => return Err(CmdletError::unknown_parameter(name)),
            ParameterRule::ValueRefused => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                return Err(CmdletError::invalid_value(name, &text, "This tenant refuses it."));
            }
        }
    }
    Ok(())
}
