//! Failures of a cmdlet, with the .NET type names and texts that Exchange answers with.

use std::fmt;

/// Why a cmdlet failed. Over HTTP it becomes the admin API's error body; status 403 has no body
/// that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CmdletError {
    /// HTTP status: 400 for arguments, 403 for cmdlets that the caller may not run, 404 for objects
    /// that are not there, 500 for most other failures, permanent conflicts included.
    pub status: u16,
    /// Exchange's error id, such as `Ex6F9304`; often empty.
    pub id: &'static str,
    /// Full .NET type name.
    pub exception: String,
    pub message: String,
    pub envelope: Envelope,
}

/// What the admin API puts around a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// The cmdlet ran: "Error executing cmdlet", with `details`.
    Executed,
    /// It never ran: "Invalid Operation", with `details`.
    Invalid,
    /// It never ran: "Invalid Operation", without `details`.
    InvalidWithoutDetails,
}

impl fmt::Display for CmdletError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.exception, self.status, self.message)
    }
}

impl std::error::Error for CmdletError {}

/// The domain controller that messages name.
const SERVER: &str = "DB8PR05A001DC01.EURPR05A001.PROD.OUTLOOK.COM";

impl CmdletError {
    pub fn new(status: u16, exception: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            id: "",
            exception: exception.to_owned(),
            message: message.into(),
            envelope: Envelope::Executed,
        }
    }

    pub fn not_found(identity: &str) -> Self {
        Self {
            id: "Ex6F9304",
            ..Self::new(
                404,
                "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
                format!(
                    "The operation couldn't be performed because object '{identity}' couldn't be found on '{SERVER}'."
                ),
            )
        }
    }

    /// A user or group that a permission should go to is not there, or is no security principal.
    pub fn trustee_not_found(identity: &str) -> Self {
        Self {
            id: "Ex6F9304",
            ..Self::new(
                404,
                "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
                format!(
                    "User or group \"{identity}\" wasn't found. Please make sure you've typed it correctly."
                ),
            )
        }
    }

    pub fn ambiguous(identity: &str) -> Self {
        Self::new(
            500,
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException",
            format!(
                "There are multiple recipients matching identity \"{identity}\". Please specify a unique value."
            ),
        )
    }

    pub fn proxy_address_exists(proxy: &str, holder: &str) -> Self {
        Self::new(
            500,
            "Microsoft.Exchange.Configuration.ObjectModel.ProxyAddressExistsException",
            format!(
                "The proxy address \"{proxy}\" is already being used by the proxy addresses or LegacyExchangeDN of \
                 \"{holder}\". Please choose another proxy address."
            ),
        )
    }

    pub fn already_exists(name: &str) -> Self {
        Self::new(
            500,
            "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException",
            format!("Active Directory operation failed on {SERVER}. The object 'CN={name}' already exists."),
        )
    }

    pub fn not_accepted_domain(domain: &str) -> Self {
        Self::new(
            500,
            "Microsoft.Exchange.Configuration.ObjectModel.NotAcceptedDomainException",
            format!(
                "You can't use the domain because it's not an accepted domain for your organization. Domain: \"{domain}\"."
            ),
        )
    }

    pub fn bad_address(text: &str) -> Self {
        Self::new(
            400,
            "Microsoft.Exchange.Management.Tasks.RecipientTaskException",
            format!("The SMTP address \"{text}\" isn't valid."),
        )
    }

    /// A task that Exchange refuses with its general exception.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(
            400,
            "Microsoft.Exchange.Management.Tasks.RecipientTaskException",
            message,
        )
    }

    /// Reported as a server error although it is for good (reported from the field; the page of
    /// Add-MailboxPermission gives the number).
    pub fn too_many_entries(mailbox: &str, most: usize) -> Self {
        Self::new(
            500,
            "System.InvalidOperationException",
            format!(
                "The mailbox {mailbox} has reached the limit of maximum allowed access control entries of {most}. \
                 Clean existing entries and rearrange them leveraging groups for assigning the same permissions to \
                 multiple users."
            ),
        )
    }

    pub fn invalid_value(property: &str, value: &str, why: &str) -> Self {
        Self::new(
            400,
            "Microsoft.Exchange.Data.DataValidationException",
            format!("The property value you specified for {property}, \"{value}\", isn't valid. {why}"),
        )
    }

    /// A parameter that does not exist and one that the app's role lacks look the same.
    pub fn unknown_parameter(name: &str) -> Self {
        Self {
            envelope: Envelope::Invalid,
            ..Self::new(
                400,
                "Microsoft.Exchange.AdminApi.CommandInvocation.AmbiguousParameterSetException",
                format!(
                    "Parameter set cannot be resolved using the specified named parameters. Invalid cmdlet parameters \
                     specified. {name}"
                ),
            )
        }
    }

    /// The app's role group may not write to this mailbox.
    pub fn out_of_scope(mailbox: &str) -> Self {
        Self::write_scope(
            mailbox,
            &format!("'{mailbox}' isn't within your current write scopes. Can't perform save operation."),
        )
    }

    /// Mastered on premises.
    pub fn synced(mailbox: &str) -> Self {
        let text = format!(
            "The action can't be performed on the object '{mailbox}' because the object is being synchronized from your \
             on-premises organization. This action should be performed on the object in your on-premises organization."
        );
        Self::write_scope(mailbox, &text)
    }

    /// The one first sentence of three refusals.
    pub fn write_scope(mailbox: &str, why: &str) -> Self {
        Self::new(
            400,
            "System.InvalidOperationException",
            format!(
                "The operation on mailbox \"{mailbox}\" failed because it's out of the current user's write scope. {why}"
            ),
        )
    }

    pub fn not_filterable(property: &str) -> Self {
        Self::binding(format!(
            "Cannot bind parameter 'Filter' to the target. Exception setting \"Filter\": \"\"{property}\" is not a \
             recognized filterable property.\""
        ))
    }

    pub fn filter_too_long(conditions: usize) -> Self {
        Self::binding(format!(
            "Cannot bind parameter 'Filter' to the target. Exception setting \"Filter\": \"The filter has {conditions} \
             conditions, which is more than is allowed.\""
        ))
    }

    pub fn missing_parameter(name: &str) -> Self {
        Self::binding(format!(
            "Cannot process command because of one or more missing mandatory parameters: {name}."
        ))
    }

    pub fn binding(message: impl Into<String>) -> Self {
        Self::new(
            400,
            "System.Management.Automation.ParameterBindingException",
            message,
        )
    }

    pub fn conversion(parameter: &str, from: &str, to: &str) -> Self {
        Self {
            envelope: Envelope::InvalidWithoutDetails,
            ..Self::new(
                400,
                "Microsoft.Exchange.AdminApi.CommandInvocation.ParameterTransformationException",
                format!(
                    "Cannot process argument transformation on parameter '{parameter}'. Cannot convert value of type \
                     \"{from}\" to type \"{to}\"."
                ),
            )
        }
    }

    pub fn unknown_cmdlet(name: &str) -> Self {
        Self::new(
            403,
            "System.Management.Automation.CommandNotFoundException",
            format!("The term '{name}' is not recognized as the name of a cmdlet."),
        )
    }
}
