//! A batch whose service stops at the first error: what it did not run is sent again, and nothing is sent twice.

use super::kit::*;
use serde_json::json;
use simulator::{BatchErrors, Fault, FaultRule, Quirks, Seed, SeedUser};

const PEOPLE: usize = 8;

fn person(number: usize) -> String {
    format!("person{number}@contoso.com")
}

fn seed() -> Seed {
    let people = (0..PEOPLE).map(|number| SeedUser::person(&person(number), &format!("Person {number}")));
    people.fold(Seed::contoso(), Seed::with_user)
}

#[tokio::test(start_paused = true)]
async fn whatever_a_batch_does_after_an_error_everybody_gets_what_is_declared() {
    for batch_errors in [BatchErrors::AsAsked, BatchErrors::Stops, BatchErrors::LeavesOut] {
        let world = world(seed(), json!({})).await;
        world.tenant.set_quirks(Quirks {
            batch_errors,
            ..Quirks::default()
        });
        settle(&world, &[]).await;
        let failing = Fault::ServerError {
            status: 503,
            exception: None,
            message: None,
        };
        let rule = FaultRule::next(1, failing);
        world.tenant.add_fault(rule.on(&["Add-MailboxPermission"]));
        let people: Vec<String> = (0..PEOPLE).map(person).collect();
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        world.apply(&team(&people)).await;
        world.sleep(30).await;
        assert_eq!(
            view(&world).full_access.len(),
            PEOPLE,
            "{batch_errors:?}: at once"
        );
        assert_eq!(
            calls(&world, "Add-MailboxPermission").len(),
            PEOPLE + 1,
            "{batch_errors:?}: the one that failed twice, and each of the others once"
        );
    }
}
