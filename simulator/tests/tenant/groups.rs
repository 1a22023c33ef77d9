//! Groups of every kind, who is in them, and who may read that.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{
    Delay, Fault, FaultRule, Faults, GroupKind, Lag, Rename, Seed, SeedContact, SeedGroup, SeedUser, Surface,
};
use tokio::time::advance;

use crate::client::Client;

const TEAM: &str = "sales-team@contoso.com";

/// Everybody ⊃ Sales Team, Field, a contact and a guest; Field ⊃ Everybody again and two more.
fn nested() -> Seed {
    let group =
        |address: &str, name: &str, kind, members: &[&str]| SeedGroup::new(address, name, kind, members);
    Seed::contoso()
        .with_user(SeedUser::guest("anna@fabrikam.com", "Anna (Fabrikam)"))
        .with_contact(SeedContact::new("ben@fabrikam.com", "Ben (Fabrikam)"))
        .with_group(group(
            "everybody@contoso.com",
            "Everybody",
            GroupKind::MailEnabledSecurity,
            &[TEAM, "field@contoso.com", "ben@fabrikam.com", "anna@fabrikam.com"],
        ))
        .with_group(group(
            "field@contoso.com",
            "Field",
            GroupKind::Distribution,
            &[
                "everybody@contoso.com",
                "third.member@contoso.com",
                "no.mailbox@contoso.com",
            ],
        ))
}

fn id(client: &Client, identity: &str) -> String {
    client.tenant.control().object_id(identity).unwrap().to_string()
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

async fn transitive(client: &Client, group: &str, options: &str) -> Vec<Value> {
    let path = format!("/groups/{}/transitiveMembers{options}", id(client, group));
    client.graph("GET", &path, None).await.rows().to_vec()
}

#[tokio::test]
async fn a_group_shows_its_kind() {
    let team = SeedGroup::new("board@contoso.com", "Board", GroupKind::Microsoft365, &[]);
    let client = Client::of(Seed::contoso().with_group(team)).await;
    let expected = [
        (TEAM, true, true, json!([])),
        ("plain-group", false, true, json!([])),
        ("all-staff@contoso.com", true, false, json!([])),
        ("board@contoso.com", true, false, json!(["Unified"])),
    ];
    for (group, mail, security, types) in expected {
        let path = format!("/groups/{}", id(&client, group));
        let body = client.graph("GET", &path, None).await.json;
        assert_eq!(body["mailEnabled"], mail, "{group}");
        assert_eq!(body["securityEnabled"], security, "{group}");
        assert_eq!(body["groupTypes"], types, "{group}");
    }
}

#[tokio::test]
async fn direct_members_are_people_contacts_and_groups() {
    let client = Client::of(nested()).await;
    let path = format!("/groups/{}/members", id(&client, "everybody@contoso.com"));
    let rows = client.graph("GET", &path, None).await.rows().to_vec();
    let kinds: Vec<&str> = rows
        .iter()
        .map(|row| row["@odata.type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "#microsoft.graph.group",
            "#microsoft.graph.group",
            "#microsoft.graph.orgContact",
            "#microsoft.graph.user"
        ]
    );
    assert_eq!(rows[0]["mail"], TEAM);
    // Contacts need a role of their own: kind and id are all that is shown.
    assert_eq!(rows[2]["mail"], Value::Null);
    assert_eq!(
        rows[3]["userPrincipalName"],
        "anna_fabrikam.com#EXT#@contoso.onmicrosoft.com"
    );
}

#[tokio::test]
async fn nested_members_come_once_and_circles_end() {
    let client = Client::of(nested()).await;
    let rows = transitive(&client, "everybody@contoso.com", "").await;
    let expected: Vec<String> = [
        TEAM,
        "field@contoso.com",
        "ben@fabrikam.com",
        "anna@fabrikam.com",
        "first.member@contoso.com",
        "second.member@contoso.com",
        "third.member@contoso.com",
        "no.mailbox@contoso.com",
    ]
    .map(|identity| id(&client, identity))
    .to_vec();
    assert_eq!(ids(&rows), expected);
}

#[tokio::test]
async fn only_people_are_listed_for_those_who_ask_in_the_right_way() {
    let client = Client::of(nested()).await;
    let group = id(&client, "everybody@contoso.com");
    let path = format!("/groups/{group}/transitiveMembers/microsoft.graph.user?$count=true");
    let answer = client.graph("GET", &path, None).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json["error"]["code"], "Request_UnsupportedQuery");
    let answer = client
        .graph_with("GET", &path, None, &[("ConsistencyLevel", "eventual")])
        .await;
    assert_eq!(answer.rows().len(), 5);
    assert_eq!(answer.json["@odata.count"], 5);
}

#[tokio::test]
async fn long_lists_come_in_pages_with_the_options_kept() {
    let members: Vec<String> = (0..250).map(|n| format!("p{n}@contoso.com")).collect();
    let mut seed = members.iter().fold(Seed::contoso(), |seed, upn| {
        seed.with_user(SeedUser::person(upn, upn))
    });
    let names: Vec<&str> = members.iter().map(String::as_str).collect();
    seed = seed.with_group(SeedGroup::new(
        "big@contoso.com",
        "Big",
        GroupKind::MailEnabledSecurity,
        &names,
    ));
    let client = Client::of(seed).await;
    let group = id(&client, "big@contoso.com");
    let mut path = format!("/groups/{group}/transitiveMembers?$select=id,mail&$top=99");
    let mut found = Vec::new();
    let mut pages = 0;
    loop {
        let answer = client.graph("GET", &path, None).await;
        pages += 1;
        for row in answer.rows() {
            let names: Vec<&String> = row.as_object().unwrap().keys().collect();
            assert_eq!(names, ["@odata.type", "id", "mail"]);
            found.push(row["mail"].as_str().unwrap().to_owned());
        }
        match answer.json["@odata.nextLink"].as_str() {
            Some(link) => {
                assert!(link.contains("?$select=id,mail&$top=99&$skiptoken="), "{link}");
                path = link
                    .strip_prefix("https://graph.microsoft.com/v1.0")
                    .unwrap()
                    .to_owned();
            }
            None => break,
        }
    }
    assert_eq!((pages, found), (3, members));
    for size in ["0", "1000", "x"] {
        let path = format!("/groups/{group}/members?$top={size}");
        assert_eq!(client.graph("GET", &path, None).await.status, 400, "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_link_expires() {
    let client = Client::contoso().await;
    let path = format!("/groups/{}/members?$top=1", id(&client, TEAM));
    let link = client.graph("GET", &path, None).await.json["@odata.nextLink"].clone();
    let rest = link
        .as_str()
        .unwrap()
        .strip_prefix("https://graph.microsoft.com/v1.0")
        .unwrap();
    assert_eq!(client.graph("GET", rest, None).await.rows().len(), 1);
    advance(Duration::from_mins(11)).await;
    let answer = client.graph("GET", rest, None).await;
    assert_eq!(answer.json["error"]["code"], "Directory_ExpiredPageToken");
}

#[tokio::test]
async fn reading_groups_takes_a_role_of_its_own() {
    let client = Client::contoso().await;
    let path = format!("/groups/{}/transitiveMembers", id(&client, TEAM));
    let control = client.tenant.control();
    control.set_graph_group_read(false);
    let answer = client.graph("GET", &path, None).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.json["error"]["code"], "Authorization_RequestDenied");
    control.set_graph_group_read(true);
    control.set_graph_user_read(false);
    control.set_graph_user_write(false);
    // Who may read groups but not people learns kind and id.
    let rows = client.graph("GET", &path, None).await.rows().to_vec();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["@odata.type"], "#microsoft.graph.user");
    assert_eq!(rows[0]["id"], id(&client, "first.member@contoso.com"));
    assert_eq!(rows[0]["userPrincipalName"], Value::Null);
}

#[tokio::test]
async fn what_is_not_a_group_in_entra_is_not_found_there() {
    let list = SeedGroup::new(
        "rainy@contoso.com",
        "Rainy",
        GroupKind::Dynamic,
        &["first.member@contoso.com"],
    );
    let client = Client::of(Seed::contoso().with_group(list)).await;
    for who in ["first.member@contoso.com", "rainy@contoso.com"] {
        let path = format!("/groups/{}", id(&client, who));
        let answer = client.graph("GET", &path, None).await;
        assert_eq!(answer.json["error"]["code"], "Request_ResourceNotFound", "{who}");
    }
    // Neither by name: Graph knows groups by their id.
    assert_eq!(client.graph("GET", "/groups/sales-team", None).await.status, 404);
    assert_eq!(client.graph("GET", "/planets", None).await.status, 400);
}

#[tokio::test]
async fn exchange_lists_direct_members_and_groups_among_them() {
    let client = Client::of(nested()).await;
    let parameters = json!({"Identity": "everybody@contoso.com", "ResultSize": "Unlimited"});
    let rows = client
        .run("Get-DistributionGroupMember", parameters)
        .await
        .rows()
        .to_vec();
    let kinds: Vec<&str> = rows
        .iter()
        .map(|row| row["RecipientTypeDetails"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "MailUniversalSecurityGroup",
            "MailUniversalDistributionGroup",
            "MailContact",
            "GuestMailUser"
        ]
    );
    assert_eq!(rows[2]["ExternalEmailAddress"], "SMTP:ben@fabrikam.com");
    let few = json!({"Identity": "everybody@contoso.com", "ResultSize": 1});
    let answer = client.run("Get-DistributionGroupMember", few).await;
    assert_eq!((answer.rows().len(), answer.warnings().len()), (1, 1));
}

#[tokio::test]
async fn exchange_lists_members_of_lists_and_mail_enabled_groups_only() {
    let group = |address, kind| SeedGroup::new(address, "X", kind, &["first.member@contoso.com"]);
    let seed = Seed::contoso()
        .with_group(group("m365@contoso.com", GroupKind::Microsoft365))
        .with_group(group("rainy@contoso.com", GroupKind::Dynamic));
    let client = Client::of(seed).await;
    for (identity, status) in [
        (TEAM, 200),
        ("all-staff@contoso.com", 200),
        ("plain-group", 404),
        ("m365@contoso.com", 404),
        ("rainy@contoso.com", 404),
    ] {
        let answer = client
            .run("Get-DistributionGroupMember", json!({"Identity": identity}))
            .await;
        assert_eq!(answer.status, status, "{identity}");
    }
}

#[tokio::test]
async fn joiners_and_leavers_show_in_both_places() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control
        .add_group_member(TEAM, "third.member@contoso.com")
        .unwrap();
    control
        .add_group_member(TEAM, "third.member@contoso.com")
        .unwrap();
    control
        .remove_group_member(TEAM, "first.member@contoso.com")
        .unwrap();
    let expected = ["second.member@contoso.com", "third.member@contoso.com"];
    let rows = transitive(&client, TEAM, "?$select=mail").await;
    let mails: Vec<&str> = rows.iter().map(|row| row["mail"].as_str().unwrap()).collect();
    assert_eq!(mails, expected);
    let rows = client
        .run("Get-DistributionGroupMember", json!({"Identity": TEAM}))
        .await;
    assert_eq!(rows.rows().len(), 2);
    assert_eq!(control.group_members(TEAM).unwrap().len(), 2);
    assert!(
        control
            .add_group_member("first.member@contoso.com", TEAM)
            .is_err(),
        "a person is no group"
    );
    assert!(control.add_group_member(TEAM, "nobody@contoso.com").is_err());
}

#[tokio::test]
async fn deleted_members_drop_out_and_come_back_with_a_restore() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.delete_user("first.member@contoso.com").unwrap();
    assert_eq!(transitive(&client, TEAM, "").await.len(), 1);
    let list = json!({"Identity": TEAM});
    let rows = client.run("Get-DistributionGroupMember", list.clone()).await;
    assert_eq!(rows.rows().len(), 1);
    let mut with_deleted = list;
    with_deleted["IncludeSoftDeletedObjects"] = true.into();
    let rows = client.run("Get-DistributionGroupMember", with_deleted).await;
    assert_eq!(rows.rows().len(), 2);
    control.restore_user("first.member@contoso.com").unwrap();
    assert_eq!(transitive(&client, TEAM, "").await.len(), 2);
    control.purge_user("first.member@contoso.com").unwrap();
    assert_eq!(transitive(&client, TEAM, "").await.len(), 1);
}

#[tokio::test]
async fn a_renamed_group_keeps_its_id_and_members() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    let before = control.object_id(TEAM);
    let rename = Rename {
        address: Some("sellers@contoso.com".to_owned()),
        display_name: Some("Sellers".to_owned()),
        drop_old_address: true,
        ..Rename::default()
    };
    control.rename_user(TEAM, &rename).unwrap();
    assert_eq!(control.object_id("sellers@contoso.com"), before);
    assert_eq!(control.object_id(TEAM), None);
    assert_eq!(transitive(&client, "sellers@contoso.com", "").await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_membership_reaches_exchange_late_and_graph_at_once() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.set_faults(Faults {
        lag: Lag {
            delay: Delay::fixed(30_000),
            replicas: 1,
        },
        ..Faults::default()
    });
    control
        .remove_group_member(TEAM, "first.member@contoso.com")
        .unwrap();
    let list = json!({"Identity": TEAM});
    assert_eq!(transitive(&client, TEAM, "").await.len(), 1);
    let rows = client.run("Get-DistributionGroupMember", list.clone()).await;
    assert_eq!(rows.rows().len(), 2);
    advance(Duration::from_secs(31)).await;
    let rows = client.run("Get-DistributionGroupMember", list).await;
    assert_eq!(rows.rows().len(), 1);
}

#[tokio::test]
async fn faults_strike_group_reads_too() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    let throttled = Fault::Throttled {
        retry_after_seconds: Some(7),
    };
    control.add_fault(FaultRule {
        surface: Surface::Graph,
        ..FaultRule::next(1, throttled)
    });
    let path = format!("/groups/{}/members", id(&client, TEAM));
    let answer = client.graph("GET", &path, None).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(client.graph("GET", &path, None).await.status, 200);
    let elsewhere = "https://elsewhere.example".to_owned();
    control.set_faults(Faults {
        next_link_base: Some(elsewhere.clone()),
        ..Faults::default()
    });
    let answer = client.graph("GET", &format!("{path}?$top=1"), None).await;
    assert!(
        answer.json["@odata.nextLink"]
            .as_str()
            .unwrap()
            .starts_with(&elsewhere)
    );
}

#[tokio::test]
async fn a_batch_answers_each_call_by_itself() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    let first = id(&client, "first.member@contoso.com");
    let group = id(&client, TEAM);
    let body = json!({"requests": [
        {"id": "a", "method": "GET", "url": format!("/users/{first}?$select=userType,assignedLicenses")},
        {"id": "b", "method": "GET", "url": "users/nobody@contoso.com"},
        {"id": "c", "method": "GET", "url": format!("/groups/{group}/members?$top=1")},
        {"id": "d", "method": "PATCH", "url": format!("/users/{first}"), "headers": {"Content-Type": "application/json"},
         "body": {"accountEnabled": false}},
    ]});
    control.add_fault(FaultRule {
        surface: Surface::Graph,
        skip: 2,
        ..FaultRule::next(
            1,
            Fault::Throttled {
                retry_after_seconds: Some(3),
            },
        )
    });
    let answer = client.graph("POST", "/$batch", Some(body)).await;
    let responses = answer.json["responses"].as_array().unwrap();
    let statuses: Vec<u64> = responses
        .iter()
        .map(|one| one["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 404, 429, 204]);
    assert_eq!(responses[0]["body"]["userType"], "Member");
    assert_eq!(responses[2]["headers"]["retry-after"], "3");
    assert_eq!(control.account_enabled("first.member@contoso.com"), Some(false));
    let journal = control.journal();
    assert_eq!(journal.len(), 4);
    assert!(journal.iter().all(|entry| entry.request == journal[0].request));
}

#[tokio::test]
async fn a_batch_that_is_no_batch_is_refused() {
    let client = Client::contoso().await;
    let one = |id: &str| json!({"id": id, "method": "GET", "url": "/users/first.member@contoso.com"});
    let many: Vec<Value> = (0..21).map(|n| one(&n.to_string())).collect();
    for requests in [json!([]), json!(many), json!([one("a"), one("a")]), json!("x")] {
        let body = Some(json!({"requests": requests}));
        assert_eq!(client.graph("POST", "/$batch", body).await.status, 400);
    }
    let twenty: Vec<Value> = (0..20).map(|n| one(&n.to_string())).collect();
    let answer = client
        .graph("POST", "/$batch", Some(json!({"requests": twenty})))
        .await;
    assert_eq!(answer.json["responses"].as_array().unwrap().len(), 20);
}

#[test]
fn the_sample_tenant_knows_everybody_whom_its_groups_name() {
    let text = include_str!("../../../deploy/samples/tenant.json");
    let seed: Seed = serde_json::from_str(text).unwrap();
    let control = simulator::Simulator::new(seed.clone()).control();
    for group in &seed.groups {
        let name = group.address.split('@').next().unwrap();
        let members = control
            .group_members(&group.address)
            .or_else(|| control.group_members(name));
        assert_eq!(members.unwrap().len(), group.members.len(), "{}", group.address);
    }
}
