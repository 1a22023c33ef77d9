//! Quirks drawn by a seed, so that runs at random meet every position of every switch.

use std::collections::BTreeSet;

use crate::quirks::{
    BatchErrors, EmptyList, EmptyMailTip, Entities, HtmlForm, LanguageForm, LineEnds, MailTipForm, Quirks,
    RoleList, SignInForm, TimeForm,
};
use crate::random::Random;
use crate::settings;

impl Quirks {
    /// One position of every switch. Half of the tenants show all properties; in the others one or two settings
    /// are missing from the rows. Nothing is shown instead of what was written.
    pub fn drawn(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let mail_tip = MailTipForm {
            line_ends: one_of(&mut random, &[LineEnds::CrLf, LineEnds::Lf, LineEnds::None]),
            entities: one_of(
                &mut random,
                &[Entities::Kept, Entities::Named, Entities::Numbered],
            ),
            when_empty: one_of(
                &mut random,
                &[EmptyMailTip::Null, EmptyMailTip::Empty, EmptyMailTip::Wrapper],
            ),
        };
        let names: Vec<&str> = settings::all().map(|setting| setting.name).collect();
        let many = one_of(&mut random, &[0, 0, 1, 2]);
        let missing: BTreeSet<String> = (0..many)
            .map(|_| one_of(&mut random, &names).to_owned())
            .collect();
        Self {
            mail_tip,
            flags_null_until_set: one_of(&mut random, &[false, true]),
            says_unmodified: one_of(&mut random, &[true, false]),
            limits_name_the_property: one_of(&mut random, &[true, false]),
            client_access_after_create_ms: random.below(2) * random.below(600_000),
            missing,
            // Drawn last: what was drawn before keeps its meaning.
            batch_errors: one_of(
                &mut random,
                &[
                    BatchErrors::AsAsked,
                    BatchErrors::AsAsked,
                    BatchErrors::Stops,
                    BatchErrors::LeavesOut,
                ],
            ),
            role_list: one_of(
                &mut random,
                &[RoleList::Listed, RoleList::Redirected, RoleList::NotThere],
            ),
            language: one_of(
                &mut random,
                &[LanguageForm::Text, LanguageForm::Object, LanguageForm::Number],
            ),
            store_after_create_ms: random.below(2) * random.below(600_000),
            html: one_of(&mut random, &[HtmlForm::Wrapped, HtmlForm::Dressed]),
            times: one_of(
                &mut random,
                &[TimeForm::Utc, TimeForm::Offset, TimeForm::WithoutZone],
            ),
            lists_are_emptied_by: one_of(&mut random, &[EmptyList::Null, EmptyList::Empty]),
            // A service that takes writes through Graph and does nothing has flows of its own: nothing could be promised.
            sign_in: SignInForm {
                new_accounts_disabled: one_of(&mut random, &[false, true]),
                exchange_shows_in_entra: one_of(&mut random, &[false, true]),
                entra_shows_in_exchange: one_of(&mut random, &[false, true]),
                graph_has_no_effect: false,
            },
            ..Self::default()
        }
    }
}

/// Any of them; the default of their type when there is none.
fn one_of<T: Copy + Default>(random: &mut Random, choices: &[T]) -> T {
    let count = u64::try_from(choices.len()).unwrap_or(0);
    let at = usize::try_from(random.below(count)).unwrap_or(0);
    choices.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Quirks;

    #[test]
    fn a_seed_always_draws_the_same_and_seeds_differ() {
        assert_eq!(Quirks::drawn(7), Quirks::drawn(7));
        let drawn: Vec<Quirks> = (0..50).map(Quirks::drawn).collect();
        assert!(drawn.iter().any(|quirks| quirks.flags_null_until_set));
        assert!(drawn.iter().any(|quirks| !quirks.says_unmodified));
        assert!(drawn.iter().any(|quirks| quirks.missing.len() == 2));
        assert!(drawn.iter().any(|quirks| quirks.missing.is_empty()));
        assert!(drawn.iter().any(|quirks| quirks.sign_in.new_accounts_disabled));
        assert!(drawn.iter().any(|quirks| !quirks.sign_in.exchange_shows_in_entra));
    }
}
