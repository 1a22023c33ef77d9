//! Look-ups, as they are sent and read.

use serde_json::{Value, json};

use super::*;
use crate::exchange::cmdlets::answer::CUSTOM_ATTRIBUTES;
use crate::exchange::error::ErrorClass;
use crate::exchange::testing::{Call, Reaction, Tenant};
use crate::mail::ClusterId;

const GUID: &str = "0a0a0a0a-1111-2222-3333-444444444444";
const OBJECT: &str = "66666666-7777-8888-9999-aaaaaaaaaaaa";
const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn address(text: &str) -> SmtpAddress {
    text.parse().unwrap()
}

fn row(kind: &str) -> Value {
    let mut row = json!({
        "ExchangeGuid": GUID, "ExternalDirectoryObjectId": OBJECT, "Name": OBJECT, "DisplayName": "First Member",
        "WindowsLiveID": "f.member@contoso.com", "PrimarySmtpAddress": "first.member@contoso.com",
        "EmailAddresses": ["SMTP:first.member@contoso.com", "smtp:fm@contoso.com"],
        "RecipientTypeDetails": kind, "WhenSoftDeleted": null,
    });
    for name in CUSTOM_ATTRIBUTES {
        row[*name] = json!("");
    }
    row
}

fn answering(rows: Value) -> Tenant {
    Tenant::new(move |call: &Call| {
        if call.name == "token" {
            Tenant::default_reaction(call)
        } else {
            Reaction::rows(&rows)
        }
    })
}

fn sent(tenant: &Tenant) -> (String, Value) {
    let call = tenant.requests()[0].calls[0].clone();
    (call.name, call.parameters)
}

async fn look_up(rows: Value, identity: RecipientIdentity) -> Result<RecipientRow, ExchangeError> {
    answering(rows).gateway().recipient(Lane::Edit, &identity).await
}

#[tokio::test(start_paused = true)]
async fn several_claims_are_one_filter_that_sees_soft_deleted_recipients() {
    let mut deleted = row("SharedMailbox");
    deleted["WhenSoftDeleted"] = json!("2026-11-01T08:00:00+00:00");
    let tenant = answering(json!([row("UserMailbox"), deleted]));
    let name = OneTimeName::from_random_bits(1);
    let owner = MarkerOwner {
        cluster: ClusterId {
            name: "production-1".to_owned(),
            uid_part: "0a1b2c3d".to_owned(),
        },
        namespace: "team-sales".to_owned(),
        name: "sales".to_owned(),
        uid: "any".to_owned(),
    };
    let queries = [
        RecipientQuery::Address(address("sales@contoso.com")),
        RecipientQuery::DisplayName(name.clone()),
        RecipientQuery::Marker(15, owner),
    ];
    let rows = tenant
        .gateway()
        .find_recipients(Lane::Edit, &queries)
        .await
        .unwrap();
    assert!(!rows[0].soft_deleted && rows[1].soft_deleted);
    assert_eq!(
        rows[0].user_principal_name.as_deref(),
        Some("f.member@contoso.com")
    );
    let marker =
        "Managed by shared-mailbox-operator v1; cluster=production-1/0a1b2c3d; resource=team-sales/sales;*";
    let filter = format!(
        "(EmailAddresses -eq 'smtp:sales@contoso.com') -or (DisplayName -eq '{name}') -or (CustomAttribute15 -like \
         '{marker}')"
    );
    let expected = json!({"Filter": filter, "IncludeSoftDeletedRecipients": true, "ResultSize": "Unlimited"});
    assert_eq!(sent(&tenant), ("Get-Recipient".to_owned(), expected));
}

#[tokio::test(start_paused = true)]
async fn a_recipient_asked_for_by_address_carries_it_or_signs_in_with_it() {
    for asked in [
        "first.member@contoso.com",
        "fm@contoso.com",
        "f.member@contoso.com",
    ] {
        let found = look_up(
            json!([row("UserMailbox")]),
            RecipientIdentity::Address(address(asked)),
        )
        .await
        .unwrap();
        assert_eq!(found.object_id.unwrap().to_string(), OBJECT, "{asked}");
    }
    let other = look_up(
        json!([row("UserMailbox")]),
        RecipientIdentity::Address(address("x@contoso.com")),
    )
    .await;
    assert_eq!(other.unwrap_err().class, ErrorClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn no_row_and_several_rows_are_distinguished() {
    let asked = || RecipientIdentity::Address(address("fm@contoso.com"));
    assert_eq!(
        look_up(json!([]), asked()).await.unwrap_err().class,
        ErrorClass::NotFound
    );
    let two = look_up(json!([row("UserMailbox"), row("MailUser")]), asked())
        .await
        .unwrap_err();
    assert_eq!(two.class, ErrorClass::Invalid);
    assert!(two.message.contains("2 objects"), "{two}");
}

#[tokio::test(start_paused = true)]
async fn what_exchange_wrote_is_looked_up_as_id_or_name() {
    assert_eq!(RecipientIdentity::read_back("  "), None);
    assert_eq!(
        RecipientIdentity::read_back(OBJECT),
        Some(RecipientIdentity::ObjectId(OBJECT.parse().unwrap()))
    );
    let name = RecipientIdentity::read_back("Old Name").unwrap();
    assert_eq!(
        look_up(json!([row("UserMailbox")]), name)
            .await
            .unwrap()
            .display_name,
        "First Member"
    );
    let wrong_id = RecipientIdentity::read_back(GUID).unwrap();
    assert_eq!(
        look_up(json!([row("UserMailbox")]), wrong_id)
            .await
            .unwrap_err()
            .class,
        ErrorClass::Transient
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_has_no_mailbox_guid_and_no_sign_in_name() {
    let mut group = row("MailUniversalSecurityGroup");
    group["ExchangeGuid"] = json!(NIL);
    group["WindowsLiveID"] = json!("");
    let found = look_up(
        json!([group]),
        RecipientIdentity::Address(address("fm@contoso.com")),
    )
    .await
    .unwrap();
    assert_eq!(
        (found.guid, found.user_principal_name, found.kind),
        (None, None, RecipientKind::SecurityGroup)
    );
}

#[test]
fn recipients_are_named_in_words_and_rare_ones_by_exchanges_name() {
    for (details, words) in [
        ("UserMailbox", "a person's mailbox"),
        ("SharedMailbox", "a shared mailbox"),
        ("RoomMailbox", "a mailbox of type RoomMailbox"),
        ("MailUser", "a mail user"),
        ("GuestMailUser", "a guest"),
        ("MailContact", "a mail contact"),
        ("MailUniversalSecurityGroup", "a mail-enabled security group"),
        ("MailUniversalDistributionGroup", "a distribution group"),
        ("GroupMailbox", "a Microsoft 365 group"),
        ("PublicFolder", "a recipient of type PublicFolder"),
    ] {
        assert_eq!(RecipientKind::of(details).in_words(), words);
    }
    assert_eq!(
        RecipientKind::of("RoomMailbox"),
        RecipientKind::OtherMailbox("RoomMailbox".to_owned())
    );
    assert_eq!(
        RecipientKind::of("GroupMailbox"),
        RecipientKind::Microsoft365Group
    );
}

#[tokio::test(start_paused = true)]
async fn users_are_found_by_sign_in_name() {
    let user = json!({"ExternalDirectoryObjectId": OBJECT, "UserPrincipalName": "A@contoso.com", "DisplayName": "A",
        "RecipientTypeDetails": "User", "Sid": "S-1-5-21-1-2"});
    let tenant = answering(json!([user]));
    let upn = address("a@contoso.com");
    let users = tenant
        .gateway()
        .find_users_by_upn(Lane::Edit, std::slice::from_ref(&upn))
        .await
        .unwrap();
    assert_eq!(users[0].sid.as_ref().unwrap().as_str(), "S-1-5-21-1-2");
    let expected = json!({"Filter": "UserPrincipalName -eq 'a@contoso.com'", "ResultSize": "Unlimited"});
    assert_eq!(sent(&tenant), ("Get-User".to_owned(), expected));
    tenant.gateway().user(Lane::Edit, &upn).await.unwrap();
    let other = tenant
        .gateway()
        .user(Lane::Edit, &address("b@contoso.com"))
        .await
        .unwrap_err();
    assert_eq!(other.class, ErrorClass::Transient);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_mail_is_found_by_its_name_for_it_has_no_address() {
    let group = json!({"ExternalDirectoryObjectId": OBJECT, "Name": "g", "DisplayName": "G", "Sid": "S-1-5-21-3",
        "WindowsEmailAddress": "", "RecipientTypeDetails": "UniversalSecurityGroup"});
    let tenant = answering(json!([group]));
    let groups = tenant
        .gateway()
        .groups_with_address(Lane::Edit, &address("g@contoso.com"))
        .await
        .unwrap();
    assert!(!groups[0].is_mail_enabled());
    assert_eq!(groups[0].address, None);
    let filter = "(WindowsEmailAddress -eq 'g@contoso.com') -or (Name -eq 'g') -or (DisplayName -eq 'g')";
    let expected = json!({"Filter": filter, "ResultSize": "Unlimited"});
    assert_eq!(sent(&tenant), ("Get-Group".to_owned(), expected));
}

#[tokio::test(start_paused = true)]
async fn domains_are_read_and_names_that_are_none_left_out() {
    let domain = |name: &str, initial: bool, default: bool| json!({"DomainName": name, "InitialDomain": initial, "Default": default, "DomainType": "Authoritative"});
    let rows = json!([
        domain("Contoso.com", false, true),
        domain("contoso.onmicrosoft.com", true, false),
        domain("*", false, false)
    ]);
    let domains = answering(rows)
        .gateway()
        .accepted_domains(Lane::Edit)
        .await
        .unwrap();
    let read: Vec<_> = domains
        .iter()
        .map(|domain| (domain.name.as_str(), domain.initial, domain.default))
        .collect();
    assert_eq!(
        read,
        [
            ("contoso.com", false, true),
            ("contoso.onmicrosoft.com", true, false)
        ]
    );
}

#[test]
fn quotes_in_a_filter_are_doubled() {
    assert_eq!(quoted("o'neil' -or x"), "'o''neil'' -or x'");
}
