//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

/// A simulated Microsoft 365 tenant: token endpoint, Exchange admin API, Graph users.
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
    /// Delete a person, mailbox or group.
    DeleteUser {
        #[arg(long, value_name = "ADDRESS")]
        user: String,
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
    /// Print or replace what the app has been granted.
    Grants {
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
    },
}
