//! The gateway against the simulated tenant: both sides were written from the same facts and not from each other.

mod capabilities;
mod failures;

use std::collections::BTreeMap;

use futures::future::{join_all, try_join_all};
use secrecy::SecretString;
use serde_json::json;
use simulator::{Control, Fault, FaultRule, Seed, Simulator, Surface};

use crate::clock::Clock;
use crate::exchange::{
    Cloud, Connection, Credential, Endpoints, ErrorClass, ExchangeError, Gateway, GatewayMetrics,
    HttpService, NewMailbox, Parameters, Receipt, RecipientIdentity, RecipientKind, RecipientQuery,
    RecipientRow, Stage, TransportError,
};
use crate::lane::Lane;
use crate::mail::{Holder, MailboxGuid, ObjectId, OneTimeName, SmtpAddress};
use crate::setting::{Call, Kind, Property, Value};

const LANE: Lane = Lane::Edit;

struct Bench {
    gateway: Gateway,
    control: Control,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Connection)) -> Self {
        Self::of(Seed::contoso(), change)
    }

    fn of(seed: Seed, change: impl FnOnce(&mut Connection)) -> Self {
        let mut connection = Connection {
            tenant: seed.tenant_id.to_string().parse().unwrap(),
            endpoints: Endpoints::for_cloud(Cloud::Worldwide),
            client_id: seed.client_id,
            credentials: vec![Credential::ClientSecret(SecretString::from(
                seed.client_secret.as_str(),
            ))],
            max_concurrent: 4,
            writes_per_minute: 120,
        };
        change(&mut connection);
        let simulator = Simulator::new(seed);
        let control = simulator.control();
        let http = HttpService::new(tower::service_fn(move |request| {
            let simulator = simulator.clone();
            async move {
                simulator
                    .handle(request)
                    .await
                    .map_err(|dropped| TransportError::lost(dropped.to_string()))
            }
        }));
        let clock = Clock::starting_at("2026-11-22T09:00:00Z".parse().unwrap());
        Self {
            gateway: Gateway::new(connection, http, clock, GatewayMetrics::default()),
            control,
        }
    }

    async fn member(&self, ordinal: &str) -> RecipientRow {
        let identity = RecipientIdentity::Address(address(&format!("{ordinal}.member@contoso.com")));
        self.gateway.recipient(LANE, &identity).await.unwrap()
    }

    /// How often each cmdlet of the app reached the tenant.
    fn cmdlets(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entry in self.control.journal() {
            if let Some(name) = entry.cmdlet() {
                *counts.entry(name.to_owned()).or_default() += 1;
            }
        }
        counts
    }
}

fn address(text: &str) -> SmtpAddress {
    text.parse().unwrap()
}

fn sales() -> NewMailbox {
    NewMailbox {
        name: "smo-sales".to_owned(),
        display_name: OneTimeName::from_random_bits(7),
        alias: "sales".parse().unwrap(),
        primary: address("sales@contoso.com"),
    }
}

async fn create(bench: &Bench) -> crate::exchange::CreatedMailbox {
    bench.gateway.create_shared_mailbox(LANE, &sales()).await.unwrap()
}

fn setting(parameter: &str, value: &str) -> Parameters {
    let mut parameters = Parameters::default();
    parameters.set(parameter, value);
    parameters
}

async fn set_mailbox(gateway: &Gateway, guid: MailboxGuid, parameters: &Parameters) -> Receipt {
    gateway
        .change(LANE, Call::Mailbox, guid, parameters)
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_with_five_members_is_created_with_twelve_writes_and_read_back() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    let domains = gateway.accepted_domains(LANE).await.unwrap();
    assert!(domains.iter().any(|domain| domain.initial) && domains.iter().any(|domain| domain.default));
    let ordinals = ["first", "second", "third", "fourth", "fifth"];
    let members = join_all(ordinals.map(|ordinal| bench.member(ordinal))).await;
    let ids: Vec<ObjectId> = members.iter().map(|row| row.object_id.unwrap()).collect();
    let claims = [
        RecipientQuery::Address(address("sales@contoso.com")),
        RecipientQuery::DisplayName(sales().display_name),
    ];
    assert!(gateway.find_recipients(LANE, &claims).await.unwrap().is_empty());

    let created = create(&bench).await;
    let mut change = setting("CustomAttribute15", "Managed by a test");
    change.set("AccountDisabled", true);
    change.set("DisplayName", "Sales");
    change.add("EmailAddresses", "smtp:info@contoso.com".to_owned());
    change.add("GrantSendOnBehalfTo", ids[0].to_string());
    set_mailbox(gateway, created.guid, &change).await;
    let full = ids
        .iter()
        .map(|id| gateway.add_full_access(LANE, created.guid, id, true));
    let send = ids.iter().map(|id| gateway.add_send_as(LANE, created.guid, id));
    let (full, send) = tokio::join!(try_join_all(full), try_join_all(send));
    assert!(
        full.unwrap()
            .iter()
            .chain(&send.unwrap())
            .all(|warnings| !warnings.say_already_present())
    );

    let (mailbox, full, send) = tokio::join!(
        gateway.mailbox(LANE, created.guid, &[]),
        gateway.full_access(LANE, created.guid, None),
        gateway.send_as(LANE, created.guid, None),
    );
    let (mailbox, full, send) = (mailbox.unwrap(), full.unwrap(), send.unwrap());
    assert_eq!(
        (mailbox.display_name.as_str(), mailbox.primary.as_str()),
        ("Sales", "sales@contoso.com")
    );
    assert_eq!(mailbox.object_id, Some(created.object_id));
    assert!(mailbox.account_disabled);
    assert_eq!(mailbox.custom_attribute(15), "Managed by a test");
    assert!(
        mailbox
            .smtp_addresses()
            .any(|alias| alias == address("info@contoso.com"))
    );
    let on_behalf = RecipientIdentity::read_back(&mailbox.on_behalf[0]).unwrap();
    assert_eq!(
        gateway.recipient(LANE, &on_behalf).await.unwrap().object_id,
        Some(ids[0])
    );
    let of_members = |sid: &Option<crate::mail::Sid>| sid.as_ref().is_some_and(|sid| !sid.is_self());
    assert_eq!(
        full.iter()
            .filter(|row| of_members(&row.sid) && !row.inherited)
            .count(),
        5
    );
    assert_eq!(send.iter().filter(|row| of_members(&row.sid)).count(), 5);

    let counts = bench.cmdlets();
    let writes: Vec<(&str, usize)> = counts
        .iter()
        .filter(|(name, _)| !name.starts_with("Get-"))
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(
        writes,
        [
            ("Add-MailboxPermission", 5),
            ("Add-RecipientPermission", 5),
            ("New-Mailbox", 1),
            ("Set-Mailbox", 1)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_a_warning_and_a_revocation_takes_exactly_one_grant() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    let created = create(&bench).await;
    let (first, second) = (
        bench.member("first").await.object_id.unwrap(),
        bench.member("second").await.object_id.unwrap(),
    );
    for id in [&first, &second] {
        gateway
            .add_full_access(LANE, created.guid, id, false)
            .await
            .unwrap();
        gateway.add_send_as(LANE, created.guid, id).await.unwrap();
    }
    assert!(
        gateway
            .add_full_access(LANE, created.guid, &first, true)
            .await
            .unwrap()
            .say_already_present()
    );
    assert!(
        gateway
            .add_send_as(LANE, created.guid, &first)
            .await
            .unwrap()
            .say_already_present()
    );
    gateway
        .remove_full_access(LANE, created.guid, &Holder::ObjectId(first))
        .await
        .unwrap();
    gateway
        .remove_send_as(LANE, created.guid, &Holder::ObjectId(first))
        .await
        .unwrap();
    assert!(
        gateway
            .remove_full_access(LANE, created.guid, &Holder::ObjectId(first))
            .await
            .unwrap()
            .say_not_present()
    );
    assert!(
        gateway
            .remove_send_as(LANE, created.guid, &Holder::ObjectId(first))
            .await
            .unwrap()
            .say_not_present()
    );
    assert!(
        gateway
            .full_access(LANE, created.guid, Some(&first))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        gateway
            .full_access(LANE, created.guid, Some(&second))
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        gateway
            .send_as(LANE, created.guid, Some(&second))
            .await
            .unwrap()
            .len(),
        1
    );
    let again = setting("DisplayName", "Sales");
    assert!(set_mailbox(gateway, created.guid, &again).await.is_empty());
    assert!(set_mailbox(gateway, created.guid, &again).await.say_no_change());
}

#[tokio::test(start_paused = true)]
async fn addresses_and_names_change_and_the_old_primary_can_go() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    let created = create(&bench).await;
    let mut rename = setting("WindowsEmailAddress", "vendite@contoso.com");
    rename.set("Alias", "vendite");
    set_mailbox(gateway, created.guid, &rename).await;
    let mut old = Parameters::default();
    old.remove("EmailAddresses", "smtp:sales@contoso.com".to_owned());
    set_mailbox(gateway, created.guid, &old).await;
    let alias = Property::new("alias", "Alias", Kind::Name);
    let mailbox = gateway.mailbox(LANE, created.guid, &[&alias]).await.unwrap();
    assert_eq!(mailbox.primary.as_str(), "vendite@contoso.com");
    assert_eq!(mailbox.settings.get("Alias"), Some(&Value::name("vendite")));
    assert!(
        mailbox
            .smtp_addresses()
            .all(|kept| kept != address("sales@contoso.com"))
    );
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_holder_of_an_address_is_found() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    let asked = [
        "first.member@contoso.com",
        "sales-team@contoso.com",
        "all-staff@contoso.com",
        "no.mailbox@contoso.com",
    ];
    let queries = asked.map(|text| RecipientQuery::Address(address(text)));
    let found = gateway.find_recipients(LANE, &queries).await.unwrap();
    let kind = |text: &str| {
        found
            .iter()
            .find(|row| row.has_address(&address(text)))
            .map(|row| row.kind.clone())
    };
    assert_eq!(kind(asked[0]), Some(RecipientKind::UserMailbox));
    assert_eq!(kind(asked[1]), Some(RecipientKind::SecurityGroup));
    assert_eq!(kind(asked[2]), Some(RecipientKind::DistributionGroup));
    assert_eq!(
        kind(asked[3]),
        None,
        "an account without a mailbox is no recipient"
    );
    let users = gateway
        .find_users_by_upn(LANE, &[address(asked[3]), address("nobody@contoso.com")])
        .await
        .unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!(
        gateway.user(LANE, &address(asked[0])).await.unwrap().kind,
        "UserMailbox"
    );
    assert!(users[0].sid.is_some() && users[0].object_id.is_some());
    let plain = gateway
        .groups_with_address(LANE, &address("plain-group@contoso.com"))
        .await
        .unwrap();
    assert_eq!(plain.len(), 1);
    assert!(!plain[0].is_mail_enabled());
    let nobody = RecipientIdentity::Address(address("nobody@contoso.com"));
    assert_eq!(
        gateway.recipient(LANE, &nobody).await.unwrap_err().class,
        ErrorClass::NotFound
    );
}

#[tokio::test(start_paused = true)]
async fn a_soft_deleted_holder_of_an_address_is_found() {
    let bench = Bench::new();
    create(&bench).await;
    bench
        .control
        .admin_cmdlet("Remove-Mailbox", json!({"Identity": "sales@contoso.com"}))
        .unwrap();
    let claim = [RecipientQuery::Address(address("sales@contoso.com"))];
    let found = bench.gateway.find_recipients(LANE, &claim).await.unwrap();
    assert_eq!(
        found.iter().map(|row| row.soft_deleted).collect::<Vec<_>>(),
        [true]
    );
}

#[tokio::test(start_paused = true)]
async fn the_mailbox_behind_a_lost_answer_is_found_by_its_one_time_name() {
    let bench = Bench::new();
    bench
        .control
        .add_fault(FaultRule::next(1, Fault::LostAnswer).on(&["New-Mailbox"]));
    let error = bench
        .gateway
        .create_shared_mailbox(LANE, &sales())
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Ambiguous);
    let query = [RecipientQuery::DisplayName(sales().display_name)];
    let found = bench.gateway.find_recipients(LANE, &query).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(
        bench
            .gateway
            .mailbox(LANE, found[0].guid.unwrap(), &[])
            .await
            .is_ok()
    );
    assert_eq!(bench.cmdlets()["New-Mailbox"], 1);
    let again = bench
        .gateway
        .create_shared_mailbox(LANE, &sales())
        .await
        .unwrap_err();
    assert_eq!(again.class, ErrorClass::Conflict);
}

#[tokio::test(start_paused = true)]
async fn sign_in_is_blocked_and_verified_in_the_directory() {
    let bench = Bench::new();
    let created = create(&bench).await;
    bench.control.add_fault(
        FaultRule::next(
            1,
            Fault::Throttled {
                retry_after_seconds: Some(3),
            },
        )
        .at(Surface::Graph),
    );
    bench
        .control
        .set_account_enabled("sales@contoso.com", true)
        .unwrap();
    assert!(
        bench
            .gateway
            .directory_user(LANE, &created.object_id)
            .await
            .unwrap()
            .account_enabled
    );
    bench
        .gateway
        .set_account_enabled(LANE, &created.object_id, false)
        .await
        .unwrap();
    let user = bench
        .gateway
        .directory_user(LANE, &created.object_id)
        .await
        .unwrap();
    assert!(!user.account_enabled && !user.on_premises_sync_enabled);
    bench.control.set_graph_user_write(false);
    let error = bench
        .gateway
        .set_account_enabled(LANE, &created.object_id, true)
        .await
        .unwrap_err();
    assert_eq!((error.class, error.stage), (ErrorClass::Denied, Stage::Graph));
    let nobody: ObjectId = "99999999-2222-3333-4444-555555555555".parse().unwrap();
    assert_eq!(
        bench
            .gateway
            .directory_user(LANE, &nobody)
            .await
            .unwrap_err()
            .class,
        ErrorClass::NotFound
    );
}
