use super::*;
use serde_json::json;

fn typed(status: u16, exception: &str, text: &str) -> Reply {
    let json = json!({"error": {
        "code": "NotFound", "message": "Error executing cmdlet",
        "details": [{"code": "Client", "target": "", "message": format!("Ex6F9304|{exception}|{text}")}],
        "innererror": {"type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
            "internalexception": {"message": text, "type": exception}}}});
    Reply {
        status,
        json: Some(json),
        ..Reply::default()
    }
}

fn plain(status: u16, text: &str) -> Reply {
    Reply {
        status,
        text: text.to_owned(),
        ..Reply::default()
    }
}

fn class(reply: &Reply) -> ErrorClass {
    Failure::from_reply("Set-Mailbox", reply).error.class
}

#[test]
fn the_type_decides_whatever_the_status() {
    use ErrorClass::{Conflict, Denied, Invalid, NotFound, Transient};
    for (exception, expected) in [
        (
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
            NotFound,
        ),
        (
            "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException",
            Conflict,
        ),
        (
            "Microsoft.Exchange.Management.Tasks.ProxyAddressExistsException",
            Conflict,
        ),
        (
            "Microsoft.Exchange.Configuration.Tasks.RecipientTaskException",
            Invalid,
        ),
        (
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException",
            Invalid,
        ),
        ("Microsoft.Exchange.Data.DataValidationException", Invalid),
        ("System.Management.Automation.ParameterBindingException", Invalid),
        (
            "Microsoft.Exchange.Data.Storage.StorageTransientException",
            Transient,
        ),
        (
            "Microsoft.Exchange.Management.UnableToWriteToAadException",
            Transient,
        ),
        (
            "Microsoft.Exchange.Data.Directory.SuitabilityDirectoryException",
            Transient,
        ),
        (
            "Microsoft.Exchange.Configuration.CmdletProxyNotAvailableFailure",
            Transient,
        ),
        (
            "Microsoft.Exchange.Data.Directory.DCOverloadedException",
            Transient,
        ),
        ("System.Management.Automation.CommandNotFoundException", Denied),
    ] {
        for status in [200, 400, 404, 500] {
            assert_eq!(
                class(&typed(status, exception, "some text")),
                expected,
                "{exception} {status}"
            );
        }
    }
}

#[test]
fn a_full_access_list_is_no_passing_failure() {
    let text = "The mailbox x has reached the limit of maximum allowed access control entries of 500.";
    let reply = |text| typed(500, "System.InvalidOperationException", text);
    assert_eq!(class(&reply(text)), ErrorClass::Invalid);
    assert_eq!(
        class(&reply("Sequence contains no elements")),
        ErrorClass::Transient
    );
}

#[test]
fn prose_does_not_override_a_type() {
    let reply = typed(
        500,
        "Microsoft.Exchange.Data.Storage.StorageTransientException",
        "object 'x' couldn't be found",
    );
    assert_eq!(class(&reply), ErrorClass::Transient);
}

#[test]
fn the_type_is_found_in_details_inner_error_or_header() {
    let without_id =
        json!({"error": {"details": [{"message": "|A.ADObjectAlreadyExistsException|text | with bar"}]}});
    let failure = Failure::from_reply(
        "New-Mailbox",
        &Reply {
            status: 500,
            json: Some(without_id),
            ..Reply::default()
        },
    );
    assert_eq!(
        failure.error.exception.as_deref(),
        Some("ADObjectAlreadyExistsException")
    );
    assert_eq!(failure.error.message, "text | with bar");
    let inner = json!({"error": {"message": "Error executing cmdlet", "innererror":
        {"internalexception": {"type": "A.ADObjectAlreadyExistsException", "message": "taken"}}}});
    assert_eq!(
        class(&Reply {
            status: 500,
            json: Some(inner),
            ..Reply::default()
        }),
        ErrorClass::Conflict
    );
    let header = Reply {
        status: 500,
        exception_type: Some("UnableToWriteToAadException".to_owned()),
        ..Reply::default()
    };
    assert_eq!(class(&header), ErrorClass::Transient);
}

#[test]
fn without_a_type_the_status_and_known_sentences_decide() {
    use ErrorClass::{Conflict, Denied, Invalid, NotFound, Throttled, Transient};
    for (status, text, expected) in [
        (429, "", Throttled),
        (
            400,
            "You have reached the maximum number of concurrent requests per tenant. Please wait",
            Throttled,
        ),
        (503, "", Transient),
        (504, "", Transient),
        (500, "", Transient),
        (302, "", Transient),
        (405, "", Transient),
        (404, "<html>no such page</html>", Transient),
        (400, "", Transient),
        (401, "", Denied),
        (403, "", Denied),
    ] {
        assert_eq!(class(&plain(status, text)), expected, "{status} {text}");
    }
    for (text, expected) in [
        (
            "The operation couldn\u{2019}t be performed because object 'x' couldn\u{2019}t be found on 'DB6'.",
            NotFound,
        ),
        ("The backend server couldn't be found", Transient),
        (
            "There are multiple recipients matching identity \"Sales\"",
            Invalid,
        ),
        (
            "The proxy address \"SMTP:a@contoso.com\" is already being used by \"x\"",
            Conflict,
        ),
        ("This issue may be transient", Transient),
    ] {
        for exception in ["", "Microsoft.Exchange.CmdletProxyException"] {
            let json = json!({"error": {"code": "InternalServerError", "message": "Error executing cmdlet",
                "innererror": {"internalexception": {"type": exception, "message": text}}}});
            let reply = Reply {
                status: 500,
                json: Some(json),
                ..Reply::default()
            };
            assert_eq!(class(&reply), expected, "{exception:?} {text}");
        }
    }
}

#[test]
fn a_parameter_outside_the_apps_role_is_denied() {
    let text = "The parameter 'AccountDisabled' isn't present in the role definition of the current user";
    let reply = typed(
        400,
        "System.Management.Automation.ParameterBindingException",
        text,
    );
    assert_eq!(class(&reply), ErrorClass::Denied);
}

#[test]
fn an_address_of_a_soft_deleted_object_is_a_conflict() {
    let text = "ExternalDirectoryObjectId was not returned for the new object";
    assert_eq!(
        class(&typed(500, "A.RecipientTaskException", text)),
        ErrorClass::Conflict
    );
}

#[test]
fn a_403_of_nul_bytes_says_what_to_grant() {
    let failure = Failure::from_reply("Get-Mailbox", &plain(403, &text::bounded(&"\0".repeat(5000))));
    assert_eq!(failure.error.class, ErrorClass::Denied);
    assert!(
        failure.error.message.contains("directory role"),
        "{}",
        failure.error.message
    );
    assert!(!failure.perhaps_executed);
    let with_reason = Reply {
        diagnostics: Some("2000010;reason=\"x\"".to_owned()),
        ..plain(403, "")
    };
    assert!(
        Failure::from_reply("Get-Mailbox", &with_reason)
            .error
            .message
            .ends_with("2000010;reason=\"x\"")
    );
    let no_role = Failure::from_reply("Get-Mailbox", &plain(401, ""));
    assert!(
        no_role.error.message.contains("Exchange.ManageAsApp"),
        "{}",
        no_role.error.message
    );
}

#[test]
fn only_answers_from_before_the_cmdlet_prove_that_nothing_was_executed() {
    for (status, perhaps) in [
        (429, false),
        (401, false),
        (302, false),
        (500, true),
        (503, true),
        (504, true),
    ] {
        assert_eq!(
            Failure::from_reply("New-Mailbox", &plain(status, "")).perhaps_executed,
            perhaps,
            "{status}"
        );
    }
}

/// As the service sends it: the reason in `details`, the message says nothing.
fn detail(exception: &str, text: &str) -> Reply {
    Reply {
        status: 400,
        json: Some(json!({"error": {
            "code": "BadRequest", "message": "Invalid Operation",
            "details": [{"code": "Client", "target": "", "message": format!("|{exception}|{text}")}]}})),
        ..Reply::default()
    }
}

#[test]
fn a_parameter_that_the_role_lacks_or_the_service_does_not_know_is_named() {
    let text = "Parameter set cannot be resolved using the specified named parameters. Invalid cmdlet parameters \
                specified. LitigationHoldEnabled";
    let reply = detail(
        "Microsoft.Exchange.AdminApi.CommandInvocation.AmbiguousParameterSetException",
        text,
    );
    let failure = Failure::from_reply("Set-Mailbox", &reply);
    assert_eq!(failure.error.class, ErrorClass::Denied);
    assert_eq!(failure.error.parameter.as_deref(), Some("LitigationHoldEnabled"));
    assert!(!failure.perhaps_executed);
    assert!(
        failure
            .error
            .message
            .starts_with("the app's role may not use LitigationHoldEnabled, or the service does not know it"),
        "{}",
        failure.error.message
    );
}

#[test]
fn a_parameter_is_named_only_where_the_answer_is_about_one() {
    use ErrorClass::{Denied, Invalid};
    for (exception, text, class, parameter) in [
        (
            "System.Management.Automation.ParameterBindingException",
            "The parameter 'AccountDisabled' isn\u{2019}t present in the role definition of the current user",
            Denied,
            Some("AccountDisabled"),
        ),
        (
            "System.Management.Automation.ParameterBindingException",
            "A parameter cannot be found that matches parameter name 'MailTip'.",
            Denied,
            Some("MailTip"),
        ),
        (
            "System.Management.Automation.ParameterBindingArgumentTransformationException",
            "Cannot process argument transformation on parameter 'ProhibitSendQuota'. Cannot convert value \"parameter \
             'Alias'\" to type \"Unlimited\".",
            Invalid,
            Some("ProhibitSendQuota"),
        ),
        // A text that people wrote proves nothing.
        (
            "A.DataValidationException",
            "parameter 'Alias' is wrong",
            Invalid,
            None,
        ),
        (
            "A.AmbiguousParameterSetException",
            "Parameter set cannot be resolved using the specified named parameters.",
            Denied,
            None,
        ),
    ] {
        let error = Failure::from_reply("Set-Mailbox", &detail(exception, text)).error;
        assert_eq!(
            (error.class, error.parameter.as_deref()),
            (class, parameter),
            "{text}"
        );
    }
    // A wrong value of an enum comes with its type and without details.
    let wrong_word = Reply {
        status: 400,
        json: Some(
            json!({"error": {"code": "BadRequest", "message": "Invalid Operation", "innererror":
            {"internalexception": {"type": "A.ParameterTransformationException", "message": ""}}}}),
        ),
        ..Reply::default()
    };
    let error = Failure::from_reply("Set-Mailbox", &wrong_word).error;
    assert_eq!((error.class, error.parameter), (Invalid, None));
}

#[test]
fn the_second_sentence_distinguishes_the_refusals_of_a_write_scope() {
    use ErrorClass::{Denied, Invalid};
    for (second, expected, advice) in [
        (
            "'x' isn't within your current write scopes.",
            Denied,
            "the write scope of the app's role group does not reach this mailbox",
        ),
        (
            "This action should be performed on the object in your on-premises organization: the object is being \
             synchronized from your on-premises organization.",
            Invalid,
            "the mailbox is mastered on premises",
        ),
        (
            "The value exceeds the maximum allowed for user 'x' with license 'y'.",
            Invalid,
            "the value is above what the licence",
        ),
    ] {
        let text = format!(
            "The operation on mailbox \"x\" failed because it\u{2019}s out of the current user\u{2019}s write scope. \
             {second}"
        );
        for status in [400, 500] {
            let reply = typed(status, "System.InvalidOperationException", &text);
            assert_eq!(class(&reply), expected, "{status} {second}");
            let error = Failure::from_reply("Set-Mailbox", &reply).error;
            assert!(error.message.starts_with(advice), "{}", error.message);
        }
    }
}
