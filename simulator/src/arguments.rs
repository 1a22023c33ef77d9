//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use simulator::Profile;

/// Whatever made the program fail, for its last line.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A simulated Microsoft 365 tenant: token endpoint, Exchange admin API, Graph users and groups.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a tenant until SIGTERM or ctrl-c.
    Serve(Serve),
    /// Reach into a running tenant: the admin's hand, faults, the journal.
    Admin(Admin),
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:8480")]
    pub listen: String,
    /// A seed as JSON; the Contoso tenant when left out.
    #[arg(long, value_name = "FILE")]
    pub seed: Option<PathBuf>,
    /// How the tenant behaves: 2020, 2026, narrow-role, hybrid or linked-accounts. Replaces the quirks of the seed;
    /// without it the tenant behaves as is likeliest.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<Profile>,
    /// Write each journal entry to standard error, one JSON object a line.
    #[arg(long)]
    pub journal: bool,
}

#[derive(Debug, Args)]
pub struct Admin {
    /// Where the tenant runs.
    #[arg(long, value_name = "http://HOST:PORT", env = "SIMULATOR_SERVER")]
    pub server: String,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Block or unblock sign-in in the directory.
    SignIn {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
        #[arg(long, action = ArgAction::Set)]
        enabled: bool,
    },
    /// Run a cmdlet as an admin and print its rows.
    Cmdlet {
        name: String,
        #[arg(long, value_name = "JSON", default_value = "{}")]
        parameters: String,
    },
    /// Give a person new names; what is left out stays.
    Rename {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
        #[arg(long)]
        upn: Option<String>,
        #[arg(long)]
        address: Option<String>,
        #[arg(long)]
        display_name: Option<String>,
        /// Don't keep the old address as a further one.
        #[arg(long)]
        drop_old_address: bool,
    },
    /// Add a person or mailbox, written as in a seed.
    AddUser {
        #[arg(long, value_name = "JSON")]
        user: String,
    },
    /// Add a group, written as in a seed.
    AddGroup {
        #[arg(long, value_name = "JSON")]
        group: String,
    },
    /// Add a contact, written as in a seed.
    AddContact {
        #[arg(long, value_name = "JSON")]
        contact: String,
    },
    /// Put a person, contact or group into a group, or take it out.
    GroupMember {
        #[arg(long, value_name = "ADDRESS")]
        group: String,
        #[arg(long, value_name = "ADDRESS")]
        member: String,
        #[arg(long, action = ArgAction::Set)]
        present: bool,
    },
    /// Give a person a licence or take it away.
    Licence {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
        #[arg(long, action = ArgAction::Set)]
        licensed: bool,
    },
    /// Give a person another security identifier, as a move between forests does.
    ChangeSid {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
    },
    /// Delete a person, mailbox or group; people can be restored.
    DeleteUser {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
    },
    /// Bring back who was deleted.
    RestoreUser {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
    },
    /// Remove somebody for good, deleted before or not.
    PurgeUser {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
    },
    /// Put an entry on a mailbox, also one that no cmdlet makes.
    InjectAccess {
        #[arg(long, value_name = "ADDRESS")]
        mailbox: String,
        /// `{"trustee": …}`, with `rights`, `deny`, `standing` (`explicit`, `inherited`, `undeletable`) and
        /// `autoMapping` where they matter.
        #[arg(long, value_name = "JSON")]
        row: String,
    },
    /// Put an entry for Send As on a recipient.
    InjectSendAs {
        #[arg(long, value_name = "ADDRESS")]
        mailbox: String,
        /// `{"trustee": …}`, with `deny` and `standing` where they matter.
        #[arg(long, value_name = "JSON")]
        row: String,
    },
    /// Make somebody's entries on a mailbox impossible to remove, or possible again.
    Undeletable {
        #[arg(long, value_name = "ADDRESS")]
        mailbox: String,
        #[arg(long, value_name = "IDENTITY")]
        trustee: String,
        #[arg(long, action = ArgAction::Set)]
        undeletable: bool,
    },
    /// Print the whole tenant.
    State,
    /// Print every mailbox as it truly is.
    Mailboxes,
    /// Print what was asked of the tenant.
    Journal {
        /// Only entries after this sequence number.
        #[arg(long, value_name = "SEQUENCE")]
        since: Option<u64>,
        /// Forget it instead.
        #[arg(long, conflicts_with = "since")]
        clear: bool,
    },
    /// Print or replace the faults in force.
    Faults {
        /// The new faults; `{}` for none.
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
    },
    /// Change one setting of a mailbox with the cmdlet that writes it.
    Setting {
        #[arg(long, value_name = "ADDRESS")]
        mailbox: String,
        #[arg(long)]
        name: String,
        #[arg(long, value_name = "JSON")]
        value: String,
    },
    /// Take a parameter out of the app's role, have its values refused, or accept it again.
    Parameter {
        #[arg(long)]
        cmdlet: String,
        #[arg(long)]
        parameter: String,
        /// `accepted`, `notInRole` or `valueRefused`.
        #[arg(long)]
        rule: String,
    },
    /// Print or replace how the tenant answers where nobody knows what the service does.
    Quirks {
        /// The new quirks; `{}` for the likeliest.
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
    },
    /// Print or replace what the app has been granted.
    Grants {
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
    },
}
