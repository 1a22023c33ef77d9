//! What may be declared about a mailbox itself, beside its addresses, its sign-in and the people who use it.
//!
//! Every setting may be left out, and is then not managed. Each field has an example, by which tests declare it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ADDRESS_PATTERN;

/// With its largest nine characters a size still fits 64 bits.
const SIZE_PATTERN: &str = "^[1-9][0-9]*(Ki|Mi|Gi|Ti)$";

/// Settings that name nobody, open no way out of the mailbox and can be undone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlainSettings {
    /// Whether the mailbox is left out of address lists. Members can't add a hidden mailbox to Outlook by themselves.
    /// Left out: not managed. `false` shows it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub hidden_from_address_lists: Option<bool>,

    /// A line that senders see while they write to the mailbox: plain text of at most 175 characters. Left out: not
    /// managed. `""` takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 175), example = &"We answer within one working day.")]
    #[x_kube(validation = ("!self.contains('<') && !self.contains('>')", "mailTip is plain text: leave < and > out"))]
    pub mail_tip: Option<String>,

    /// Custom attributes of the directory object by their number, 1 to 15, for example `{"1": "Cost centre 4711"}`. Only
    /// numbers that an access rule of the ExchangeTenant lists, and never the one that holds the operator's marker. An
    /// attribute that is left out is not managed. `""` clears one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 15,
        "additionalProperties" = {"type": "string", "maxLength": 1024, "example": "Cost centre 4711"},
        "example" = {"1": "Cost centre 4711"},
    ))]
    #[x_kube(validation = ("self.all(number, number.matches('^([1-9]|1[0-5])$'))", "the keys of customAttributes are numbers from 1 to 15"))]
    pub custom_attributes: BTreeMap<String, String>,

    /// Where copies of sent mail are kept. Left out: not managed.
    #[serde(default, skip_serializing_if = "SentItems::is_empty")]
    pub sent_items: SentItems,

    /// For how many days what was deleted from Deleted Items can be recovered: `1d` to `30d`. Left out: not managed.
    /// Exchange's own default is `14d`. Less than the mailbox has needs the power Retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3), regex(pattern = "^([1-9]|[12][0-9]|30)d$"), example = &"30d")]
    pub deleted_item_retention: Option<String>,

    /// Whether what was purged stays recoverable for that time too. Left out: not managed. Exchange's own default is
    /// `true`; `false` needs the power Retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub single_item_recovery: Option<bool>,

    /// How much the mailbox may hold. Left out: not managed.
    #[serde(default, skip_serializing_if = "Quota::is_empty")]
    pub quota: Quota,

    /// What programs may use to reach the mailbox. Left out: not managed.
    #[serde(default, skip_serializing_if = "ClientAccess::is_empty")]
    pub client_access: ClientAccess,

    /// Language and formats of the mailbox. Left out: not managed.
    #[serde(default, skip_serializing_if = "Regional::is_empty")]
    pub regional: Regional,
}

/// Sizes are binary, as Exchange's own are: its GB is `Gi`. A size that is left out stays as it is. To get rid of a quota,
/// write the sizes that the licence gives: 49Gi, 50688Mi and 50Gi, or 98Gi, 99Gi and 100Gi.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!has(self.warning) || !has(self.prohibitSendReceive) \
         || quantity(self.warning).compareTo(quantity(self.prohibitSendReceive)) <= 0",
        "quota.warning must not be above quota.prohibitSendReceive"
    ),
    validation = (
        "!has(self.prohibitSend) || !has(self.prohibitSendReceive) \
         || quantity(self.prohibitSend).compareTo(quantity(self.prohibitSendReceive)) <= 0",
        "quota.prohibitSend must not be above quota.prohibitSendReceive"
    ),
)]
pub struct Quota {
    /// From this size on the mailbox gets a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9), regex(pattern = SIZE_PATTERN), example = &"40Gi")]
    pub warning: Option<String>,
    /// From this size on nothing can be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9), regex(pattern = SIZE_PATTERN), example = &"45Gi")]
    pub prohibit_send: Option<String>,
    /// From this size on nothing can be sent or received. Above 50Gi needs Exchange Online Plan 2 on the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9), regex(pattern = SIZE_PATTERN), example = &"48Gi")]
    pub prohibit_send_receive: Option<String>,
}

impl Quota {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SentItems {
    /// Whether what members send as the mailbox is kept in its Sent Items too. Left out: not managed. Exchange's own
    /// default is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub copy_sent_as: Option<bool>,
    /// Whether what members send on behalf of the mailbox is kept in its Sent Items too. Left out: not managed.
    /// Exchange's own default is `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub copy_sent_on_behalf: Option<bool>,
    /// Whether what programs send through the mailbox (SMTP AUTH) is kept in its Sent Items. Left out: not managed.
    /// Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub copy_smtp_submission: Option<bool>,
}

impl SentItems {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientAccess {
    /// Whether Outlook on the web may open the mailbox. `false` ends the new Outlook for Windows too, also for members.
    /// Left out: not managed. Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub outlook_web: Option<bool>,
    /// Whether classic Outlook (MAPI) may open the mailbox. `false` ends it for members too. Left out: not managed.
    /// Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub mapi: Option<bool>,
    /// Whether programs may use Exchange Web Services, which Microsoft switches off for all tenants in April 2027. Left
    /// out: not managed. Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub ews: Option<bool>,
    /// Whether phones may use Exchange ActiveSync. Left out: not managed. Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub active_sync: Option<bool>,
    /// Whether programs may use IMAP. Left out: not managed. Exchange's own default is `true`; to declare `true` needs the
    /// power LegacyProtocols.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub imap: Option<bool>,
    /// Whether programs may use POP. Left out: not managed. Exchange's own default is `true`; to declare `true` needs the
    /// power LegacyProtocols.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub pop: Option<bool>,
    /// Whether programs may send through the mailbox with a password (SMTP AUTH). TenantDefault: as the organisation
    /// has it. Allowed needs the power LegacyProtocols, and is of use only where `signIn` is Allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = SmtpAuth::Blocked)]
    pub smtp_auth: Option<SmtpAuth>,
    /// Whether the new Outlook for Windows may open the mailbox. Left out: not managed. Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub new_outlook: Option<bool>,
    /// Whether Outlook for iOS and Android may open the mailbox. Left out: not managed. Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub outlook_mobile: Option<bool>,
    /// Whether Outlook for Mac may open the mailbox. Left out: not managed. Exchange's own default is `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub outlook_mac: Option<bool>,
}

impl ClientAccess {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SmtpAuth {
    TenantDefault,
    Allowed,
    Blocked,
}

/// In which language Outlook names the folders of the mailbox, and how it writes times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.language) || !(has(self.dateFormat) || has(self.timeFormat))",
    "regional.dateFormat and regional.timeFormat need regional.language, whose formats they are"
))]
pub struct Regional {
    /// Language and region such as `de-DE`; a language alone is refused by Exchange. A new language renames the folders
    /// that every mailbox has, such as Inbox and Calendar. Left out: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 11),
        regex(pattern = "^[a-z]{2,3}(-[A-Z][a-z]{3})?-[A-Z]{2}$"),
        example = &"de-DE"
    )]
    pub language: Option<String>,
    /// The time zone by its Windows name. For example W. Europe Standard Time. Left out: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), example = &"W. Europe Standard Time")]
    #[x_kube(validation = ("!self.contains('/')", "timeZone is a Windows name such as 'W. Europe Standard Time', not Europe/Berlin"))]
    pub time_zone: Option<String>,
    /// How dates are written, one of the formats of the language. Left out: not managed, but for a new language, which
    /// brings its own format. `""`: the language's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), example = &"dd.MM.yyyy")]
    pub date_format: Option<String>,
    /// How times are written, one of the formats of the language. Left out: as with `dateFormat`. `""`: the language's
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), example = &"HH:mm")]
    pub time_format: Option<String>,
}

impl Regional {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Limits for mail, which name nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryLimits {
    /// Whether only senders of the organisation may write to the mailbox. Left out: not managed. Exchange's own default
    /// is `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub require_sender_authentication: Option<bool>,
    /// The largest message that can be sent, at most 150Mi. Attachments are a third larger in a message than as files.
    /// Left out: not managed. Exchange's own default is `35Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9), regex(pattern = SIZE_PATTERN), example = &"20Mi")]
    #[x_kube(validation = ("quantity(self).compareTo(quantity('150Mi')) <= 0", "maxSendSize must not be above 150Mi"))]
    pub max_send_size: Option<String>,
    /// The largest message that can be received, at most 150Mi. Left out: not managed. Exchange's own default is `36Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9), regex(pattern = SIZE_PATTERN), example = &"25Mi")]
    #[x_kube(validation = ("quantity(self).compareTo(quantity('150Mi')) <= 0", "maxReceiveSize must not be above 150Mi"))]
    pub max_receive_size: Option<String>,
    /// To how many people one message can be sent, 1 to 1000. Left out: not managed. Exchange's own default is `500`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000), example = 100)]
    pub recipient_limit: Option<i32>,
}

/// Which mail is taken and sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    #[serde(flatten)]
    pub limits: DeliveryLimits,
    /// Whose mail is taken, people and groups by their addresses; everybody else's is refused. An access rule has to admit
    /// each as a member. Left out: not managed. `[]`: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 100),
        inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)),
        extend("x-kubernetes-list-type" = "set", "example" = ["first.member@contoso.com", "sales-team@contoso.com"])
    )]
    pub accept_from: Option<Vec<String>>,
    /// Whose mail is refused, people and groups by their addresses. An access rule has to admit each as a member. Left out:
    /// not managed. `[]`: nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 100),
        inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)),
        extend("x-kubernetes-list-type" = "set", "example" = ["second.member@contoso.com"])
    )]
    pub reject_from: Option<Vec<String>>,
}

impl Delivery {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Settings for mailboxes that are created: what a SharedMailbox does not declare is set once and then left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxDefaults {
    #[serde(flatten)]
    pub plain: PlainSettings,
    /// Which mail is taken and sent.
    #[serde(default, skip_serializing_if = "DeliveryLimits::is_empty")]
    pub delivery: DeliveryLimits,
}

impl DeliveryLimits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl MailboxDefaults {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Keeps everything, also what people delete. Needs Exchange Online Plan 2, or Plan 1 with archiving, on the mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.enabled || !has(self.duration)", "litigationHold.duration needs enabled: true"))]
pub struct LitigationHold {
    /// Whether there is a hold. `false` ends it, which needs the power Hold.
    #[schemars(example = true)]
    pub enabled: bool,
    /// For how long each item is kept, counted from its own date: Unlimited, or days as in `2555d`, at most `24855d`. Left
    /// out: not managed. Less than the mailbox has needs the power Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9), regex(pattern = "^(Unlimited|[1-9][0-9]{0,4}d)$"), example = &"2555d")]
    #[x_kube(validation = ("self == 'Unlimited' || int(self.replace('d', '')) <= 24855", "duration must not be above 24855d"))]
    pub duration: Option<String>,
}

/// Where mail goes instead, or besides. What was declared here is withdrawn when it is dropped from the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "self.mode == 'Internal' ? has(self.to) && !has(self.externalAddress) : !has(self.to)",
        "forwarding.to belongs to mode Internal, and nothing else does"
    ),
    validation = (
        "self.mode == 'External' ? has(self.externalAddress) : !has(self.externalAddress)",
        "forwarding.externalAddress belongs to mode External"
    ),
)]
pub struct Forwarding {
    /// Where mail goes. None: nowhere. Internal: to a recipient of the organisation. External: to an address outside, which needs the power
    /// ForwardExternally.
    #[schemars(example = ForwardingMode::Internal)]
    pub mode: ForwardingMode,
    /// A recipient of the organisation by their address. An access rule has to admit them as a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320), regex(pattern = ADDRESS_PATTERN), example = &"first.member@contoso.com")]
    pub to: Option<String>,
    /// An address outside of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320), regex(pattern = ADDRESS_PATTERN), example = &"sales@partner.example")]
    pub external_address: Option<String>,
    /// Whether the mailbox keeps what it forwards. Left out: `true`. Exchange's own default is `false`: it then has nothing.
    // A default in the schema would outlive the rest when somebody drops the whole with a server-side apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub keep_copy: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForwardingMode {
    None,
    Internal,
    External,
}

/// What the mailbox answers by itself. Whoever uses the mailbox can change it in Outlook: that is repaired once for each edit
/// of the manifest. What was declared here is switched off when it is dropped from the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "self.state == 'Disabled' || has(self.internal)",
        "automaticReplies.internal is needed unless state is Disabled"
    ),
    validation = (
        "self.state == 'Disabled' || has(self.external) || (has(self.audience) && self.audience == 'None')",
        "automaticReplies.external is needed unless state is Disabled or audience is None"
    ),
    validation = (
        "self.state != 'Scheduled' || (has(self.start) && has(self.end) && self.start < self.end)",
        "automaticReplies.start before automaticReplies.end is needed while state is Scheduled"
    ),
)]
pub struct AutomaticReplies {
    /// Disabled, Enabled, or Scheduled from `start` to `end`. A schedule that has ended is not written any more.
    #[schemars(example = ReplyState::Scheduled)]
    pub state: ReplyState,
    /// What people of the organisation are answered: HTML, or plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192), example = &"<p>We are back on <b>Monday</b>.</p>")]
    pub internal: Option<String>,
    /// What everybody else is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192), example = &"We are back on Monday.")]
    pub external: Option<String>,
    /// Which people outside are answered: None, Known (contacts of the mailbox) or All. Left out: All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = ReplyAudience::Known)]
    pub audience: Option<ReplyAudience>,
    /// For Scheduled: when it begins, as in 2026-12-24T08:00:00Z. Seconds don't count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), example = &"2026-12-24T08:00:00Z")]
    pub start: Option<Time>,
    /// For Scheduled: when it ends, as in 2027-01-04T08:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), example = &"2027-01-04T08:00:00Z")]
    pub end: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReplyState {
    Disabled,
    Enabled,
    Scheduled,
}

impl ReplyState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Enabled => "Enabled",
            Self::Scheduled => "Scheduled",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReplyAudience {
    None,
    Known,
    #[default]
    All,
}

impl ReplyAudience {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Known => "Known",
            Self::All => "All",
        }
    }
}

/// A second mailbox for what is old. It is never deleted for a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.autoExpanding) || !self.autoExpanding || (has(self.enabled) && self.enabled)",
    "archive.autoExpanding needs archive.enabled"
))]
pub struct Archive {
    /// Whether the mailbox has an archive, which needs Exchange Online Plan 2, or Plan 1 with archiving. Left out: not
    /// managed. `false` deletes none: it is refused while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub enabled: Option<bool>,
    /// Whether the archive grows beyond its first size. Can't be switched off again. Left out: not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub auto_expanding: Option<bool>,
}

impl Archive {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
