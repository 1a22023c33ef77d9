//! Get- and Set-MailboxRegionalConfiguration.

use serde_json::{Value, json};
use simulator::{LanguageForm, Quirks};

use crate::client::{Client, failure};

const GET: &str = "Get-MailboxRegionalConfiguration";
const SET: &str = "Set-MailboxRegionalConfiguration";

#[tokio::test]
async fn nothing_is_there_until_it_is_set() {
    let client = Client::contoso().await;
    let mailbox = client.new_mailbox("sales@contoso.com").await;
    let get = json!({"Identity": mailbox["ExchangeGuid"]});
    let row = client.run(GET, get.clone()).await.one().clone();
    for name in ["Language", "TimeZone", "DateFormat", "TimeFormat"] {
        assert_eq!(row[name], Value::Null, "{name}");
    }
    let set = json!({"Identity": mailbox["ExchangeGuid"], "Language": "de-DE", "TimeZone": "w. europe standard time",
        "DateFormat": "dd.MM.yy", "LocalizeDefaultFolderName": true});
    client.run(SET, set).await.rows();
    let row = client.run(GET, get.clone()).await.one().clone();
    assert_eq!(
        (&row["Language"], &row["DateFormat"]),
        (&json!("de-DE"), &json!("dd.MM.yy"))
    );
    assert_eq!(row["TimeZone"], "W. Europe Standard Time");
    for (form, shown) in [
        (LanguageForm::Object, json!({"Name": "de-DE", "LCID": 1031})),
        (LanguageForm::Number, json!(1031)),
    ] {
        client.tenant.control().set_quirks(Quirks {
            language: form,
            ..Quirks::default()
        });
        assert_eq!(client.run(GET, get.clone()).await.one()["Language"], shown);
    }
}

#[tokio::test]
async fn a_language_has_a_region_and_its_own_formats() {
    let client = Client::contoso().await;
    let mailbox = client.new_mailbox("sales@contoso.com").await;
    let set = |change: Value| {
        let mut set = json!({"Identity": mailbox["ExchangeGuid"]});
        set.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        set
    };
    for refused in [
        json!({"Language": "de"}),
        json!({"TimeZone": "Europe/Berlin"}),
        json!({"DateFormat": "dd.MM.yyyy"}),
    ] {
        assert_eq!(
            client.run(SET, set(refused.clone())).await.status,
            400,
            "{refused}"
        );
    }
    client
        .run(SET, set(json!({"Language": "de-DE", "DateFormat": "dd.MM.yyyy"})))
        .await
        .rows();
    let answer = client.run(SET, set(json!({"Language": "en-US"}))).await;
    assert_eq!(
        answer.failure(),
        failure(400, "DataValidationException"),
        "the old format is none of the new language"
    );
    let both = json!({"Language": "en-US", "DateFormat": null, "TimeFormat": null});
    client.run(SET, set(both)).await.rows();
}

#[tokio::test]
async fn a_mailbox_that_is_too_new_can_not_be_opened() {
    let client = Client::contoso().await;
    let mailbox = client.new_mailbox("sales@contoso.com").await;
    client.tenant.control().set_quirks(Quirks {
        store_after_create_ms: 300_000,
        ..Quirks::default()
    });
    for cmdlet in [GET, SET] {
        let answer = client
            .run(cmdlet, json!({"Identity": mailbox["ExchangeGuid"]}))
            .await;
        assert_eq!(
            answer.failure(),
            failure(500, "StorageTransientException"),
            "{cmdlet}"
        );
    }
}
