//! Parameters and values that are refused, and how the admin API says so.

use serde_json::json;
use simulator::ParameterRule;

use crate::client::{Client, failure};

#[tokio::test]
async fn a_parameter_that_does_not_exist_is_named_at_the_end_of_one_sentence() {
    let client = Client::contoso().await;
    let set = json!({"Identity": "first.member", "PrimarySmtpAddress": "a@contoso.com"});
    let answer = client.run("Set-Mailbox", set).await;
    assert_eq!(answer.failure(), failure(400, "AmbiguousParameterSetException"));
    assert_eq!(answer.json["error"]["message"], "Invalid Operation");
    assert_eq!(
        answer.json["error"]["details"][0]["message"],
        "|Microsoft.Exchange.AdminApi.CommandInvocation.AmbiguousParameterSetException|Parameter set cannot be \
         resolved using the specified named parameters. Invalid cmdlet parameters specified. PrimarySmtpAddress"
    );
}

#[tokio::test]
async fn a_parameter_that_the_role_lacks_looks_as_if_it_did_not_exist() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    let set = json!({"Identity": "first.member", "mailTip": "Hello", "CustomAttribute1": "x"});
    control.set_parameter_rule("Set-Mailbox", "MailTip", ParameterRule::NotInRole);
    let answer = client.run("Set-Mailbox", set.clone()).await;
    assert_eq!(answer.failure(), failure(400, "AmbiguousParameterSetException"));
    assert!(answer.message().ends_with("specified. mailTip"), "{answer:?}");
    let view = control.mailbox("first.member").unwrap();
    assert!(view.custom_attributes.is_empty(), "nothing of the call happens");

    // The role is the app's alone, and holds for this cmdlet only.
    control
        .admin_cmdlet(
            "Set-Mailbox",
            json!({"Identity": "first.member", "MailTip": "By an admin"}),
        )
        .unwrap();
    let other = json!({"Identity": "first.member", "ImapEnabled": false});
    assert_eq!(client.run("Set-CASMailbox", other).await.status, 200);

    control.set_parameter_rule("Set-Mailbox", "MailTip", ParameterRule::Accepted);
    assert_eq!(client.run("Set-Mailbox", set).await.status, 200);
}

#[tokio::test]
async fn a_refused_value_names_its_parameter() {
    let client = Client::contoso().await;
    let control = client.tenant.control();
    control.set_parameter_rule("set-casmailbox", "imapenabled", ParameterRule::ValueRefused);
    let set = json!({"Identity": "first.member", "ImapEnabled": false, "PopEnabled": false});
    let answer = client.run("Set-CASMailbox", set).await;
    assert_eq!(answer.failure(), failure(400, "DataValidationException"));
    assert!(
        answer.message().contains("ImapEnabled, \"false\", isn't valid"),
        "{answer:?}"
    );
    assert_eq!(
        control.mailbox("first.member").unwrap().settings.all()["PopEnabled"],
        true
    );
    let other = json!({"Identity": "first.member", "PopEnabled": false});
    assert_eq!(client.run("Set-CASMailbox", other).await.status, 200);
}

#[tokio::test]
async fn a_value_of_another_type_is_refused_without_details() {
    let client = Client::contoso().await;
    for wrong in [
        json!({"Type": "Imaginary"}),
        json!({"ProhibitSendQuota": "lots"}),
        json!({"HiddenFromAddressListsEnabled": "yes"}),
    ] {
        let mut set = wrong;
        set["Identity"] = "first.member".into();
        let answer = client.run("Set-Mailbox", set).await;
        assert_eq!(answer.failure(), failure(400, "ParameterTransformationException"));
        assert_eq!(answer.json["error"]["message"], "Invalid Operation");
        assert_eq!(answer.json["error"].get("details"), None);
    }
}
