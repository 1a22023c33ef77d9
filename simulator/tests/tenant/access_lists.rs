//! Access control lists with everything that turns up in them: refusals, inherited entries, entries of
//! people who are gone, entries that can't be removed.

use serde_json::{Value, json};
use simulator::{AccessRight, AccessRow, Control, Seed, SendAsRow, Standing};

use crate::client::{Client, failure, table};

const FIRST: &str = "first.member@contoso.com";
const SECOND: &str = "second.member@contoso.com";
/// Of no account that there is.
const STRAY: &str = "S-1-5-21-1-2-3-4";

/// A tenant with one mailbox.
struct Scene {
    client: Client,
    guid: Value,
    control: Control,
}

async fn with_mailbox() -> Scene {
    let client = Client::contoso().await;
    let guid = client.new_mailbox("sales@contoso.com").await["Guid"].clone();
    let control = client.tenant.control();
    Scene {
        client,
        guid,
        control,
    }
}

fn full_access(guid: &Value, user: &str) -> Value {
    json!({"Identity": guid, "User": user, "AccessRights": ["FullAccess"], "Confirm": false})
}

fn send_as(guid: &Value, user: &str) -> Value {
    json!({"Identity": guid, "Trustee": user, "AccessRights": "SendAs", "Confirm": false})
}

/// SIDs of the rows that are of this mailbox and of nobody's own.
async fn listed(client: &Client, guid: &Value, soft_deleted: bool, unresolved: bool) -> Vec<String> {
    let parameters = json!({"Identity": guid, "IncludeSoftDeletedUserPermissions": soft_deleted,
        "IncludeUnresolvedPermissions": unresolved});
    let answer = client.run("Get-MailboxPermission", parameters).await;
    let rows = answer.rows().iter();
    let own = rows.filter(|row| row["IsInherited"] == false && row["UserSid"] != "S-1-5-10");
    own.map(|row| row["UserSid"].as_str().unwrap().to_owned())
        .collect()
}

async fn row_of(client: &Client, guid: &Value, sid: &str) -> Value {
    let parameters = json!({"Identity": guid, "IncludeSoftDeletedUserPermissions": true,
        "IncludeUnresolvedPermissions": true});
    let answer = client.run("Get-MailboxPermission", parameters).await;
    let found = answer.rows().iter().find(|row| row["UserSid"] == sid);
    found
        .unwrap_or_else(|| panic!("no row of {sid}: {answer:?}"))
        .clone()
}

#[tokio::test]
async fn entries_of_deleted_people_hide_until_asked_for_and_come_back_with_a_restore() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    for user in [FIRST, SECOND] {
        client
            .run("Add-MailboxPermission", full_access(&guid, user))
            .await
            .rows();
    }
    let sids = [FIRST, SECOND].map(|user| control.sid(user).unwrap());
    control.delete_user(FIRST).unwrap();
    control.purge_user(SECOND).unwrap();
    let none: [String; 0] = [];
    assert_eq!(listed(&client, &guid, false, false).await, none);
    assert_eq!(listed(&client, &guid, true, false).await, [sids[0].clone()]);
    assert_eq!(listed(&client, &guid, false, true).await, [sids[1].clone()]);
    // A soft-deleted person's row looks like any other; what no longer resolves shows its SID.
    assert_eq!(row_of(&client, &guid, &sids[0]).await["User"], FIRST);
    assert_eq!(row_of(&client, &guid, &sids[1]).await["User"], *sids[1]);
    control.restore_user(FIRST).unwrap();
    assert_eq!(listed(&client, &guid, false, false).await, [sids[0].clone()]);
    assert!(control.restore_user(SECOND).is_err(), "purged is purged");
}

#[tokio::test]
async fn hidden_entries_are_removed_by_their_sid() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    client
        .run("Add-MailboxPermission", full_access(&guid, FIRST))
        .await
        .rows();
    let sid = control.sid(FIRST).unwrap();
    control.delete_user(FIRST).unwrap();
    let by_name = client
        .run("Remove-MailboxPermission", full_access(&guid, FIRST))
        .await;
    assert_eq!(by_name.status, 404);
    let by_sid = client
        .run("Remove-MailboxPermission", full_access(&guid, &sid))
        .await;
    assert!(by_sid.warnings().is_empty());
    assert!(
        control
            .mailbox("sales@contoso.com")
            .unwrap()
            .full_access
            .is_empty()
    );
}

#[tokio::test]
async fn an_entry_of_nobody_is_a_bare_sid() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    let id = control
        .inject_access("sales@contoso.com", &AccessRow::of(STRAY))
        .unwrap();
    assert_eq!(
        control
            .inject_send_as("sales@contoso.com", &SendAsRow::of(STRAY))
            .unwrap(),
        id
    );
    assert_eq!(row_of(&client, &guid, STRAY).await["User"], STRAY);
    assert_eq!(listed(&client, &guid, true, false).await.len(), 0);
    let rows = client
        .run("Get-RecipientPermission", json!({"Identity": guid}))
        .await;
    assert_eq!(rows.rows()[1]["Trustee"], STRAY);
    assert_eq!(
        control.mailbox("sales@contoso.com").unwrap().full_access[0].sid,
        STRAY
    );
    client
        .run("Remove-MailboxPermission", full_access(&guid, STRAY))
        .await
        .rows();
    client
        .run("Remove-RecipientPermission", send_as(&guid, STRAY))
        .await
        .rows();
    let view = control.mailbox("sales@contoso.com").unwrap();
    assert!(view.full_access.is_empty() && view.send_as_rows.is_empty());
    assert!(
        control
            .inject_access("sales@contoso.com", &AccessRow::of("nobody"))
            .is_err()
    );
}

#[tokio::test]
async fn a_refusal_is_a_row_of_its_own() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    let mut deny = full_access(&guid, FIRST);
    deny["Deny"] = true.into();
    client.run("Add-MailboxPermission", deny.clone()).await.rows();
    client
        .run("Add-MailboxPermission", full_access(&guid, FIRST))
        .await
        .rows();
    let only = json!({"Identity": guid, "User": FIRST});
    let rows = client.run("Get-MailboxPermission", only).await.rows().to_vec();
    let denied: Vec<bool> = rows.iter().map(|row| row["Deny"].as_bool().unwrap()).collect();
    assert_eq!(denied, [true, false]);
    // Taking away the grant leaves the refusal, and the other way round.
    client
        .run("Remove-MailboxPermission", full_access(&guid, FIRST))
        .await
        .rows();
    assert!(control.mailbox("sales@contoso.com").unwrap().full_access[0].deny);
    let again = client
        .run("Remove-MailboxPermission", full_access(&guid, FIRST))
        .await;
    assert!(again.warnings()[0].contains("because the ACE doesn't exist on the object"));
    client.run("Remove-MailboxPermission", deny).await.rows();
    assert!(
        control
            .mailbox("sales@contoso.com")
            .unwrap()
            .full_access
            .is_empty()
    );
}

#[tokio::test]
async fn a_refusal_to_send_as_is_no_grant() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    let deny = SendAsRow {
        deny: true,
        ..SendAsRow::of(FIRST)
    };
    control.inject_send_as("sales@contoso.com", &deny).unwrap();
    let rows = client
        .run("Get-RecipientPermission", json!({"Identity": guid}))
        .await;
    assert_eq!(rows.rows()[1]["AccessControlType"], "Deny");
    let view = control.mailbox("sales@contoso.com").unwrap();
    assert_eq!((view.send_as.len(), view.send_as_rows.len()), (0, 1));
    let mut remove = send_as(&guid, FIRST);
    let answer = client.run("Remove-RecipientPermission", remove.clone()).await;
    assert!(answer.warnings()[0].contains("because the ACE isn't present"));
    remove["Deny"] = true.into();
    client.run("Remove-RecipientPermission", remove).await.rows();
    assert!(
        control
            .mailbox("sales@contoso.com")
            .unwrap()
            .send_as_rows
            .is_empty()
    );
}

#[tokio::test]
async fn an_inherited_entry_is_shown_as_such_and_stays() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    let standing = Standing::Inherited;
    control
        .inject_access(
            "sales@contoso.com",
            &AccessRow {
                standing,
                ..AccessRow::of(FIRST)
            },
        )
        .unwrap();
    control
        .inject_send_as(
            "sales@contoso.com",
            &SendAsRow {
                standing,
                ..SendAsRow::of(FIRST)
            },
        )
        .unwrap();
    let sid = control.sid(FIRST).unwrap();
    assert_eq!(row_of(&client, &guid, &sid).await["IsInherited"], true);
    let rows = client
        .run("Get-RecipientPermission", json!({"Identity": guid}))
        .await;
    assert_eq!(rows.rows()[1]["IsInherited"], true);
    let answers = [
        client
            .run("Remove-MailboxPermission", full_access(&guid, FIRST))
            .await,
        client
            .run("Remove-RecipientPermission", send_as(&guid, FIRST))
            .await,
    ];
    for answer in answers {
        assert!(answer.warnings()[0].starts_with("An inherited access control entry has been specified"));
    }
    let view = control.mailbox("sales@contoso.com").unwrap();
    assert_eq!((view.full_access.len(), view.send_as_rows.len()), (1, 1));
    // It is no entry of the mailbox itself: a grant makes one beside it.
    assert!(
        client
            .run("Add-MailboxPermission", full_access(&guid, FIRST))
            .await
            .warnings()
            .is_empty()
    );
    assert!(
        client
            .run("Add-RecipientPermission", send_as(&guid, FIRST))
            .await
            .warnings()
            .is_empty()
    );
    let view = control.mailbox("sales@contoso.com").unwrap();
    assert_eq!((view.full_access.len(), view.send_as.len()), (2, 1));
}

#[tokio::test]
async fn an_entry_that_wont_go_says_each_time_that_it_isnt_there() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    client
        .run("Add-MailboxPermission", full_access(&guid, FIRST))
        .await
        .rows();
    client
        .run("Add-RecipientPermission", send_as(&guid, FIRST))
        .await
        .rows();
    control.set_undeletable("sales@contoso.com", FIRST, true).unwrap();
    for _ in 0..2 {
        let answer = client
            .run("Remove-MailboxPermission", full_access(&guid, FIRST))
            .await;
        assert!(answer.warnings()[0].contains("because the ACE doesn't exist on the object"));
        let answer = client
            .run("Remove-RecipientPermission", send_as(&guid, FIRST))
            .await;
        assert!(answer.warnings()[0].contains("because the ACE isn't present"));
    }
    assert_eq!(listed(&client, &guid, false, false).await.len(), 1);
    assert_eq!(control.mailbox("sales@contoso.com").unwrap().send_as.len(), 1);
    control
        .set_undeletable("sales@contoso.com", FIRST, false)
        .unwrap();
    client
        .run("Remove-MailboxPermission", full_access(&guid, FIRST))
        .await
        .rows();
    assert!(listed(&client, &guid, false, false).await.is_empty());
}

#[tokio::test]
async fn rights_of_one_row_go_in_one_call() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    let rights = vec![
        AccessRight::FullAccess,
        AccessRight::ReadPermission,
        AccessRight::ChangePermission,
    ];
    let row = AccessRow {
        rights,
        ..AccessRow::of(FIRST)
    };
    control.inject_access("sales@contoso.com", &row).unwrap();
    let sid = control.sid(FIRST).unwrap();
    let shown = row_of(&client, &guid, &sid).await["AccessRights"].clone();
    assert_eq!(shown, json!(["FullAccess, ReadPermission, ChangePermission"]));
    let mut remove = full_access(&guid, &sid);
    remove["AccessRights"] = json!(["FullAccess", "ReadPermission", "ChangePermission"]);
    client.run("Remove-MailboxPermission", remove).await.rows();
    assert!(listed(&client, &guid, true, true).await.is_empty());
}

#[tokio::test]
async fn a_deleted_persons_send_as_shows_a_made_up_account_until_it_is_gone() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    client
        .run("Add-RecipientPermission", send_as(&guid, FIRST))
        .await
        .rows();
    let sid = control.sid(FIRST).unwrap();
    control.delete_user(FIRST).unwrap();
    let list = json!({"ResultSize": "Unlimited"});
    let row = |answer: crate::client::Answer| {
        let found = answer.rows().iter().find(|row| row["TrusteeSidString"] == *sid);
        found.unwrap()["Trustee"].as_str().unwrap().to_owned()
    };
    let text = row(client.run("Get-RecipientPermission", list.clone()).await);
    assert!(text.starts_with("EURPR05A001\\$"), "{text}");
    control.purge_user(FIRST).unwrap();
    assert_eq!(row(client.run("Get-RecipientPermission", list).await), sid);
}

#[tokio::test]
async fn a_tenant_may_leave_out_whether_send_as_is_inherited() {
    let seed = Seed {
        send_as_rows_lack_inheritance: true,
        ..Seed::contoso()
    };
    let client = Client::of(seed).await;
    let rows = client
        .run("Get-RecipientPermission", json!({}))
        .await
        .rows()
        .to_vec();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.get("IsInherited").is_none()));
}

#[tokio::test]
async fn the_limit_counts_what_hides_but_not_what_is_inherited() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    for n in 0..499 {
        let row = AccessRow::of(&format!("S-1-5-21-1-2-3-{n}"));
        control.inject_access("sales@contoso.com", &row).unwrap();
    }
    for n in 499..510 {
        let row = AccessRow {
            standing: Standing::Inherited,
            ..AccessRow::of(&format!("S-1-5-21-1-2-3-{n}"))
        };
        control.inject_access("sales@contoso.com", &row).unwrap();
    }
    assert_eq!(listed(&client, &guid, false, false).await.len(), 0);
    client
        .run("Add-MailboxPermission", full_access(&guid, FIRST))
        .await
        .rows();
    let answer = client
        .run("Add-MailboxPermission", full_access(&guid, SECOND))
        .await;
    assert_eq!(answer.failure(), failure(500, "InvalidOperationException"));
    assert!(
        answer
            .message()
            .contains("maximum allowed access control entries of 500")
    );
    // More rights for somebody who has an entry are no new entry.
    let mut more = full_access(&guid, FIRST);
    more["AccessRights"] = "ReadPermission".into();
    assert_eq!(client.run("Add-MailboxPermission", more).await.status, 200);
}

#[tokio::test]
async fn clearing_automapping_and_resetting_name_nobody() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    client
        .run("Add-MailboxPermission", full_access(&guid, FIRST))
        .await
        .rows();
    for switch in ["ClearAutoMapping", "ResetDefault"] {
        let mut parameters = full_access(&guid, FIRST);
        parameters[switch] = true.into();
        let answer = client.run("Remove-MailboxPermission", parameters).await;
        assert_eq!(answer.failure(), failure(400, "ParameterBindingException"));
    }
    let view = control.mailbox("sales@contoso.com").unwrap();
    assert!(view.full_access[0].auto_mapping);
    let object = &control.state()["objects"];
    let of_sales = object
        .as_array()
        .unwrap()
        .iter()
        .find(|object| object["guid"] == guid)
        .unwrap();
    assert_eq!(of_sales["mailbox"]["fullAccess"][0]["autoMapping"], true);
    let reset = json!({"Identity": guid, "ResetDefault": true, "Confirm": false});
    client.run("Remove-MailboxPermission", reset).await.rows();
    assert!(
        control
            .mailbox("sales@contoso.com")
            .unwrap()
            .full_access
            .is_empty()
    );
}

#[tokio::test]
async fn a_deleted_delegate_drops_out_of_send_on_behalf() {
    let Scene {
        client,
        guid,
        control,
    } = with_mailbox().await;
    let set = json!({"Identity": guid, "GrantSendOnBehalfTo": table(&[FIRST, SECOND], &[])});
    client.run("Set-Mailbox", set).await.rows();
    control.delete_user(FIRST).unwrap();
    let row = client
        .run("Get-Mailbox", json!({"Identity": guid}))
        .await
        .one()
        .clone();
    assert_eq!(row["GrantSendOnBehalfTo"].as_array().unwrap().len(), 1);
}
