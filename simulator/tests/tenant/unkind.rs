//! Where the service is less kind: access lists, refusals, lists and groups, in each position.

use serde_json::{Value, json};
use simulator::{
    AccessQuirks, BadWord, GroupKind, GroupQuirks, HiddenMembers, Linked, ListQuirks, NextLink,
    OrganizationRows, Quirks, QuotaOrder, RefusalQuirks, Seed, SeedGroup, SeedUser, UnknownParameter,
    UserFilter,
};

use crate::client::{Client, input};

const SALES: &str = "sales@contoso.com";
const FIRST: &str = "first.member@contoso.com";

async fn with(quirks: Quirks) -> Client {
    let client = Client::of(Seed {
        quirks,
        ..Seed::contoso()
    })
    .await;
    client.new_mailbox(SALES).await;
    client
}

async fn access(change: impl FnOnce(&mut AccessQuirks)) -> Client {
    let mut quirks = Quirks::default();
    change(&mut quirks.access);
    with(quirks).await
}

async fn refusing(change: impl FnOnce(&mut RefusalQuirks)) -> Client {
    let mut quirks = Quirks::default();
    change(&mut quirks.refusals);
    with(quirks).await
}

async fn full_access(client: &Client, cmdlet: &str, who: &str) -> crate::client::Answer {
    let parameters =
        json!({"Identity": SALES, "User": who, "AccessRights": ["FullAccess"], "Confirm": false});
    client.run(cmdlet, parameters).await
}

async fn send_as(client: &Client, cmdlet: &str, who: &str) -> crate::client::Answer {
    let parameters = json!({"Identity": SALES, "Trustee": who, "AccessRights": ["SendAs"], "Confirm": false});
    client.run(cmdlet, parameters).await
}

async fn rows_of(client: &Client, who: &str) -> Vec<Value> {
    let parameters = json!({"Identity": SALES, "User": who});
    client
        .run("Get-MailboxPermission", parameters)
        .await
        .rows()
        .to_vec()
}

#[tokio::test]
async fn adding_answers_the_entry_or_nothing() {
    for answers in [true, false] {
        let client = access(|quirks| quirks.adding_answers_the_row = answers).await;
        let sid = client.tenant.control().sid(FIRST).unwrap();
        let full = full_access(&client, "Add-MailboxPermission", FIRST).await;
        let send = send_as(&client, "Add-RecipientPermission", FIRST).await;
        if answers {
            assert_eq!(full.one()["UserSid"], sid);
            assert_eq!(full.one()["AccessRights"], json!(["FullAccess"]));
            assert_eq!(send.one()["TrusteeSidString"], sid);
        } else {
            assert!(full.rows().is_empty() && send.rows().is_empty());
        }
    }
}

#[tokio::test]
async fn entries_of_linked_accounts_carry_another_sid_and_names_find_them_or_not() {
    for linked in [Linked::None, Linked::Found, Linked::NotFound] {
        let client = access(|quirks| quirks.linked = linked).await;
        let sid = client.tenant.control().sid(FIRST).unwrap();
        let added = full_access(&client, "Add-MailboxPermission", FIRST).await;
        let shown = added.one()["UserSid"].as_str().unwrap().to_owned();
        assert_eq!(shown == sid, linked == Linked::None);
        assert_eq!(added.one()["User"], FIRST);
        assert_eq!(
            rows_of(&client, FIRST).await.len(),
            usize::from(linked != Linked::NotFound)
        );
        assert_eq!(rows_of(&client, &shown).await.len(), 1, "the SID itself finds it");
        let filter = json!({"Filter": format!("Sid -eq '{shown}'")});
        let users = client.run("Get-User", filter).await.rows().len();
        assert_eq!(users, usize::from(linked == Linked::None));
        let removed = full_access(&client, "Remove-MailboxPermission", FIRST).await;
        let warns = removed
            .warnings()
            .iter()
            .any(|text| text.contains("ACE doesn't exist"));
        assert_eq!(warns, linked == Linked::NotFound);
    }
}

#[tokio::test]
async fn the_filter_for_a_person_knows_former_sids_or_not() {
    for user_filter in [UserFilter::PresentSid, UserFilter::EverySid] {
        let client = access(|quirks| quirks.user_filter = user_filter).await;
        full_access(&client, "Add-MailboxPermission", FIRST).await.rows();
        client.tenant.control().change_sid(FIRST).unwrap();
        let shown = rows_of(&client, FIRST).await.len();
        assert_eq!(shown, usize::from(user_filter == UserFilter::EverySid));
    }
}

#[tokio::test]
async fn a_removal_that_works_may_warn_of_each_former_sid() {
    for warns in [true, false] {
        let client = access(|quirks| {
            quirks.former_sids = true;
            quirks.warns_of_former_sids = warns;
        })
        .await;
        full_access(&client, "Add-MailboxPermission", FIRST).await.rows();
        send_as(&client, "Add-RecipientPermission", FIRST).await.rows();
        for removed in [
            full_access(&client, "Remove-MailboxPermission", FIRST).await,
            send_as(&client, "Remove-RecipientPermission", FIRST).await,
        ] {
            assert_eq!(
                removed.warnings().len(),
                usize::from(warns),
                "{:?}",
                removed.warnings()
            );
        }
        let view = client.tenant.control().mailbox(SALES).unwrap();
        assert!(view.full_access.is_empty() && view.send_as.is_empty());
    }
}

#[tokio::test]
async fn role_groups_are_inherited_or_look_like_grants() {
    let of = |client: Client| async move {
        let rows = client
            .run("Get-MailboxPermission", json!({"Identity": SALES}))
            .await;
        let names = |inherited: bool| -> Vec<String> {
            let rows = rows.rows().iter().filter(|row| row["IsInherited"] == inherited);
            rows.map(|row| row["User"].as_str().unwrap().to_owned()).collect()
        };
        (names(false), names(true))
    };
    let own = "NT AUTHORITY\\SELF";
    let (granted, inherited) = of(access(|_| {}).await).await;
    assert_eq!(granted, [own, own]);
    assert_eq!(inherited, ["Organization Management", "Exchange Servers"]);
    let on_it = access(|quirks| quirks.organization_rows = OrganizationRows::OnTheMailbox).await;
    let (granted, inherited) = of(on_it).await;
    assert_eq!(granted, [own, own, "Discovery Management"]);
    assert!(inherited.is_empty());
}

#[tokio::test]
async fn a_role_group_of_the_directory_is_shown_by_get_group_alone_and_without_an_object_id() {
    let role = SeedGroup::new("role@contoso.com", "Discovery Management", GroupKind::Role, &[]);
    let client = Client::of(Seed::contoso().with_group(role)).await;
    let sid = client.tenant.control().sid("Discovery Management").unwrap();
    let filter = json!({"Filter": format!("Sid -eq '{sid}'")});
    let group = client.run("Get-Group", filter).await;
    assert_eq!(group.one()["RecipientTypeDetails"], "RoleGroup");
    assert_eq!(group.one()["ExternalDirectoryObjectId"], "");
    let named = json!({"Identity": "Discovery Management"});
    assert_eq!(client.run("Get-Recipient", named).await.status, 404);
}

#[tokio::test]
async fn an_unknown_parameter_and_a_bad_word_are_refused_in_one_of_two_ways() {
    let nonsense = json!({"Identity": SALES, "Nonsense": 1});
    let word = json!({"Identity": SALES, "Type": "Nonsense"});
    let client = refusing(|_| {}).await;
    let unknown = client.run("Set-Mailbox", nonsense.clone()).await;
    assert!(unknown.failure().kind.ends_with("AmbiguousParameterSetException"));
    let bad = client.run("Set-Mailbox", word.clone()).await;
    assert!(!bad.json.to_string().contains("details"), "{}", bad.json);
    let client = refusing(|quirks| {
        quirks.unknown_parameter = UnknownParameter::NotBound;
        quirks.bad_word = BadWord::Named;
    })
    .await;
    let unknown = client.run("Set-Mailbox", nonsense).await;
    assert!(unknown.failure().kind.ends_with("ParameterBindingException"));
    assert!(
        unknown.json.to_string().contains("parameter name 'Nonsense'"),
        "{}",
        unknown.json
    );
    let bad = client.run("Set-Mailbox", word).await;
    assert!(bad.json.to_string().contains("parameter 'Type'"), "{}", bad.json);
}

#[tokio::test]
async fn a_narrow_role_lacks_cmdlets_and_parameters_that_an_admin_has() {
    let client = refusing(|quirks| {
        quirks.not_in_role = ["Get-User", "Set-Mailbox/MailTip"].map(str::to_owned).into();
    })
    .await;
    assert_eq!(
        client.run("Get-User", json!({"Identity": FIRST})).await.status,
        403
    );
    let tip = json!({"Identity": SALES, "mailtip": "Hello"});
    let refused = client.run("Set-Mailbox", tip.clone()).await;
    assert!(refused.failure().kind.ends_with("AmbiguousParameterSetException"));
    let name = json!({"Identity": SALES, "DisplayName": "Sales"});
    assert_eq!(client.run("Set-Mailbox", name).await.status, 200);
    client.tenant.control().admin_cmdlet("Set-Mailbox", tip).unwrap();
}

#[tokio::test]
async fn a_write_scope_and_mastering_on_premises_refuse_writes_with_one_first_sentence() {
    let client = refusing(|quirks| {
        quirks.out_of_scope = [SALES.to_owned()].into();
        quirks.synced = true;
    })
    .await;
    let first_sentence = "out of the current user's write scope";
    let refused = full_access(&client, "Add-MailboxPermission", FIRST).await;
    assert!(
        refused
            .json
            .to_string()
            .contains("isn't within your current write scopes")
    );
    assert!(refused.json.to_string().contains(first_sentence));
    assert_eq!(
        client.run("Get-Mailbox", json!({"Identity": SALES})).await.status,
        200
    );
    let control = client.tenant.control();
    let synced = SeedUser::shared_mailbox("synced@contoso.com", "Synced");
    control.add_user(&SeedUser {
        dir_synced: true,
        ..synced
    });
    let set = json!({"Identity": "synced@contoso.com", "DisplayName": "x"});
    let refused = client.run("Set-Mailbox", set.clone()).await;
    assert!(
        refused
            .json
            .to_string()
            .contains("synchronized from your on-premises")
    );
    assert!(refused.json.to_string().contains(first_sentence));
    control.set_dir_synced("synced@contoso.com", false).unwrap();
    assert_eq!(client.run("Set-Mailbox", set).await.status, 200);
}

#[tokio::test]
async fn a_warning_above_the_quota_for_sending_is_taken_or_refused() {
    for (quota_order, status) in [
        (QuotaOrder::BelowReceive, 200),
        (QuotaOrder::WarningBelowSend, 400),
    ] {
        let client = refusing(|quirks| quirks.quota_order = quota_order).await;
        let set = json!({
            "Identity": SALES, "IssueWarningQuota": "30GB", "ProhibitSendQuota": "20GB",
            "ProhibitSendReceiveQuota": "40GB"
        });
        assert_eq!(
            client.run("Set-Mailbox", set).await.status,
            status,
            "{quota_order:?}"
        );
    }
}

#[tokio::test]
async fn a_next_page_is_for_everybody_for_an_anchor_or_for_nobody() {
    let domain = "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@Contoso.onmicrosoft.com";
    let tenant =
        "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@11111111-2222-3333-4444-555555555555";
    for (next_link, by_domain, by_tenant) in [
        (NextLink::AnyAnchor, 200, 200),
        (NextLink::InitialDomain, 200, 400),
        (NextLink::Nobody, 400, 400),
    ] {
        let client = with(Quirks {
            lists: ListQuirks {
                next_link,
                largest_page: 2,
                ..ListQuirks::default()
            },
            ..Quirks::default()
        })
        .await;
        for (anchor, expected) in [(domain, by_domain), (tenant, by_tenant)] {
            let body = input("Get-User", json!({"ResultSize": "Unlimited"}));
            let headers = [("x-anchormailbox", anchor)];
            let first = client.post("InvokeCommand", &body, &headers).await.unwrap();
            assert_eq!(first.rows().len(), 2);
            let next = first.json["@odata.nextLink"].as_str().unwrap().to_owned();
            let second = client.post(&next, &body, &headers).await.unwrap();
            assert_eq!(second.status, expected, "{next_link:?} {anchor}");
        }
    }
}

#[tokio::test]
async fn filters_and_rows_of_groups_may_lack_what_others_have() {
    let sid = |client: &Client| client.tenant.control().sid("sales-team@contoso.com").unwrap();
    for unkind in [false, true] {
        let client = with(Quirks {
            lists: ListQuirks {
                groups_have_no_id_filter: unkind,
                group_rows_lack_ids: unkind,
                most_conditions: if unkind { 2 } else { 0 },
                ..ListQuirks::default()
            },
            ..Quirks::default()
        })
        .await;
        let by_sid = json!({"Filter": format!("Sid -eq '{}'", sid(&client))});
        let id = client.run("Get-Group", by_sid).await.one()["ExternalDirectoryObjectId"].clone();
        assert_eq!(id == "", unkind);
        let known = client
            .tenant
            .control()
            .object_id("sales-team@contoso.com")
            .unwrap();
        let one_group = json!({"Filter": format!("ExternalDirectoryObjectId -eq '{known}'")});
        assert_eq!(client.run("Get-Group", one_group).await.status == 200, !unkind);
        let long = json!({"Filter": "Alias -eq 'a' -or Alias -eq 'b' -or Alias -eq 'c'"});
        assert_eq!(client.run("Get-Recipient", long).await.status == 200, !unkind);
    }
}

#[tokio::test]
async fn hidden_members_are_nobody_or_shown_and_the_group_says_so_or_not() {
    for hidden_members in [HiddenMembers::Empty, HiddenMembers::Shown] {
        for show_visibility in [true, false] {
            let mut seed = Seed::contoso();
            seed.quirks.groups = GroupQuirks {
                hidden_members,
                show_visibility,
            };
            for group in &mut seed.groups {
                group.hidden_membership = group.address == "all-staff@contoso.com";
            }
            let client = Client::of(seed).await;
            let id = client
                .tenant
                .control()
                .object_id("all-staff@contoso.com")
                .unwrap();
            let group = client
                .graph("GET", &format!("/groups/{id}?$select=id,visibility"), None)
                .await;
            let shown = group.json.get("visibility").and_then(Value::as_str);
            assert_eq!(shown, show_visibility.then_some("HiddenMembership"));
            let members = client
                .graph("GET", &format!("/groups/{id}/transitiveMembers"), None)
                .await;
            let expected = if hidden_members == HiddenMembers::Shown {
                2
            } else {
                0
            };
            assert_eq!(members.rows().len(), expected);
        }
    }
}
