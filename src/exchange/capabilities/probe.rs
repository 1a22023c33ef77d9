//! Asks what a tenant can do: a dozen reads in six requests, nothing that changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::atomic::Ordering;

use strum::IntoEnumIterator as _;
use uuid::Uuid;

use super::found::{Capabilities, Column, Heard};
use super::used::{READ_USERS, reads_users};
use crate::exchange::Gateway;
use crate::exchange::error::{Concerns, ExchangeError};
use crate::exchange::learned::Learned;
use crate::exchange::wire::{Answer, Cmdlet, Row};
use crate::lane::Lane;
use crate::mail::{MailboxGuid, ObjectId, Sid};

/// A parameter that no cmdlet has.
pub const NO_PARAMETER: &str = "SharedMailboxOperatorDoctor";

/// The first object of each kind, where there is one that has an id.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub mailbox: Option<MailboxGuid>,
    pub user: Option<ObjectId>,
    pub user_sid: Option<Sid>,
    pub group: Option<ObjectId>,
    pub group_sid: Option<Sid>,
}

/// What one cmdlet answered, and under which name.
type Heading = (&'static str, Result<Answer, ExchangeError>);

impl Gateway {
    /// What has been seen so far, without asking.
    pub fn learned(&self) -> Learned {
        self.core.learned.lock().clone()
    }

    /// How many conditions a filter may have, as far as longer ones were refused.
    pub fn conditions_a_filter(&self) -> usize {
        self.core.conditions.load(Ordering::Relaxed)
    }

    /// Finds out what the tenant's service and the app's role can do. `nobody` is an id that names nothing: a new random
    /// one. Fails never: what can't be found out stays unknown.
    pub async fn probe(&self, lane: Lane, nobody: Uuid) -> Capabilities {
        self.probe_with_samples(lane, nobody).await.0
    }

    /// The same, and the objects that it met.
    pub async fn probe_with_samples(&self, lane: Lane, nobody: Uuid) -> (Capabilities, Samples) {
        let (role, granted, answers) = futures::join!(
            self.core.cmdlets_of_role(),
            self.permissions_of_token(),
            self.first_rows(lane, nobody),
        );
        let samples = Samples {
            mailbox: first(&answers, "Get-Mailbox", "ExchangeGuid"),
            user: first(&answers, "Get-User", "ExternalDirectoryObjectId"),
            user_sid: first(&answers, "Get-User", "Sid"),
            group: first(&answers, "Get-Group", "ExternalDirectoryObjectId"),
            group_sid: first(&answers, "Get-Group", "Sid"),
        };
        let (access, ()) = futures::join!(self.access(lane, samples.mailbox, nobody), self.second_page(lane));
        if !granted.as_ref().is_some_and(reads_users) {
            self.ask_graph(lane, nobody).await;
        }
        let answers: Vec<Heading> = answers.into_iter().chain(access).collect();
        let heard = Heard {
            role,
            answered: answers
                .iter()
                .filter(|(_, answer)| is_an_answer(answer))
                .map(|(name, _)| *name)
                .collect(),
            granted,
            columns: columns(&answers),
        };
        (Capabilities::of(heard, &self.learned()), samples)
    }

    /// What is said to whoever asks for what does not exist: a parameter, and a cmdlet.
    pub async fn refusals(&self, lane: Lane) -> [Option<ExchangeError>; 2] {
        let known = || Cmdlet::read("Get-AcceptedDomain", &["DomainName"]);
        let (parameter, cmdlet) = futures::join!(
            self.call(lane, known().with(NO_PARAMETER, true)),
            self.call(lane, Cmdlet::read("Get-SharedMailboxOperatorDoctor", &[])),
        );
        [parameter.err(), cmdlet.err()]
    }

    /// The first object of each kind, in one batch. The first call of it fails: nobody has that id.
    async fn first_rows(&self, lane: Lane, nobody: Uuid) -> Vec<Heading> {
        let first = |name, select: &[&'static str]| Cmdlet::read(name, select).with("ResultSize", "1");
        let calls = [
            first("Get-Recipient", &["ExternalDirectoryObjectId"]).with("Identity", nobody.to_string()),
            first("Get-Mailbox", &["ExchangeGuid"]),
            first("Get-User", &["ExternalDirectoryObjectId", "Sid"]),
            first("Get-Group", &["ExternalDirectoryObjectId", "Sid"]),
            first("Get-RecipientPermission", &["Trustee", "TrusteeSidString"]),
        ];
        self.ask(lane, calls).await
    }

    /// What is read of one mailbox, with every parameter that may be refused.
    async fn access(&self, lane: Lane, mailbox: Option<MailboxGuid>, nobody: Uuid) -> Vec<Heading> {
        let identity = mailbox.map_or_else(|| nobody.to_string(), |guid| guid.to_string());
        let of =
            |name, select: &[&'static str]| Cmdlet::read(name, select).with("Identity", identity.as_str());
        let calls = [
            of("Get-MailboxPermission", &["User", "UserSid"])
                .with("ResultSize", "Unlimited")
                .with("IncludeUnresolvedPermissions", true)
                .with("IncludeSoftDeletedUserPermissions", true),
            of("Get-CASMailbox", &["ExternalDirectoryObjectId"]),
        ];
        self.ask(lane, calls).await
    }

    async fn ask<const N: usize>(&self, lane: Lane, calls: [Cmdlet; N]) -> Vec<Heading> {
        let asked = calls.map(|cmdlet| async move {
            let name = cmdlet.name;
            (name, self.call(lane, cmdlet).await)
        });
        futures::future::join_all(asked).await
    }

    /// Lists two recipients, a page each: the gateway notes with which anchor the second page was answered. That the list
    /// was cut is no news.
    async fn second_page(&self, lane: Lane) {
        let cmdlet = Cmdlet::read("Get-Recipient", &["ExternalDirectoryObjectId"])
            .with("ResultSize", "2")
            .in_pages_of(1);
        let _ = self.list(lane, cmdlet).await;
    }

    /// Whether accounts can be read, which a role in the directory may allow as well as a permission: whoever may not is
    /// refused, which is noted, and whoever may learns that nobody has the id. Who is in groups matters only where a
    /// manifest expands one, and a refusal shows it then.
    async fn ask_graph(&self, lane: Lane, nobody: Uuid) {
        let Ok(id) = nobody.to_string().parse::<ObjectId>() else {
            return;
        };
        let answer = self.directory_user(lane, &id).await;
        if answer.is_err_and(|error| error.class.is_absence()) {
            self.core.learned.lock().permission(READ_USERS, true);
        }
    }

    async fn permissions_of_token(&self) -> Option<BTreeSet<String>> {
        self.core.graph_tokens.get().await.ok()?.roles
    }
}

/// True for rows, and for a refusal of what was named: whoever lacks the cmdlet learns neither.
fn is_an_answer(answer: &Result<Answer, ExchangeError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => error.class.concerns() == Concerns::Call && error.class.is_absence(),
    }
}

/// A property of the first row that `cmdlet` answered.
fn first<T: FromStr>(answers: &[Heading], cmdlet: &str, property: &str) -> Option<T> {
    let (_, answer) = answers.iter().find(|(name, _)| *name == cmdlet)?;
    Row(answer.as_ref().ok()?.rows.first()?).optional(property)
}

/// Whether the rows have the properties that designs differ by. Where there is no row nothing is known.
fn columns(answers: &[Heading]) -> BTreeMap<Column, bool> {
    let shown = |column: Column| {
        let (cmdlet, property) = column.name().split_once(' ')?;
        let (_, answer) = answers.iter().find(|(name, _)| *name == cmdlet)?;
        let rows = &answer.as_ref().ok()?.rows;
        let has = rows.iter().any(|row| Row(row).optional_text(property).is_some());
        (!rows.is_empty()).then_some((column, has))
    };
    Column::iter().filter_map(shown).collect()
}
