//! A service that is less kind than we would like, each behaviour in each position: what is declared comes about either way,
//! nothing is written twice, and no status claims what is not so.

use super::kit::*;
use jiff::SignedDuration;
use serde_json::{Value, json};
use simulator::{
    AccessQuirks, BadWord, BatchErrors, Linked, ListQuirks, NextLink, OrganizationRows, Profile, Quirks,
    QuotaOrder, RefusalQuirks, Rename, Seed, SignInForm, UnknownParameter, UserFilter,
};
use testkit::{World, condition, with};

/// The likeliest tenant with one or two positions changed, each with its name.
fn positions() -> Vec<(&'static str, Quirks)> {
    let access = |name, change: fn(&mut AccessQuirks)| {
        let mut quirks = Quirks::default();
        change(&mut quirks.access);
        (name, quirks)
    };
    let refusals = |name, change: fn(&mut RefusalQuirks)| {
        let mut quirks = Quirks::default();
        change(&mut quirks.refusals);
        (name, quirks)
    };
    let lists = |name, change: fn(&mut ListQuirks)| {
        let mut quirks = Quirks::default();
        change(&mut quirks.lists);
        (name, quirks)
    };
    let mut all = vec![
        ("likeliest", Quirks::default()),
        access("adding answers no row", |quirks| {
            quirks.adding_answers_the_row = false;
        }),
        access("linked accounts", |quirks| quirks.linked = Linked::Found),
        access("linked accounts that no name finds", |quirks| {
            quirks.linked = Linked::NotFound;
        }),
        access("former SIDs, and a filter that knows them", |quirks| {
            quirks.former_sids = true;
            quirks.user_filter = UserFilter::EverySid;
            quirks.warns_of_former_sids = true;
        }),
        access("former SIDs, and a filter that does not", |quirks| {
            quirks.former_sids = true;
            quirks.warns_of_former_sids = true;
            quirks.adding_answers_the_row = false;
        }),
        access("a role group on the mailbox", |quirks| {
            quirks.organization_rows = OrganizationRows::OnTheMailbox;
        }),
        refusals("parameters that can't be bound", |quirks| {
            quirks.unknown_parameter = UnknownParameter::NotBound;
            quirks.bad_word = BadWord::Named;
            quirks.quota_order = QuotaOrder::WarningBelowSend;
        }),
        lists("links of the initial domain", |quirks| {
            quirks.next_link = NextLink::InitialDomain;
            quirks.largest_page = 3;
        }),
        lists("short filters", |quirks| quirks.most_conditions = 1),
        lists("groups that no id finds", |quirks| {
            quirks.groups_have_no_id_filter = true;
        }),
        lists("rows of groups without ids", |quirks| {
            quirks.group_rows_lack_ids = true;
        }),
        lists("groups without ids", |quirks| {
            quirks.groups_have_no_id_filter = true;
            quirks.group_rows_lack_ids = true;
        }),
        refusals("a role without leftovers", |quirks| {
            quirks.not_in_role = ["Get-MailboxPermission/IncludeUnresolvedPermissions".to_owned()].into();
        }),
    ];
    let whole = |name, change: fn(&mut Quirks)| {
        let mut quirks = Quirks::default();
        change(&mut quirks);
        (name, quirks)
    };
    all.extend([
        whole("batches that stop at the first error", |quirks| {
            quirks.batch_errors = BatchErrors::Stops;
        }),
        whole("new accounts are disabled", |quirks| {
            quirks.sign_in.new_accounts_disabled = true;
        }),
        whole("batches that leave items out after an error", |quirks| {
            quirks.batch_errors = BatchErrors::LeavesOut;
        }),
        whole("Exchange and Entra say different things", |quirks| {
            quirks.sign_in = SignInForm::apart();
        }),
        whole("what Exchange is told does not show in Entra", |quirks| {
            quirks.sign_in.exchange_shows_in_entra = false;
        }),
        whole("what Entra is told does not show in Exchange", |quirks| {
            quirks.sign_in.entra_shows_in_exchange = false;
        }),
    ]);
    all.extend(Profile::ALL.map(|profile| (profile.name(), profile.quirks())));
    all
}

pub fn in_tenant(quirks: Quirks) -> Seed {
    Seed {
        quirks,
        ..Seed::contoso()
    }
}

fn ids(world: &World, people: &[&str]) -> Vec<uuid::Uuid> {
    let mut ids: Vec<_> = people
        .iter()
        .map(|name| world.tenant.object_id(name).unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

/// Exactly these people hold both rights, and the status says so of each.
pub async fn hold(world: &World, name: &str, people: &[&str]) {
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let wanted = ids(world, people);
    let holds = || {
        let view = view(world);
        let mut full: Vec<_> = view.full_access.iter().map(|entry| entry.trustee).collect();
        let mut send = view.send_as.clone();
        full.sort_unstable();
        send.sort_unstable();
        full == wanted && send == wanted
    };
    until(world, &format!("{name}: {people:?} hold both rights"), holds).await;
    let mailbox = world.wait_mailbox("sales", "True", "UpToDate").await;
    let blocked = condition(&mailbox, "SignInBlocked").map(|blocked| blocked.in_short());
    assert_eq!(blocked.as_deref(), Some("True Blocked"), "{name}");
    assert!(view(world).account_disabled, "{name}: it is so");
    let status = world
        .wait_permission("team", "True", "Granted")
        .await
        .status
        .unwrap();
    let summary = format!("{0}/{0}", people.len());
    assert_eq!(status.member_summary, Some(summary), "{name}");
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_mailbox_is_the_same_whatever_the_service_does() {
    for (name, quirks) in positions() {
        let world = world(in_tenant(quirks), json!({})).await;
        world.apply(&sales(json!({}))).await;
        world.apply(&team(&[FIRST, SECOND])).await;
        hold(&world, name, &[FIRST, SECOND]).await;
        world.sleep(INTERVAL).await;
        stays_quiet_in(&world, name).await;

        // Drift: one right that an admin takes away comes back with one write.
        let taken = json!({ "Identity": SALES, "User": FIRST, "AccessRights": ["FullAccess"] });
        let sid = entry_sid(&world, FIRST);
        let taken = with(taken, &json!({ "User": sid }));
        admin(&world, "Remove-MailboxPermission", taken);
        hold(&world, name, &[FIRST, SECOND]).await;
        assert_eq!(sent_by_app(&world, "Add-MailboxPermission"), 1, "{name}");
        stays_quiet_in(&world, name).await;

        // And sign-in that an admin opens is blocked again, once.
        forget(&world);
        world.tenant.set_account_enabled(SALES, true).unwrap();
        until(&world, &format!("{name}: sign-in is blocked again"), || {
            view(&world).account_disabled
        })
        .await;
        hold(&world, name, &[FIRST, SECOND]).await;
        stays_quiet_in(&world, name).await;

        // Revoked: gone from both lists, and reported.
        world.apply(&team(&[FIRST])).await;
        hold(&world, name, &[FIRST]).await;
        let revoked = world.mailbox("sales").await.status.unwrap().revoked;
        assert_eq!(revoked.len(), 2, "{name}: {revoked:?}");
        stays_quiet_in(&world, name).await;

        // Renamed: nothing is written.
        let rename = Rename {
            upn: Some("anna@contoso.com".to_owned()),
            address: Some("anna@contoso.com".to_owned()),
            ..Rename::default()
        };
        world.tenant.rename_user(FIRST, &rename).unwrap();
        stays_quiet_in(&world, name).await;
        hold(&world, name, &["anna@contoso.com"]).await;

        // Back again, and its end.
        world.apply(&team(&[FIRST, SECOND])).await;
        hold(&world, name, &[FIRST, SECOND]).await;
        let end = world.server.now() + SignedDuration::from_hours(1);
        let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
        world.apply(&with(team(&[FIRST, SECOND]), &ends)).await;
        hold(&world, name, &[FIRST, SECOND]).await;
        world.sleep(3600).await;
        world.wait_permission("team", "True", "Expired").await;
        let view = view(&world);
        assert!(
            view.full_access.is_empty() && view.send_as.is_empty(),
            "{name}: nobody holds anything"
        );
        world.wait_mailbox("sales", "True", "UpToDate").await;
        stays_quiet_in(&world, name).await;
    }
}

/// The SID in somebody's entry for Full Access.
pub fn entry_sid(world: &World, person: &str) -> String {
    let id = world.tenant.object_id(person).unwrap();
    let entries = view(world).full_access;
    let own = entries.into_iter().find(|entry| entry.trustee == id);
    own.expect("they have an entry").sid
}

/// Two intervals in which nothing is written anywhere.
pub async fn stays_quiet_in(world: &World, name: &str) {
    forget(world);
    world.sleep(2 * INTERVAL).await;
    assert_eq!(world.writes(), NOTHING, "{name}");
    assert_eq!(world.kubernetes_writes(), NOTHING, "{name}");
}

pub fn sent_by_app(world: &World, cmdlet: &str) -> usize {
    world.writes().iter().filter(|name| *name == cmdlet).count()
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_follows_links_of_the_initial_domain_only_is_asked_so_from_then_on() {
    for (next_link, works) in [
        (NextLink::AnyAnchor, true),
        (NextLink::InitialDomain, true),
        (NextLink::Nobody, false),
    ] {
        let mut quirks = Quirks::default();
        quirks.lists.next_link = next_link;
        quirks.lists.largest_page = 3;
        let world = world(in_tenant(quirks), json!({})).await;
        world.apply(&sales(json!({}))).await;
        world.apply(&team(&[FIRST, SECOND, THIRD])).await;
        if works {
            world.wait_permission("team", "True", "Granted").await;
            world.sleep(INTERVAL).await;
            forget(&world);
            world.sleep(INTERVAL).await;
            // Two pages of Full Access (five rows), none of them asked for twice.
            let failed = world
                .tenant
                .journal()
                .into_iter()
                .filter(|entry| entry.status >= 400);
            assert_eq!(failed.count(), 0, "{next_link:?}: what worked is remembered");
            assert_eq!(world.writes(), NOTHING);
        } else {
            world.sleep(INTERVAL).await;
            let ready = testkit::condition(&world.permission("team").await, "Ready");
            let is_true = ready.is_some_and(|ready| ready.status == "True");
            assert!(!is_true, "an incomplete list proves nothing");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_out_of_scope_says_whose_scope_and_is_left_alone_until_it_is_reached() {
    let world = world(Seed::contoso(), json!({})).await;
    settle(&world, &[FIRST]).await;
    let kind = world.tenant.quirks();
    let mut quirks = kind.clone();
    quirks.refusals.out_of_scope = [SALES.to_owned()].into();
    world.tenant.set_quirks(quirks);
    world.apply(&sales(json!({ "displayName": "Sales EMEA" }))).await;
    let mailbox = world.wait_mailbox("sales", "False", "NotAuthorized").await;
    says(
        &stalled(&mailbox, "NotAuthorized"),
        &["write scope of the app's role group", "widen it"],
    );
    assert_eq!(view(&world).display_name, "sales");
    world.tenant.set_quirks(kind);
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).display_name, "Sales EMEA");
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_mastered_on_premises_says_so_and_its_members_get_their_rights() {
    let mut world = World::without_operator(Seed::contoso()).await;
    world.apply(&testkit::tenant()).await;
    world.start_operator();
    settle(&world, &[FIRST]).await;
    world.tenant.set_dir_synced(SALES, true).unwrap();
    let kind = world.tenant.quirks();
    let mut quirks = kind.clone();
    quirks.refusals.synced = true;
    world.tenant.set_quirks(quirks);
    world.apply(&sales(json!({ "displayName": "Sales EMEA" }))).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    let mailbox = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&mailbox, "SettingRefused"),
        &["mastered on premises", "IsExchangeCloudManaged"],
    );
    let permission = world.wait_permission("team", "True", "Granted").await;
    assert_eq!(permission.status.unwrap().member_summary.as_deref(), Some("2/2"));
    // Once its attributes are managed in the cloud, being synced refuses nothing.
    let mut quirks = kind.clone();
    quirks.refusals.synced = false;
    world.tenant.set_quirks(quirks);
    world.sleep(3600).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).display_name, "Sales EMEA");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_never_passes_holds_neither_the_block_nor_grants_hostage() {
    use simulator::{Fault, FaultRule};
    let world = sales_with(&[FIRST]).await;
    let broken = Fault::ServerError {
        status: 500,
        exception: None,
        message: None,
    };
    world
        .tenant
        .add_fault(FaultRule::always(broken).on(&["Set-Mailbox"]).naming("MailTip"));
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.apply(&sales(json!({ "mailTip": "Back soon" }))).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    let mailbox = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&mailbox, "SettingRefused"),
        &["mailTip", "keeps failing"],
    );
    assert!(view(&world).account_disabled, "what protects went alone");
    world.wait_permission("team", "True", "Granted").await;
    forget(&world);
    world.sleep(2 * 3600).await;
    // Every ten minutes, with the four attempts of each call.
    let tries = sent(&world, "Set-Mailbox");
    assert!(tries <= 2 * 6 * 4, "{tries}");
    world.tenant.set_faults(simulator::Faults::default());
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_fails_for_ever_does_not_keep_sign_in_open() {
    use simulator::{Fault, FaultRule};
    let world = sales_with(&[FIRST, SECOND]).await;
    let broken = Fault::ServerError {
        status: 500,
        exception: None,
        message: None,
    };
    world
        .tenant
        .add_fault(FaultRule::always(broken).on(&["Remove-RecipientPermission"]));
    world.apply(&team(&[FIRST])).await;
    world.sleep(120).await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    until(&world, "sign-in is blocked again", || {
        view(&world).account_disabled
    })
    .await;
    let mailbox = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&mailbox, "SettingRefused"),
        &["revoke SendAs", "keeps failing"],
    );
    let revoked = mailbox.status.unwrap().revoked;
    assert!(
        revoked.iter().all(|entry| entry.right.as_str() != "SendAs"),
        "{revoked:?}"
    );
    world.tenant.set_faults(simulator::Faults::default());
    until(&world, "it is revoked", || view(&world).send_as.len() == 1).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn whatever_words_a_refused_parameter_comes_in_the_rest_is_written_and_it_is_named() {
    for unknown_parameter in [UnknownParameter::AmbiguousSet, UnknownParameter::NotBound] {
        let mut quirks = Quirks::default();
        quirks.refusals.unknown_parameter = unknown_parameter;
        quirks.refusals.not_in_role = ["Set-Mailbox/MailTip".to_owned()].into();
        let world = world(in_tenant(quirks), json!({})).await;
        let spec: Value = json!({ "mailTip": "Back soon", "hiddenFromAddressLists": true });
        world.apply(&sales(spec)).await;
        world.apply(&team(&[FIRST])).await;
        let mailbox = world.wait_mailbox("sales", "False", "SettingRefused").await;
        says(
            &stalled(&mailbox, "SettingRefused"),
            &[
                "MailTip",
                "role may not use MailTip, or the service does not know it",
            ],
        );
        assert!(view(&world).hidden && view(&world).account_disabled);
        world.wait_permission("team", "True", "Granted").await;
    }
}

#[tokio::test(start_paused = true)]
async fn batches_of_every_kind_meet_every_profile() {
    for profile in Profile::ALL {
        let mut quirks = profile.quirks();
        quirks.batch_errors = BatchErrors::Stops;
        let world = world(in_tenant(quirks), json!({})).await;
        settle(&world, &[FIRST, SECOND]).await;
        world.sleep(INTERVAL).await;
        stays_quiet_in(&world, profile.name()).await;
    }
}

#[test]
fn the_test_command_runs_the_flows_under_every_profile() {
    let command = include_str!("../../xtask/src/commands/test.rs");
    for profile in Profile::ALL {
        assert!(command.contains(&format!("\"{profile}\"")), "{profile}");
    }
    assert!(command.contains(testkit::PROFILE_VARIABLE));
}
