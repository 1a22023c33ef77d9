//! What a probe finds out about tenants that behave otherwise, and how little it asks for it.

use simulator::{BatchErrors, ParameterRule, Quirks, RoleList};
use strum::IntoEnumIterator as _;

use super::*;
use crate::exchange::{AfterError, Anchor, Capabilities, ClockState, Column};

const NOBODY: uuid::Uuid = uuid::Uuid::from_u128(0x00aa_bbcc_0000_4000_8000_0000_0000_0001);

async fn probe(bench: &Bench) -> Capabilities {
    bench.gateway.accepted_domains(LANE).await.unwrap();
    bench.gateway.probe(LANE, NOBODY).await
}

fn missing(found: &Capabilities) -> Vec<String> {
    found.missing.iter().map(ToString::to_string).collect()
}

fn quirky(change: impl FnOnce(&mut Quirks)) -> Bench {
    let bench = Bench::new();
    let mut quirks = bench.control.quirks();
    change(&mut quirks);
    bench.control.set_quirks(quirks);
    bench
}

#[tokio::test(start_paused = true)]
async fn a_usual_tenant_is_known_whole_after_few_reads() {
    let bench = Bench::new();
    bench.gateway.accepted_domains(LANE).await.unwrap();
    bench.control.clear_journal();
    let found = bench.gateway.probe(LANE, NOBODY).await;
    assert!(found.missing.is_empty() && found.role_is_listed, "{found:?}");
    assert_eq!(found.batches, Some(AfterError::Run));
    assert_eq!(found.paging, Some(Anchor::TenantId));
    let permissions: Vec<_> = found.permissions.unwrap().into_iter().collect();
    assert_eq!(
        permissions,
        [
            "GroupMember.Read.All",
            "User.EnableDisableAccount.All",
            "User.Read.All",
            "User.RevokeSessions.All"
        ]
    );
    assert_eq!(found.hidden_members, Some(false));
    for column in Column::iter() {
        assert_eq!(found.columns.get(&column), Some(&true), "{column:?}");
    }
    let journal = bench.control.journal();
    assert!(journal.iter().all(|entry| !entry.is_write() && !entry.changed));
    let requests: std::collections::BTreeSet<_> = journal.iter().filter_map(|entry| entry.request).collect();
    // The token for Graph, the role, two batches and the second page.
    assert_eq!((requests.len(), journal.len()), (5, 11), "{journal:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_role_lacks_is_named_whether_or_not_the_service_lists_it() {
    for list in [RoleList::Listed, RoleList::Redirected, RoleList::NotThere] {
        let bench = quirky(|quirks| quirks.role_list = list);
        let is_listed = list == RoleList::Listed;
        bench.control.set_cmdlet_in_role("Add-RecipientPermission", false);
        bench.control.set_cmdlet_in_role("Get-Group", false);
        for flag in [
            "IncludeUnresolvedPermissions",
            "IncludeSoftDeletedUserPermissions",
        ] {
            let rule = ParameterRule::NotInRole;
            bench
                .control
                .set_parameter_rule("Get-MailboxPermission", flag, rule);
        }
        let found = probe(&bench).await;
        assert_eq!(found.role_is_listed, is_listed);
        let mut expected = vec!["Get-Group"];
        if is_listed {
            expected.insert(0, "Add-RecipientPermission");
        }
        let seen = missing(&found);
        assert_eq!(&seen[..expected.len()], expected, "{seen:?}");
        assert!(
            seen.last().unwrap().starts_with("Get-MailboxPermission -Include"),
            "{seen:?}"
        );
        // What no read shows is shown by the refusal of a write.
        let created = create(&bench).await;
        let refused = bench
            .gateway
            .add_send_as(LANE, created.guid, &created.object_id)
            .await;
        assert_eq!(refused.unwrap_err().class, ErrorClass::Denied);
        bench.gateway.full_access(LANE, created.guid, None).await.unwrap();
        assert!(missing(&probe(&bench).await).contains(&"Add-RecipientPermission".to_owned()));
        // What is granted later is not missing any more.
        bench.control.set_cmdlet_in_role("Add-RecipientPermission", true);
        bench.control.set_cmdlet_in_role("Get-Group", true);
        bench.gateway.forget_tokens().await;
        bench
            .gateway
            .add_send_as(LANE, created.guid, &created.object_id)
            .await
            .unwrap();
        let left = missing(&probe(&bench).await);
        assert!(
            left.iter()
                .all(|name| name.starts_with("Get-MailboxPermission -")),
            "{left:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_ends_with_its_first_error_is_recognised() {
    for errors in [BatchErrors::Stops, BatchErrors::LeavesOut] {
        let found = probe(&quirky(|quirks| quirks.batch_errors = errors)).await;
        assert_eq!(found.batches, Some(AfterError::NotRun), "{errors:?}");
        assert!(found.missing.is_empty() && found.columns.len() == Column::iter().count());
    }
}

#[tokio::test(start_paused = true)]
async fn a_column_that_no_row_has_is_absent_and_nothing_else() {
    let found = probe(&quirky(|quirks| {
        quirks.missing.insert("UserSid".to_owned());
    }))
    .await;
    assert!(!found.columns[&Column::FullAccessSid]);
    assert!(found.columns[&Column::UserSid] && found.missing.is_empty());
}

#[tokio::test(start_paused = true)]
async fn accounts_that_graph_refuses_are_missing_at_once_and_groups_once_one_is_refused() {
    let bench = Bench::new();
    bench.control.set_graph_user_read(false);
    bench.control.set_graph_user_write(false);
    bench.control.set_graph_group_read(false);
    let found = probe(&bench).await;
    assert_eq!(missing(&found), ["User.Read.All on Microsoft Graph"]);
    assert!(!found.permissions.unwrap().contains("GroupMember.Read.All"));
    let group = NOBODY.to_string().parse().unwrap();
    bench.gateway.group_members(LANE, &group).await.unwrap_err();
    assert_eq!(
        missing(&probe(&bench).await),
        [
            "GroupMember.Read.All on Microsoft Graph",
            "User.Read.All on Microsoft Graph"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_is_told_from_one_that_nobody_shows() {
    for (start, expected) in [
        (None, None),
        (Some("2026-11-22T09:00:30Z"), Some(ClockState::InStep)),
        (Some("2026-11-22T08:50:00Z"), Some(ClockState::Ahead)),
        (Some("2026-11-22T09:10:00Z"), Some(ClockState::Behind)),
    ] {
        let seed = Seed {
            start: start.map(|text| text.parse().unwrap()),
            ..Seed::contoso()
        };
        let found = probe(&Bench::of(seed, |_| {})).await;
        assert_eq!(found.clock, expected, "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_does_not_answer_stays_unknown() {
    let bench = quirky(|quirks| quirks.role_list = RoleList::NotThere);
    bench.gateway.accepted_domains(LANE).await.unwrap();
    bench.control.add_fault(FaultRule {
        fault: Fault::LostRequest,
        surface: Surface::Exchange,
        cmdlets: Vec::new(),
        parameter: None,
        skip: 0,
        times: None,
        rate: None,
    });
    let found = bench.gateway.probe(LANE, NOBODY).await;
    assert!(found.missing.is_empty() && !found.role_is_listed && found.columns.is_empty());
    assert_eq!((found.batches, found.paging), (None, None));
}
