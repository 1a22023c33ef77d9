//! What a tenant can do is found out, shown on the ExchangeTenant, and does not move unless the tenant does.

use serde_json::json;
use shared_mailbox_operator::api::{BatchAfterError, ExchangeTenant, PagingAnchor, RoleKnowledge};
use simulator::{BatchErrors, ParameterRule, Profile, Quirks, Seed};
use testkit::{World, condition, mailbox, permission, tenant};

use super::kit::{admin, leftovers_are_unseen, tenants_are};

const DAY: u64 = 24 * 3600;

async fn world(change: impl FnOnce(&mut Quirks)) -> World {
    let world = World::without_operator(Seed::contoso()).await;
    let mut quirks = world.tenant.quirks();
    change(&mut quirks);
    world.tenant.set_quirks(quirks);
    world
}

async fn started(world: &mut World) {
    world.apply(&tenant()).await;
    world.start_operator();
}

/// The tenant, once `check` holds for it.
async fn wait(world: &World, what: &str, check: impl Fn(&ExchangeTenant) -> bool) -> ExchangeTenant {
    world
        .wait(what, async || Some(world.tenant_resource().await).filter(&check))
        .await
}

fn missing(object: &ExchangeTenant) -> Vec<&str> {
    let capabilities = object
        .status
        .as_ref()
        .and_then(|status| status.capabilities.as_ref());
    capabilities.map_or_else(Vec::new, |known| {
        known.missing.iter().map(String::as_str).collect()
    })
}

fn advisory(object: &ExchangeTenant) -> Option<String> {
    let found = condition(object, "CapabilityMissing")?;
    assert_eq!(
        (found.status.as_str(), found.reason.as_str()),
        ("True", "NotGranted")
    );
    Some(found.message)
}

fn is_known(object: &ExchangeTenant) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|status| status.capabilities.is_some())
}

/// Requests for the list of the role: one a probe.
fn probes(world: &World) -> usize {
    let journal = world.tenant.journal();
    journal
        .iter()
        .filter(|entry| format!("{:?}", entry.kind).contains("EXOModuleFile"))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_usual_tenant_is_shown_whole_and_written_once_a_day_at_most() {
    // There it lacks something from the start.
    if leftovers_are_unseen() {
        return;
    }
    let mut world = world(|_| {}).await;
    started(&mut world).await;
    let object = wait(&world, "known", is_known).await;
    let known = object.status.as_ref().unwrap().capabilities.clone().unwrap();
    assert_eq!(known.role, RoleKnowledge::Listed);
    assert_eq!(known.batch_after_error, BatchAfterError::Runs);
    let anchor = if tenants_are(&[Profile::Y2026]) {
        PagingAnchor::InitialDomain
    } else {
        PagingAnchor::TenantId
    };
    assert_eq!(known.paging, anchor);
    let expected = [
        "GroupMember.Read.All",
        "User.EnableDisableAccount.All",
        "User.Read.All",
        "User.RevokeSessions.All",
    ];
    assert_eq!(known.graph_permissions, expected);
    let lacks_columns = tenants_are(&[Profile::Hybrid]);
    assert_eq!(known.absent_columns.is_empty(), !lacks_columns);
    assert!(known.missing.is_empty());
    assert_eq!(advisory(&object), None);
    let version = object.metadata.resource_version.clone();
    world.sleep(DAY + 3600).await;
    assert_eq!(probes(&world), 2, "at the start and a day later");
    let later = world.tenant_resource().await;
    assert_eq!(later.metadata.resource_version, version, "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn a_cmdlet_outside_the_role_is_named_before_anybody_needs_it_and_forgotten_when_it_is_granted() {
    // There it lacks something from the start.
    if leftovers_are_unseen() {
        return;
    }
    let mut world = world(|_| {}).await;
    world.tenant.set_cmdlet_in_role("Add-RecipientPermission", false);
    started(&mut world).await;
    let object = wait(&world, "advisory", |object| advisory(object).is_some()).await;
    let text = advisory(&object).unwrap();
    for part in [
        "Add-RecipientPermission",
        "Send As can't be granted",
        "Get-ManagementRole -Cmdlet",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(
        condition(&object, "Ready").unwrap().status,
        "True",
        "it is only an advisory"
    );
    // Another life of the operator repeats it, and does not take it back first.
    let since = |object: &ExchangeTenant| {
        let conditions = &object.status.as_ref().unwrap().conditions;
        let found = conditions
            .iter()
            .find(|condition| condition.type_ == "CapabilityMissing");
        found.unwrap().last_transition_time.clone()
    };
    let before = since(&object);
    world.sleep(120).await;
    world.stop_operator().await;
    world.start_operator();
    world.sleep(60).await;
    let object = world.tenant_resource().await;
    assert_eq!(since(&object), before);
    world.tenant.set_cmdlet_in_role("Add-RecipientPermission", true);
    world.sleep(3600 + 600).await;
    let object = world.tenant_resource().await;
    assert_eq!((advisory(&object), missing(&object)), (None, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_role_that_loses_something_is_noticed_by_the_refusal() {
    // There it lacks something from the start.
    if leftovers_are_unseen() {
        return;
    }
    let mut world = world(|quirks| quirks.role_list = simulator::RoleList::NotThere).await;
    started(&mut world).await;
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    wait(&world, "known", is_known).await;
    world.tenant.set_cmdlet_in_role("Add-RecipientPermission", false);
    let members = ["first.member@contoso.com"];
    world
        .apply(&permission("team", "sales", &members, &["SendAs"]))
        .await;
    let object = wait(&world, "advisory", |object| advisory(object).is_some()).await;
    assert_eq!(missing(&object), ["Add-RecipientPermission"]);
    let before = probes(&world);
    world.sleep(1800).await;
    assert_eq!(probes(&world), before, "the same refusal again is no news");
}

#[tokio::test(start_paused = true)]
async fn mailboxes_are_kept_where_the_role_may_not_list_deleted_accounts() {
    let mut world = world(|quirks| quirks.batch_errors = BatchErrors::Stops).await;
    for flag in [
        "IncludeUnresolvedPermissions",
        "IncludeSoftDeletedUserPermissions",
    ] {
        let rule = ParameterRule::NotInRole;
        world
            .tenant
            .set_parameter_rule("Get-MailboxPermission", flag, rule);
    }
    started(&mut world).await;
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    let members = ["first.member@contoso.com"];
    world
        .apply(&permission("team", "sales", &members, &["FullAccess"]))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    let object = wait(&world, "advisory", |object| advisory(object).is_some()).await;
    assert!(
        advisory(&object)
            .unwrap()
            .contains("rights of deleted accounts are not seen")
    );
    let shown = object.status.as_ref().unwrap().capabilities.clone().unwrap();
    assert_eq!(shown.batch_after_error, BatchAfterError::Stops);
    // Drift is repaired and a revocation is carried out.
    let removal = json!({
        "Identity": "sales@contoso.com", "User": "first.member@contoso.com", "AccessRights": ["FullAccess"]
    });
    admin(&world, "Remove-MailboxPermission", removal);
    let holds = async || {
        let sales = world.tenant.mailbox("sales@contoso.com")?;
        (!sales.full_access.is_empty()).then_some(())
    };
    world.wait("the right is back", holds).await;
    world.delete_permission("team").await;
    let gone = async || {
        let sales = world.tenant.mailbox("sales@contoso.com")?;
        sales.full_access.is_empty().then_some(())
    };
    world.wait("the right is revoked", gone).await;
}
