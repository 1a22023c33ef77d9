//! Access rules judge what a mailbox is, and not only what its manifest says.

use serde_json::{Value, json};
use shared_mailbox_operator::api::SharedMailbox;
use testkit::{World, condition, permission, tenant, with};

use super::kit::*;

const HR: &str = "hr@contoso.com";
const ELSEWHERE: &str = "elsewhere@sales.contoso.com";

/// One rule for a mailbox with few people, and one for a domain and everybody.
fn two_rules() -> Value {
    let mut narrow = rule(&[HR], &[FIRST]);
    narrow["powers"] = json!(["AllowSignIn"]);
    rules(&json!([
        narrow,
        rule(&["*@sales.contoso.com"], &["*@contoso.com"])
    ]))
}

fn rule(addresses: &[&str], members: &[&str]) -> Value {
    json!({
        "namespaces": { "names": ["team-sales"] }, "addresses": addresses, "members": members,
        "rights": ["FullAccess", "SendAs"],
    })
}

fn rules(rules: &Value) -> Value {
    with(tenant(), &json!({ "spec": { "access": rules } }))
}

/// A mailbox of few people that is Ready.
async fn hr() -> World {
    let world = world(simulator::Seed::contoso(), two_rules()).await;
    world.apply(&sales(json!({ "emailAddress": HR }))).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(2).await;
    forget(&world);
    world
}

fn holders(world: &World) -> usize {
    world.tenant.mailbox(HR).unwrap().full_access.len()
}

#[tokio::test(start_paused = true)]
async fn another_address_does_not_move_a_mailbox_under_a_rule_that_admits_others() {
    let world = hr().await;
    world.apply(&sales(json!({ "emailAddress": ELSEWHERE }))).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    let object = world.wait_mailbox("sales", "False", "AccessDenied").await;
    says(
        &stalled(&object, "AccessDenied"),
        &[HR, "addresses that are not declared", "judge all that it has"],
    );
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(holders(&world), 1, "who was admitted keeps what they have");
    // Who is taken out of the manifest is revoked all the same, and the account stays blocked.
    world.apply(&team(&[])).await;
    world.tenant.set_account_enabled(HR, true).unwrap();
    world.sleep(INTERVAL).await;
    assert_eq!(holders(&world), 0);
    assert!(world.tenant.mailbox(HR).unwrap().account_disabled);
    assert_eq!(sent(&world, "Add-MailboxPermission"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_was_withdrawn_does_not_leave_its_mailbox_to_another_rule() {
    let world = hr().await;
    world
        .apply(&rules(&json!([rule(
            &["*@sales.contoso.com"],
            &["*@contoso.com"]
        )])))
        .await;
    world.apply(&sales(json!({ "emailAddress": ELSEWHERE }))).await;
    world.apply(&team(&[SECOND])).await;
    world.wait_mailbox("sales", "False", "AccessDenied").await;
    world.sleep(INTERVAL).await;
    assert_eq!(sent(&world, "Add-MailboxPermission"), 0);
    assert_eq!(sent(&world, "Set-Mailbox"), 0, "nor is it renamed");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_added_outside_the_operator_is_judged_too() {
    let world = hr().await;
    let change = |what: &str| {
        let table = json!({ "@odata.type": "#Exchange.GenericHashTable", what: ["boss@contoso.com"] });
        json!({ "Identity": HR, "EmailAddresses": table })
    };
    admin(&world, "Set-Mailbox", change("add"));
    world.apply(&team(&[FIRST, SECOND])).await;
    let object = world.wait_mailbox("sales", "False", "AccessDenied").await;
    says(&stalled(&object, "AccessDenied"), &["boss@contoso.com"]);
    admin(&world, "Set-Mailbox", change("remove"));
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn whoever_guesses_the_name_of_a_mailbox_that_was_kept_gets_it_only_with_its_addresses() {
    let world = hr().await;
    world.delete_permission("team").await;
    world.delete_mailbox("sales").await;
    world.sleep(INTERVAL).await;
    forget(&world);
    world.apply(&sales(json!({ "emailAddress": ELSEWHERE }))).await;
    world.apply(&team(&[SECOND])).await;
    let object = world.wait_mailbox("sales", "False", "AccessDenied").await;
    says(&stalled(&object, "AccessDenied"), &[HR]);
    world.sleep(2 * 3600).await;
    assert_eq!(sent(&world, "Add-MailboxPermission"), 0);
    assert_eq!(sent(&world, "Set-Mailbox"), 0);
}

#[tokio::test(start_paused = true)]
async fn members_are_judged_by_a_rule_that_admits_all_addresses_of_the_mailbox() {
    let both = rule(&[HR, "*@sales.contoso.com"], &[FIRST]);
    let wide = rule(&["*@sales.contoso.com"], &["*@contoso.com"]);
    let world = world(simulator::Seed::contoso(), rules(&json!([both, wide]))).await;
    world.apply(&sales(json!({ "emailAddress": HR }))).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    // Renamed: the old address stays, and so does the rule for its people.
    world.apply(&sales(json!({ "emailAddress": ELSEWHERE }))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.apply(&team(&[FIRST, SECOND])).await;
    let permission = world.wait_permission("team", "False", "PartiallyGranted").await;
    says(&member_message(&permission, SECOND), &[HR, ELSEWHERE]);
    assert_eq!(world.tenant.mailbox(ELSEWHERE).unwrap().full_access.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_nickname_takes_no_address_in_the_initial_domain_that_no_rule_admits() {
    let world = hr().await;
    world
        .apply(&sales(json!({ "emailAddress": HR, "alias": "ceo" })))
        .await;
    let object = world.wait_mailbox("sales", "False", "AccessDenied").await;
    says(
        &stalled(&object, "AccessDenied"),
        &[
            "ceo@contoso.onmicrosoft.com",
            "spec.alias \"ceo\" asks for",
            "leave spec.alias out",
        ],
    );
    assert_eq!(world.writes(), NOTHING);
    world
        .apply(&sales(json!({ "emailAddress": HR, "alias": "hr" })))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn sign_in_that_no_rule_admits_stays_blocked() {
    let narrow = rules(&json!([rule(&[SALES], &["*@contoso.com"])]));
    let world = world(simulator::Seed::contoso(), narrow).await;
    settle(&world, &[FIRST]).await;
    world.apply(&sales(json!({ "signIn": "Allowed" }))).await;
    world.wait_mailbox("sales", "False", "AccessDenied").await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.sleep(INTERVAL).await;
    assert!(view(&world).account_disabled, "it is blocked again");
    let object: SharedMailbox = world.mailbox("sales").await;
    assert_eq!(condition(&object, "SignInBlocked").unwrap().status, "True");
}

#[tokio::test(start_paused = true)]
async fn the_largest_manifests_that_no_rule_admits_cost_little() {
    let world = world(simulator::Seed::contoso(), rules(&json!([]))).await;
    let aliases: Vec<String> = (0..300)
        .map(|number| format!("{number:a>60}@contoso.com"))
        .collect();
    for number in 0..6 {
        let members: Vec<String> = (0..500)
            .map(|one| format!("p{number}.{one}@contoso.com"))
            .collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let rights = ["FullAccess", "SendAs", "SendOnBehalf"];
        world
            .apply(&permission(&format!("team-{number}"), "sales", &members, &rights))
            .await;
    }
    world.apply(&sales(json!({ "aliases": aliases }))).await;
    let object = world.wait_mailbox("sales", "False", "AccessDenied").await;
    says(
        &stalled(&object, "AccessDenied"),
        &["and 296 more", "namespaces: {names: [team-sales]}"],
    );
    let size = |status: Value| status.to_string().len();
    assert!(size(serde_json::to_value(&object.status).unwrap()) < 10_000);
    for number in 0..6 {
        let denied = world
            .wait_permission(&format!("team-{number}"), "False", "MailboxNotReady")
            .await;
        let size = size(serde_json::to_value(&denied.status).unwrap());
        assert!(size < 200_000, "{size}");
    }
}
