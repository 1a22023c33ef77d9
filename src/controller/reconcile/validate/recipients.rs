//! Recipients that settings name, such as where mail is forwarded to: judged like members, as written and as the directory
//! knows them. One who is refused refuses the family: without them it would say something else.

use std::collections::{BTreeMap, BTreeSet};

use super::admitted::{Admitted, Surroundings};
use super::bench::Bench;
use crate::api::Power;
use crate::controller::state::directory::{Resolution, Resolved};
use crate::exchange::RecipientKind;
use crate::mail::{ObjectId, SmtpAddress};
use crate::plan::{Family, Need, Unread};
use crate::rules::{MemberKind, Wish};
use crate::setting::{Kind, Value, Values, Who};

/// What settings wish, once it is known whom they name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedSettings {
    pub settings: BTreeMap<&'static str, Values>,
    /// Families that can't be written, and why.
    pub refused: BTreeMap<&'static str, String>,
    /// Whom they name, by the name under which Exchange may show them, in lower case.
    pub recipients: BTreeMap<String, ObjectId>,
    /// A look-up of one of them failed.
    pub unread: Option<Unread>,
}

/// Families that name somebody whom no access rule admits as written, or an address outside that is none.
pub fn refused(
    settings: &BTreeMap<&'static str, Values>,
    around: &Surroundings<'_>,
) -> BTreeMap<&'static str, String> {
    let mut refused = BTreeMap::new();
    for (family, wish) in settings {
        let written = written(wish).find_map(|address| {
            if around.departed.contains(address) {
                return Some(departed(address));
            }
            let wish = Wish::Recipient { kind: None, address };
            around.rules.admit(wish).err()
        });
        let addresses = wish.iter().filter_map(|(_, value)| value.as_address());
        let inside = addresses
            .filter(|address| around.accepted_domains.contains(&address.domain()))
            .map(|address| {
                format!("{address} is an address of this organisation: write mode Internal and `to` instead")
            })
            .next();
        if let Some(why) = written.or(inside) {
            refused.insert(*family, why);
        }
    }
    refused
}

fn written(wish: &Values) -> impl Iterator<Item = &SmtpAddress> {
    let recipients = wish.iter().filter_map(|(_, value)| value.as_recipients());
    recipients.flatten().filter_map(|who| match who {
        Who::Written(address) => Some(address),
        Who::Id(_) | Who::Shown(_) => None,
    })
}

fn departed(address: &SmtpAddress) -> String {
    format!("{address} has left, as the ExchangeTenant says")
}

impl Admitted {
    /// Whom settings name and who may be looked up.
    pub fn recipients_to_look_up(&self) -> BTreeSet<SmtpAddress> {
        let settings = self.settings.iter();
        let admitted = settings.filter(|(family, _)| !self.refused_settings.contains_key(*family));
        admitted.flat_map(|(_, wish)| written(wish)).cloned().collect()
    }
}

impl Bench<'_> {
    /// The settings with recipients by their ids.
    pub fn settings(&self, admitted: &Admitted) -> WantedSettings {
        let mut looked_up = admitted.recipients_to_look_up().into_iter();
        let mut wanted = WantedSettings {
            refused: admitted.refused_settings.clone(),
            unread: looked_up.find_map(|address| self.unread(address)),
            ..WantedSettings::default()
        };
        for (family, wish) in &admitted.settings {
            if wanted.refused.contains_key(family) {
                continue;
            }
            match self.resolved(family, wish, &admitted.denied, &mut wanted.recipients) {
                Ok(wish) => {
                    wanted.settings.insert(*family, wish);
                }
                Err(why) => {
                    wanted.refused.insert(*family, why);
                }
            }
        }
        wanted
    }

    /// Why nobody knows who has the address.
    fn unread(&self, address: SmtpAddress) -> Option<Unread> {
        match self.directory.members.get(&(MemberKind::User, address))? {
            Resolution::Unread(unread) => Some(unread.clone()),
            Resolution::Found(_)
            | Resolution::NotFound
            | Resolution::NoMailbox
            | Resolution::PlainGroup
            | Resolution::Unusable(_) => None,
        }
    }

    fn resolved(
        &self,
        family: &str,
        wish: &Values,
        denied: &BTreeMap<Need, String>,
        names: &mut BTreeMap<String, ObjectId>,
    ) -> Result<Values, String> {
        let mut resolved = Vec::new();
        for (parameter, value) in wish.iter() {
            let Some(recipients) = value.as_recipients() else {
                resolved.push((parameter, value.clone()));
                continue;
            };
            let gets_mail = kind_of(family, parameter) == Some(Kind::Recipient);
            let mut ids = BTreeSet::new();
            for who in recipients {
                let Who::Written(address) = who else {
                    ids.insert(who.clone());
                    continue;
                };
                let found = self.recipient(address)?;
                if gets_mail {
                    self.may_get_mail(address, found, denied)?;
                }
                names.insert(found.name.to_lowercase(), found.object_id);
                ids.insert(Who::Id(found.object_id));
            }
            resolved.push((parameter, Value::Recipients(ids)));
        }
        Ok(resolved.into_iter().collect())
    }

    /// Looked up under one address, judged again under the one that they really have.
    fn recipient(&self, address: &SmtpAddress) -> Result<&Resolved, String> {
        let found = match self.directory.members.get(&(MemberKind::User, address.clone())) {
            Some(Resolution::Found(found)) => found,
            Some(Resolution::NoMailbox) => return Err(format!("{address} has no mailbox")),
            Some(Resolution::PlainGroup) => {
                return Err(format!("{address} is a group that is not mail-enabled"));
            }
            Some(Resolution::Unusable(why)) => return Err(why.clone()),
            Some(Resolution::Unread(unread)) => {
                return Err(format!("who {address} is can't be read: {}", unread.why));
            }
            Some(Resolution::NotFound) | None => {
                return Err(format!("no recipient in the tenant has the address {address}"));
            }
        };
        if self.departed.include_id(&found.object_id) {
            return Err(departed(address));
        }
        let kind = Some(kind_of_member(&found.kind));
        let admit = |address: &SmtpAddress| {
            let wish = Wish::Recipient { kind, address };
            self.rules.admit(wish)
        };
        admit(address)?;
        match &found.primary {
            Some(primary) if primary != address => {
                admit(primary).map_err(|why| format!("{address} is {primary}: {why}"))?;
            }
            Some(_) => {}
            None => {
                return Err(format!(
                    "{address} has a primary address that the access rules can't judge"
                ));
            }
        }
        Ok(found)
    }

    fn may_get_mail(
        &self,
        address: &SmtpAddress,
        found: &Resolved,
        denied: &BTreeMap<Need, String>,
    ) -> Result<(), String> {
        let is_the_mailbox =
            self.mailbox == Some(found.object_id) || self.rules.addresses().contains(address);
        if is_the_mailbox {
            return Err(format!("{address} is the mailbox itself"));
        }
        let leads_outside = match &found.kind {
            RecipientKind::MailContact | RecipientKind::MailUser | RecipientKind::Guest => true,
            RecipientKind::UserMailbox
            | RecipientKind::SharedMailbox
            | RecipientKind::OtherMailbox(_)
            | RecipientKind::SecurityGroup
            | RecipientKind::DistributionGroup
            | RecipientKind::Microsoft365Group
            | RecipientKind::Other(_) => false,
        };
        match denied.get(&Need::Power(Power::ForwardExternally)) {
            Some(why) if leads_outside => Err(format!("mail for {address} leaves the organisation: {why}")),
            Some(_) | None => Ok(()),
        }
    }
}

fn kind_of(family: &str, parameter: &str) -> Option<Kind> {
    let properties = Family::named(family)?.properties;
    let property = properties
        .iter()
        .find(|property| property.parameter == parameter)?;
    Some(property.kind)
}

/// Which patterns of an access rule judge them.
fn kind_of_member(kind: &RecipientKind) -> MemberKind {
    match kind {
        RecipientKind::SecurityGroup
        | RecipientKind::DistributionGroup
        | RecipientKind::Microsoft365Group => MemberKind::Group,
        RecipientKind::UserMailbox
        | RecipientKind::SharedMailbox
        | RecipientKind::OtherMailbox(_)
        | RecipientKind::MailUser
        | RecipientKind::Guest
        | RecipientKind::MailContact
        | RecipientKind::Other(_) => MemberKind::User,
    }
}
