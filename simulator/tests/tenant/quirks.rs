//! What nobody knows of the service, in each of its positions.

use serde_json::{Value, json};
use simulator::{EmptyMailTip, Entities, LineEnds, MailTipForm, Quirks, Seed};

use crate::client::Client;

async fn with(quirks: Quirks) -> Client {
    let client = Client::of(Seed {
        quirks,
        ..Seed::contoso()
    })
    .await;
    client.new_mailbox("sales@contoso.com").await;
    client
}

async fn property(client: &Client, cmdlet: &str, name: &str) -> Option<Value> {
    let get = json!({"Identity": "sales@contoso.com"});
    client.run(cmdlet, get).await.one().get(name).cloned()
}

async fn mail_tip(form: MailTipForm, text: &str) -> Value {
    let client = with(Quirks {
        mail_tip: form,
        ..Quirks::default()
    })
    .await;
    let set = json!({"Identity": "sales@contoso.com", "MailTip": text});
    client.run("Set-Mailbox", set).await.rows();
    property(&client, "Get-Mailbox", "MailTip").await.unwrap()
}

#[tokio::test]
async fn a_mail_tip_comes_back_in_html_with_one_or_another_line_end() {
    for (line_ends, shown) in [
        (
            LineEnds::CrLf,
            "<html>\r\n<body>\r\nR&D\r\n</body>\r\n</html>\r\n",
        ),
        (LineEnds::Lf, "<html>\n<body>\nR&D\n</body>\n</html>\n"),
        (LineEnds::None, "<html><body>R&D</body></html>"),
    ] {
        let form = MailTipForm {
            line_ends,
            ..MailTipForm::default()
        };
        assert_eq!(mail_tip(form, "R&D").await, shown);
    }
}

#[tokio::test]
async fn special_characters_of_a_mail_tip_come_back_as_they_were_or_as_entities() {
    for (entities, shown) in [
        (Entities::Kept, "\"R&D\" isn't here"),
        (Entities::Named, "&quot;R&amp;D&quot; isn't here"),
        (Entities::Numbered, "&#34;R&#38;D&#34; isn&#39;t here"),
    ] {
        let form = MailTipForm {
            line_ends: LineEnds::None,
            entities,
            ..MailTipForm::default()
        };
        let expected = format!("<html><body>{shown}</body></html>");
        assert_eq!(mail_tip(form, "\"R&D\" isn't here").await, expected);
    }
}

#[tokio::test]
async fn no_mail_tip_is_null_or_empty_or_html_without_text() {
    for (when_empty, shown) in [
        (EmptyMailTip::Null, Value::Null),
        (EmptyMailTip::Empty, json!("")),
        (EmptyMailTip::Wrapper, json!("<html><body></body></html>")),
    ] {
        let form = MailTipForm {
            line_ends: LineEnds::None,
            when_empty,
            ..MailTipForm::default()
        };
        assert_eq!(mail_tip(form, "").await, shown);
    }
}

#[tokio::test]
async fn flags_may_be_null_until_somebody_sets_them() {
    let client = with(Quirks {
        flags_null_until_set: true,
        ..Quirks::default()
    })
    .await;
    for (get, set, name) in [
        ("Get-Mailbox", "Set-Mailbox", "HiddenFromAddressListsEnabled"),
        ("Get-CASMailbox", "Set-CASMailbox", "EwsEnabled"),
    ] {
        assert_eq!(property(&client, get, name).await, Some(Value::Null));
        let off = json!({"Identity": "sales@contoso.com", name: false});
        assert!(client.run(set, off).await.warnings().is_empty());
        assert_eq!(property(&client, get, name).await, Some(json!(false)));
    }
}

#[tokio::test]
async fn a_set_that_changes_nothing_may_say_nothing() {
    let client = with(Quirks {
        says_unmodified: false,
        ..Quirks::default()
    })
    .await;
    for (cmdlet, name) in [
        ("Set-Mailbox", "HiddenFromAddressListsEnabled"),
        ("Set-CASMailbox", "ImapEnabled"),
    ] {
        let set = json!({"Identity": "sales@contoso.com", name: true});
        client.run(cmdlet, set.clone()).await.rows();
        assert!(client.run(cmdlet, set).await.warnings().is_empty());
    }
}

#[tokio::test]
async fn a_property_may_be_missing_from_every_row_and_is_written_all_the_same() {
    let client = with(Quirks {
        missing: ["MailTip".to_owned(), "ExternalDirectoryObjectId".to_owned()].into(),
        ..Quirks::default()
    })
    .await;
    let set = json!({"Identity": "sales@contoso.com", "MailTip": "Hello"});
    client.run("Set-Mailbox", set).await.rows();
    assert_eq!(property(&client, "Get-Mailbox", "MailTip").await, None);
    assert_eq!(
        property(&client, "Get-CASMailbox", "ExternalDirectoryObjectId").await,
        None
    );
    assert!(property(&client, "Get-Mailbox", "Alias").await.is_some());
    let view = client.tenant.control().mailbox("sales@contoso.com").unwrap();
    assert!(view.settings.all()["MailTip"].as_str().unwrap().contains("Hello"));
}

#[tokio::test]
async fn a_property_may_read_as_something_else_than_was_written() {
    let client = with(Quirks::default()).await;
    let control = client.tenant.control();
    control.set_quirks(Quirks {
        shown_instead: [("MailTip".to_owned(), json!("<p>Something else</p>"))].into(),
        ..control.quirks()
    });
    let set = json!({"Identity": "sales@contoso.com", "MailTip": "Hello"});
    client.run("Set-Mailbox", set).await.rows();
    let shown = property(&client, "Get-Mailbox", "MailTip").await;
    assert_eq!(shown, Some(json!("<p>Something else</p>")));
    let view = control.mailbox("sales@contoso.com").unwrap();
    assert!(view.settings.all()["MailTip"].as_str().unwrap().contains("Hello"));
}

#[tokio::test]
async fn quirks_of_a_seed_survive_a_round_trip_through_json() {
    for seed in 0..20 {
        let quirks = Quirks::drawn(seed);
        let text = serde_json::to_string(&quirks).unwrap();
        assert_eq!(serde_json::from_str::<Quirks>(&text).unwrap(), quirks);
    }
}
