//! What callers see of a tenant that fails or refuses.

use simulator::{Fault, FaultRule};

use super::*;

#[tokio::test(start_paused = true)]
async fn transient_faults_do_not_reach_the_caller() {
    let server_error = |status, exception: Option<&str>| Fault::ServerError {
        status,
        exception: exception.map(str::to_owned),
        message: None,
    };
    for fault in [
        Fault::Throttled {
            retry_after_seconds: Some(20),
        },
        Fault::Throttled {
            retry_after_seconds: None,
        },
        Fault::TenantConcurrency,
        Fault::Unauthorized,
        Fault::LostRequest,
        Fault::LostAnswer,
        Fault::CutAnswer,
        server_error(503, None),
        server_error(504, None),
        server_error(500, Some("ServerBusyException")),
        server_error(400, Some("DCOverloadedException")),
    ] {
        for rule in [
            FaultRule::next(1, fault.clone()),
            FaultRule::next(1, fault.clone()).on(&["Add-*"]),
        ] {
            let bench = Bench::new();
            let created = create(&bench).await;
            let ids = join_all(["first", "second", "third"].map(|ordinal| bench.member(ordinal))).await;
            let ids: Vec<ObjectId> = ids.iter().map(|row| row.object_id.unwrap()).collect();
            bench.control.add_fault(rule);
            let grants = ids
                .iter()
                .map(|id| bench.gateway.add_send_as(LANE, created.guid, id));
            let granted = try_join_all(grants).await;
            assert!(granted.is_ok(), "{fault:?}: {granted:?}");
            let rows = bench.gateway.send_as(LANE, created.guid, None).await.unwrap();
            assert_eq!(
                rows.iter().filter(|row| row.trustee.contains("member")).count(),
                3,
                "{fault:?}"
            );
        }
    }
}

async fn denied_with(bench: &Bench) -> ExchangeError {
    bench.gateway.accepted_domains(LANE).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn what_the_app_lacks_is_reported_in_words() {
    let no_role = Bench::new();
    no_role.control.set_exchange_app_role(false);
    let error = denied_with(&no_role).await;
    assert_eq!((error.class, error.stage), (ErrorClass::Denied, Stage::Exchange));
    assert!(error.message.contains("Exchange.ManageAsApp"), "{error}");

    let no_directory_role = Bench::new();
    no_directory_role.control.set_directory_role(false);
    let error = denied_with(&no_directory_role).await;
    assert_eq!(error.class, ErrorClass::Denied);
    assert!(error.message.contains("directory role"), "{error}");

    let wrong_secret = Bench::with(|connection| {
        connection.credentials = vec![Credential::ClientSecret(SecretString::from(
            "planted-wrong-secret",
        ))];
    });
    let error = denied_with(&wrong_secret).await;
    assert_eq!((error.class, error.stage), (ErrorClass::Denied, Stage::Token));
    assert_eq!(error.exception.as_deref(), Some("AADSTS7000215"));
    assert!(!format!("{error:?}").contains("planted"), "{error:?}");

    let no_tenant =
        Bench::with(|connection| connection.tenant = "99999999-2222-3333-4444-555555555555".parse().unwrap());
    let error = denied_with(&no_tenant).await;
    assert_eq!(
        (error.class, error.stage),
        (ErrorClass::Invalid, Stage::Token),
        "{error}"
    );

    let no_app = Bench::with(|connection| connection.client_id = uuid::Uuid::from_u128(1));
    assert_eq!(denied_with(&no_app).await.class, ErrorClass::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_role_granted_later_is_used_once_the_token_is_old_enough_to_lack_it() {
    let bench = Bench::new();
    bench.control.set_directory_role(false);
    denied_with(&bench).await;
    bench.control.set_directory_role(true);
    tokio::time::sleep(std::time::Duration::from_mins(6)).await;
    // The refusal of the old token makes room for a new one.
    denied_with(&bench).await;
    bench.gateway.accepted_domains(LANE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_tenant_of_the_token_is_reported() {
    let bench = Bench::new();
    let tenant = bench.gateway.tenant_guid().await.unwrap();
    assert_eq!(tenant.to_string(), Seed::contoso().tenant_id.to_string());
}
