//! Lists of more than one page, and links that are not followed.

use super::*;

fn user(upn: &str) -> serde_json::Value {
    json!({"UserPrincipalName": upn, "DisplayName": "x", "RecipientTypeDetails": "User",
        "ExternalDirectoryObjectId": member(1).to_string(), "Sid": "S-1-5-21-1"})
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_on_our_own_host_with_the_same_body() {
    let tenant = Tenant::new(|call: &Call| match (call.name.as_str(), call.earlier) {
        ("Get-User", 0) => Reaction::status(
            200,
            &json!({"value": [user("a@contoso.com")], "@odata.nextLink": "https://outlook.office365.com/adminapi/beta/x/InvokeCommand?%24skiptoken=2"}),
        ),
        ("Get-User", _) => Reaction::rows(&json!([user("b@contoso.com")])),
        _ => Tenant::default_reaction(call),
    });
    let upns = ["a@contoso.com".parse().unwrap(), "b@contoso.com".parse().unwrap()];
    let users = tenant
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap();
    assert_eq!(
        users
            .iter()
            .map(|user| user.user_principal_name.as_str())
            .collect::<Vec<_>>(),
        ["a@contoso.com", "b@contoso.com"]
    );
    let requests = tenant.requests();
    assert!(requests[1].calls[0].url.contains("skiptoken=2"));
    assert_eq!(requests[0].calls[0].parameters, requests[1].calls[0].parameters);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_can_not_be_read_to_its_end_is_an_error() {
    let elsewhere = "https://example.com/adminapi/beta/x/InvokeCommand?skiptoken=2";
    let ours = "https://outlook.office365.com/adminapi/beta/x/InvokeCommand?skiptoken=2";
    let paged = |link: &'static str| {
        move |call: &Call| match call.name.as_str() {
            "Get-User" => Reaction::status(200, &json!({"value": [], "@odata.nextLink": link})),
            _ => Tenant::default_reaction(call),
        }
    };
    let upns = ["a@contoso.com".parse().unwrap()];
    let foreign = Tenant::new(paged(elsewhere));
    let error = foreign
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert!(error.message.contains("another host"), "{error}");
    assert_eq!(foreign.requests().len(), 1, "nothing goes there");

    let endless = Tenant::new(paged(ours));
    let error = endless
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert!(error.message.contains("no end"), "{error}");

    let expired = Tenant::new(move |call: &Call| match (call.name.as_str(), call.earlier) {
        ("Get-User", 1..) => {
            Reaction::failed(400, "ODataServiceException", "The pagination request has expired")
        }
        _ => paged(ours)(call),
    });
    let error = expired
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("incomplete"), "{error}");

    let cut = once(
        "Get-User",
        Reaction::warned("There are more results available. Increase the ResultSize parameter."),
    );
    let error = cut
        .gateway()
        .find_users_by_upn(Lane::Edit, &upns)
        .await
        .unwrap_err();
    assert!(error.message.contains("incomplete"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_an_error() {
    let tenant = Tenant::new(|call: &Call| {
        if call.name == "token" {
            return Tenant::default_reaction(call);
        }
        Reaction::text(302, "").with("location", "https://example.com/")
    });
    let error = read(&tenant.gateway(), Lane::Edit, 1).await.unwrap_err();
    assert!(error.message.contains("not followed"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_long_look_up_is_split_and_a_short_one_is_one_call() {
    let tenant = quiet();
    let gateway = tenant.gateway();
    let query = |n: usize| RecipientQuery::Address(format!("member{n}@contoso.com").parse().unwrap());
    gateway
        .find_recipients(Lane::Edit, &(0..80).map(query).collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(
        tenant
            .requests()
            .iter()
            .map(|request| request.calls.len())
            .sum::<usize>(),
        1
    );
    gateway
        .find_recipients(Lane::Edit, &(0..81).map(query).collect::<Vec<_>>())
        .await
        .unwrap();
    let requests = tenant.requests();
    assert_eq!(requests[1].calls.len(), 2, "both parts in one batch");
    assert!(gateway.find_recipients(Lane::Edit, &[]).await.unwrap().is_empty());
    assert_eq!(tenant.requests().len(), 2, "no query, no call");
}

#[tokio::test(start_paused = true)]
async fn a_refused_second_page_is_asked_for_by_the_initial_domain_from_then_on() {
    let tenant = Tenant::new(|call: &Call| {
        let page = |rows: serde_json::Value, more: bool| {
            let mut body = json!({"@adminapi.warnings": [], "value": rows});
            if more {
                let next = "https://outlook.office365.com/adminapi/beta/x/InvokeCommand?$skiptoken=1";
                body["@odata.nextLink"] = json!(next);
            }
            Reaction::status(200, &body)
        };
        let by_domain = call
            .anchor
            .as_deref()
            .is_some_and(|anchor| anchor.ends_with("@contoso.onmicrosoft.com"));
        let domain = |name: &str, initial: bool| json!({"DomainName": name, "InitialDomain": initial, "Default": false, "DomainType": "Authoritative"});
        match call.name.as_str() {
            "token" => Tenant::default_reaction(call),
            "Get-AcceptedDomain" => page(json!([domain("contoso.onmicrosoft.com", true)]), false),
            _ if !call.url.contains("skiptoken") => page(json!([]), true),
            _ if by_domain => page(json!([]), false),
            _ => Reaction::failed(
                400,
                "Admin.OData.Core.ODataServiceException",
                "Expired or Invalid pagination request. Default Expiry time is 00:30:00",
            ),
        }
    });
    let gateway = tenant.gateway();
    let mailbox = "0a0a0a0a-1111-2222-3333-444444444444".parse().unwrap();
    let error = gateway.send_as(Lane::Edit, mailbox, None).await.unwrap_err();
    assert!(
        error.message.contains("incomplete"),
        "the domain is not known yet: {error}"
    );
    gateway.accepted_domains(Lane::Edit).await.unwrap();
    for requests in [4, 2] {
        let before = tenant.requests().len();
        gateway.send_as(Lane::Edit, mailbox, None).await.unwrap();
        assert_eq!(tenant.requests().len() - before, requests);
    }
    assert_eq!(
        gateway.learned().paging,
        Some(crate::exchange::Anchor::InitialDomain)
    );
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_is_too_long_is_halved_and_the_length_remembered() {
    let conditions = |call: &Call| {
        call.parameters["Filter"]
            .as_str()
            .unwrap_or_default()
            .matches("-eq")
            .count()
    };
    let tenant = Tenant::new(move |call: &Call| match call.name.as_str() {
        "Get-Recipient" if conditions(call) > 10 => Reaction::failed(
            400,
            "ParameterBindingException",
            "Cannot bind parameter 'Filter' to the target.",
        ),
        "Get-Recipient" => Reaction::rows(&json!([])),
        _ => Tenant::default_reaction(call),
    });
    let gateway = tenant.gateway();
    let query = |n: usize| RecipientQuery::Address(format!("member{n}@contoso.com").parse().unwrap());
    let queries: Vec<RecipientQuery> = (0..40).map(query).collect();
    gateway.find_recipients(Lane::Edit, &queries).await.unwrap();
    let before = tenant.requests().len();
    gateway.find_recipients(Lane::Edit, &queries).await.unwrap();
    let calls: Vec<usize> = tenant.requests()[before..]
        .iter()
        .flat_map(|request| request.calls.iter().map(conditions))
        .collect();
    assert_eq!(calls, [10, 10, 10, 10]);
}
