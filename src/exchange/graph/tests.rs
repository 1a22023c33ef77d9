use std::time::Duration;

use super::*;
use crate::exchange::testing::{Call, Reaction, Tenant};

fn id() -> ObjectId {
    "66666666-7777-8888-9999-aaaaaaaaaaaa".parse().unwrap()
}

fn answering(reaction: Reaction) -> Tenant {
    Tenant::new(move |call: &Call| {
        if call.name == "token" {
            Tenant::default_reaction(call)
        } else {
            reaction.clone()
        }
    })
}

fn once(first: Reaction) -> Tenant {
    Tenant::new(move |call: &Call| match (call.name.as_str(), call.earlier) {
        ("token", _) => Tenant::default_reaction(call),
        (_, 0) => first.clone(),
        _ => Reaction::text(204, ""),
    })
}

#[tokio::test(start_paused = true)]
async fn an_account_is_read_with_the_properties_that_only_come_when_asked_for() {
    let tenant = answering(Reaction::status(
        200,
        &json!({"id": id().to_string(), "userPrincipalName": "sales@contoso.com", "accountEnabled": false, "onPremisesSyncEnabled": null}),
    ));
    let user = tenant.gateway().directory_user(Lane::Edit, &id()).await.unwrap();
    assert_eq!(
        user,
        DirectoryUser {
            id: id(),
            user_principal_name: "sales@contoso.com".to_owned(),
            account_enabled: false,
            on_premises_sync_enabled: false
        }
    );
    let url = &tenant.requests()[0].calls[0].url;
    assert!(
        url.starts_with("https://graph.microsoft.com/v1.0/users/66666666-"),
        "{url}"
    );
    assert!(
        url.contains("$select=id,userPrincipalName,accountEnabled"),
        "{url}"
    );
    assert!(
        tenant.token_requests()[0].body.contains("graph.microsoft.com"),
        "a token of its own"
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_that_does_not_say_whether_it_is_enabled_is_not_a_disabled_one() {
    let tenant = answering(Reaction::status(
        200,
        &json!({"id": id().to_string(), "accountEnabled": null}),
    ));
    let error = tenant
        .gateway()
        .directory_user(Lane::Edit, &id())
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(error.message.contains("User.Read.All"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_account_than_the_one_asked_for_is_an_error() {
    let other = json!({"id": "11111111-7777-8888-9999-aaaaaaaaaaaa", "accountEnabled": true});
    let tenant = answering(Reaction::status(200, &other));
    let error = tenant
        .gateway()
        .directory_user(Lane::Edit, &id())
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn sign_in_is_blocked_with_one_patch() {
    let tenant = answering(Reaction::text(204, ""));
    tenant
        .gateway()
        .set_account_enabled(Lane::Edit, &id(), false)
        .await
        .unwrap();
    let requests = tenant.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].names(), [format!("PATCH /v1.0/users/{}", id())]);
    assert_eq!(requests[0].body, r#"{"accountEnabled":false}"#);
}

#[tokio::test(start_paused = true)]
async fn errors_are_distinguished_by_graphs_codes() {
    for (status, code, class) in [
        (404, "Request_ResourceNotFound", ErrorClass::NotFound),
        (404, "UnknownError", ErrorClass::Transient),
        (403, "Authorization_RequestDenied", ErrorClass::Denied),
        (400, "Request_BadRequest", ErrorClass::Invalid),
        (409, "Conflict", ErrorClass::Transient),
    ] {
        let body = json!({"error": {"code": code, "message": "why", "innerError": {"request-id": "req-2"}}});
        let tenant = answering(Reaction::status(status, &body));
        let error = tenant
            .gateway()
            .set_account_enabled(Lane::Edit, &id(), false)
            .await
            .unwrap_err();
        assert_eq!(
            (error.class, error.stage),
            (class, Stage::Graph),
            "{status} {code}"
        );
        assert_eq!(error.exception.as_deref(), Some(code));
        assert!(error.message.starts_with("why"), "{}", error.message);
        let advised = error.message.contains("User.EnableDisableAccount.All");
        assert_eq!(advised, class == ErrorClass::Denied, "{}", error.message);
        assert_eq!(error.request_id.as_deref(), Some("req-2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_retried_and_a_refused_token_renewed() {
    for first in [
        Reaction::Lost,
        Reaction::Refused,
        Reaction::text(503, ""),
        Reaction::text(401, ""),
    ] {
        let tenant = once(first.clone());
        tenant
            .gateway()
            .set_account_enabled(Lane::Edit, &id(), false)
            .await
            .unwrap();
        assert_eq!(tenant.requests().len(), 2, "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_all_of_graph_and_not_exchange() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name.ends_with(&id().to_string()) && call.earlier == 0 {
            Reaction::text(429, "").with("retry-after", "40")
        } else if call.name.starts_with("PATCH") {
            Reaction::text(204, "")
        } else {
            Tenant::default_reaction(call)
        }
    });
    let gateway = tenant.gateway();
    let mailbox = "11111111-7777-8888-9999-aaaaaaaaaaaa".parse().unwrap();
    let ids = [id(), "76666666-7777-8888-9999-aaaaaaaaaaaa".parse().unwrap()];
    let later = |wait, id| {
        let gateway = gateway.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            gateway.set_account_enabled(Lane::Edit, id, false).await.unwrap();
        }
    };
    let exchange = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        gateway.full_access(Lane::Edit, mailbox, None).await.unwrap();
    };
    tokio::join!(later(0, &ids[0]), later(5, &ids[1]), exchange);
    let at = |name: &str| -> Vec<u64> {
        let requests = tenant.requests();
        requests
            .iter()
            .filter(|seen| seen.names()[0].starts_with(name))
            .map(|seen| seen.at.as_secs())
            .collect()
    };
    let patches = at("PATCH");
    assert_eq!(patches.len(), 3, "{patches:?}");
    assert!(patches[1..].iter().all(|at| *at >= 40), "{patches:?}");
    assert!(at("Get-")[0] < 10);
}

fn member(number: u8, more: &serde_json::Value) -> serde_json::Value {
    let mut row = json!({"@odata.type": "#microsoft.graph.user",
        "id": format!("00000000-0000-4000-8000-0000000000{number:02}")});
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hides_its_members_or_contains_one_that_does_shows_nobody_for_certain() {
    let inner = json!({"@odata.type": "#microsoft.graph.group", "visibility": "HiddenMembership"});
    let plain = json!({"id": "x"});
    for (group, rows, hidden) in [
        (
            json!({"id": "x", "visibility": "HiddenMembership"}),
            json!([]),
            true,
        ),
        (
            json!({"id": "x", "visibility": null}),
            json!([member(1, &json!({}))]),
            false,
        ),
        (
            plain.clone(),
            json!([member(1, &json!({})), member(2, &inner)]),
            true,
        ),
        (plain, json!([member(1, &json!({"visibility": null}))]), false),
    ] {
        let tenant = Tenant::new(move |call: &Call| {
            if call.name.ends_with("/transitiveMembers") {
                Reaction::rows(&rows)
            } else if call.name.starts_with("GET /v1.0/groups/") {
                Reaction::status(200, &group)
            } else {
                Tenant::default_reaction(call)
            }
        });
        let membership = tenant.gateway().group_members(Lane::Edit, &id()).await.unwrap();
        match membership {
            Membership::Hidden => assert!(hidden),
            Membership::People { people, may_be_more } => {
                assert!(!hidden && !may_be_more && people.len() == 1);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_nested_group_that_shows_nobody_and_not_whether_it_hides_them_may_have_more_people() {
    let nested = |visibility: serde_json::Value| {
        json!({"@odata.type": "#microsoft.graph.group", "visibility": visibility,
            "id": "00000000-0000-4000-8000-0000000000aa"})
    };
    let somebody = json!([{"id": "00000000-0000-4000-8000-000000000001"}]);
    for (visibility, own, expected) in [
        (json!(null), json!([]), true),
        (json!(null), somebody, false),
        (json!("Private"), json!([]), false),
    ] {
        let rows = json!([member(1, &json!({})), nested(visibility)]);
        let tenant = Tenant::new(move |call: &Call| {
            if call.name.ends_with("/transitiveMembers") {
                Reaction::rows(&rows)
            } else if call.name.ends_with("/members") {
                Reaction::rows(&own)
            } else if call.name.starts_with("GET /v1.0/groups/") {
                Reaction::status(200, &json!({"id": "x"}))
            } else {
                Tenant::default_reaction(call)
            }
        });
        let membership = tenant.gateway().group_members(Lane::Edit, &id()).await.unwrap();
        let people = ["00000000-0000-4000-8000-000000000001".parse().unwrap()].into();
        assert_eq!(
            membership,
            Membership::People {
                people,
                may_be_more: expected
            }
        );
    }
}
