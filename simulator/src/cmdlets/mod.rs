//! The cmdlets: their names, which parameters each takes, and what runs.

mod call;
mod get_mailbox;
mod mailbox_permission;
mod new_mailbox;
mod query;
mod recipient;
mod recipient_permission;
mod remove_mailbox;
mod rows;
mod set_mailbox;
mod settings;

use serde_json::{Map, Value};

pub use call::{Call, Done};

use crate::error::CmdletError;
use crate::parameters::{Parameters, Takes};

type Run = fn(&mut Call<'_>, &Parameters) -> Result<Done, CmdletError>;

struct Cmdlet {
    name: &'static str,
    takes: &'static [(&'static str, Takes)],
    /// Asks before it acts, unless `Confirm` is false.
    pauses: bool,
    run: Run,
}

const fn cmdlet(name: &'static str, takes: &'static [(&'static str, Takes)], run: Run) -> Cmdlet {
    Cmdlet {
        name,
        takes,
        pauses: false,
        run,
    }
}

const fn pausing(name: &'static str, takes: &'static [(&'static str, Takes)], run: Run) -> Cmdlet {
    Cmdlet {
        name,
        takes,
        pauses: true,
        run,
    }
}

static CMDLETS: &[Cmdlet] = &[
    cmdlet("New-Mailbox", new_mailbox::TAKES, new_mailbox::run),
    cmdlet("Get-Mailbox", get_mailbox::TAKES, get_mailbox::run),
    cmdlet("Set-Mailbox", set_mailbox::TAKES, set_mailbox::run),
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

/// Runs a cmdlet. An admin at a console is taken to have answered its questions with yes.
pub fn run(
    call: &mut Call<'_>,
    name: &str,
    parameters: &Map<String, Value>,
    confirmed: bool,
) -> Result<Done, CmdletError> {
    let cmdlet = CMDLETS
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| CmdletError::unknown_cmdlet(name))?;
    let parameters = Parameters::bind(parameters, cmdlet.takes)?;
    if parameters.is_on("WhatIf")
        || (cmdlet.pauses && !confirmed && parameters.switch("Confirm") != Some(false))
    {
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
