//! Random edits of several permissions on one mailbox, among grants of others: after each, exactly what is
//! wanted is there beside what must stay, and Exchange was written to no more often than the difference asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::kit::*;
use serde_json::{Value, json};
use shared_mailbox_operator::api::RECONCILE_REQUESTED_AT;
use simulator::{AccessRow, Rename, Seed, SeedUser, SendAsRow, Standing};
use testkit::{Rng, World, permission, with};
use uuid::Uuid;

const SEQUENCES: u64 = 12;
/// Seeds that found something once.
const KEPT: [u64; 1] = [88];
const EDITS: u64 = 8;
const RIGHTS: [&str; 3] = ["FullAccess", "SendAs", "SendOnBehalf"];
const PERMISSIONS: [&str; 3] = ["readers", "senders", "team"];
const FOURTH: &str = "fourth.member@contoso.com";
/// Ignored under Exclusive.
const IGNORED: &str = "fifth.member@contoso.com";
/// Nothing is ever taken from this one.
const PROTECTED: &str = "sixth.member@contoso.com";
const PEOPLE: [&str; 6] = [FIRST, SECOND, THIRD, FOURTH, IGNORED, PROTECTED];
const STRAY: &str = "S-1-5-21-1-2-3-4";

type Grants = BTreeSet<(Uuid, &'static str)>;

/// A manifest: whom it names, what for, and whether with automapping.
#[derive(Clone)]
struct Wish {
    members: BTreeSet<&'static str>,
    rights: BTreeSet<&'static str>,
    maps: bool,
}

/// What ought to be in the tenant, worked out without the operator's code.
struct Model {
    ids: BTreeMap<&'static str, Uuid>,
    wishes: BTreeMap<&'static str, Wish>,
    exclusive: bool,
    there: Grants,
    /// How each Full Access of ours was given last, where that is known.
    mapped: BTreeMap<Uuid, bool>,
}

impl Model {
    fn wanted(&self) -> Grants {
        let of = |wish: &Wish| {
            let ids: Vec<Uuid> = wish.members.iter().map(|member| self.ids[member]).collect();
            let rights = wish.rights.clone();
            ids.into_iter()
                .flat_map(move |id| rights.clone().into_iter().map(move |right| (id, right)))
        };
        self.wishes.values().flat_map(of).collect()
    }

    fn mailbox(&self) -> Value {
        let mode = if self.exclusive { "Exclusive" } else { "Additive" };
        sales(json!({ "permissions": { "mode": mode, "ignore": [IGNORED] } }))
    }

    /// Automapping as it is wanted: off wins.
    fn wanted_maps(&self) -> BTreeMap<Uuid, bool> {
        let mut maps = BTreeMap::new();
        for wish in self
            .wishes
            .values()
            .filter(|wish| wish.rights.contains("FullAccess"))
        {
            for member in &wish.members {
                *maps.entry(self.ids[member]).or_insert(true) &= wish.maps;
            }
        }
        maps
    }

    /// Moves on to what the manifests ask for now, and answers how many writes that may take.
    fn follow(&mut self, wanted_before: &Grants) -> RangeInclusive<usize> {
        let wanted = self.wanted();
        let protected = self.ids[PROTECTED];
        let stays = |(id, right): &&(Uuid, &'static str)| {
            let undeclared = wanted_before.contains(&(*id, *right));
            let stranger = !undeclared && (!self.exclusive || *id == self.ids[IGNORED]);
            let unseen = *id == self.ids[STRAY] && *right == "FullAccess" && leftovers_are_unseen();
            *id == protected || stranger || unseen
        };
        let after: Grants = self
            .there
            .iter()
            .filter(stays)
            .copied()
            .chain(wanted.clone())
            .collect();
        let changed: Grants = self.there.symmetric_difference(&after).copied().collect();
        let on_behalf = changed.iter().any(|(_, right)| *right == "SendOnBehalf");
        let rows = changed
            .iter()
            .filter(|(_, right)| *right != "SendOnBehalf")
            .count();
        let fewest = rows + usize::from(on_behalf);

        let maps = self.wanted_maps();
        let held =
            |id: &Uuid| self.there.contains(&(*id, "FullAccess")) && after.contains(&(*id, "FullAccess"));
        let remapped = maps
            .iter()
            .filter(|(id, maps)| held(id) && self.mapped.get(id).is_some_and(|was| was != *maps))
            .count();
        // One call clears automapping for all when nobody wants it, also where it was unknown.
        let cleared = usize::from(!maps.is_empty() && maps.values().all(|maps| !maps));
        let known: BTreeMap<Uuid, bool> = maps
            .iter()
            .filter(|(id, _)| !held(id) || self.mapped.contains_key(id) || cleared == 1)
            .map(|(id, maps)| (*id, *maps))
            .collect();
        self.mapped = known;
        self.there = after;
        fewest..=fewest + 2 * remapped + cleared
    }
}

fn truth(world: &World) -> Grants {
    let view = view(world);
    let full = view
        .full_access
        .iter()
        .filter(|row| !row.deny && row.standing == Standing::Explicit)
        .map(|row| (row.trustee, "FullAccess"));
    let send_as = view.send_as.iter().map(|id| (*id, "SendAs"));
    let on_behalf = view.on_behalf.iter().map(|id| (*id, "SendOnBehalf"));
    full.chain(send_as).chain(on_behalf).collect()
}

/// A mailbox with nothing declared, and with what others left on it: grants, a leftover, a refusal, an inherited row.
async fn noisy() -> (World, Model) {
    let change = json!({ "spec": {
        "protectedTrustees": [PROTECTED],
        "safety": { "maxRevocations": 10_000 },
        "access": [{
            "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "members": ["*@contoso.com"],
            "rights": RIGHTS, "powers": ["Exclusive"] }] } });
    let world = world(Seed::contoso(), change).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let tenant = &world.tenant;
    let mut ids: BTreeMap<&'static str, Uuid> = PEOPLE
        .iter()
        .map(|who| (*who, tenant.object_id(who).unwrap()))
        .collect();
    for who in [IGNORED, PROTECTED, STRAY] {
        ids.insert(who, tenant.inject_access(SALES, &AccessRow::of(who)).unwrap());
        tenant.inject_send_as(SALES, &SendAsRow::of(who)).unwrap();
    }
    tenant.inject_send_as(SALES, &SendAsRow::of(SECOND)).unwrap();
    let inherited = AccessRow {
        standing: Standing::Inherited,
        ..AccessRow::of(THIRD)
    };
    tenant.inject_access(SALES, &inherited).unwrap();
    let denied = AccessRow {
        deny: true,
        ..AccessRow::of(FOURTH)
    };
    tenant.inject_access(SALES, &denied).unwrap();
    let model = Model {
        ids,
        wishes: BTreeMap::new(),
        exclusive: false,
        there: truth(&world),
        mapped: BTreeMap::new(),
    };
    (world, model)
}

fn some<T: Copy + Ord>(rng: &mut Rng, all: &[T]) -> BTreeSet<T> {
    let mut chosen: BTreeSet<T> = all.iter().copied().filter(|_| rng.percent(45)).collect();
    if chosen.is_empty() {
        chosen.insert(*rng.pick(all));
    }
    chosen
}

/// An admin grants something or renames somebody, and somebody requests a reconcile.
async fn by_hand(world: &World, model: &mut Model, rng: &mut Rng) -> String {
    // A grant that was given and taken away within half an hour, and is there again, is one that Exchange forgot to remove.
    world.sleep(2_400).await;
    let who = *rng.pick(&PEOPLE);
    let id = model.ids[who];
    let words = if rng.percent(30) {
        let name = format!("renamed.{}@contoso.com", rng.below(1_000_000));
        let rename = Rename {
            upn: Some(name.clone()),
            address: Some(name),
            display_name: Some("Renamed".to_owned()),
            drop_old_address: false,
        };
        world.tenant.rename_user(who, &rename).unwrap();
        format!("{who} is renamed")
    } else if rng.percent(50) {
        if model.there.insert((id, "FullAccess")) {
            world.tenant.inject_access(SALES, &AccessRow::of(who)).unwrap();
        }
        format!("an admin lets {who} open it")
    } else {
        if model.there.insert((id, "SendAs")) {
            world.tenant.inject_send_as(SALES, &SendAsRow::of(who)).unwrap();
        }
        format!("an admin lets {who} send as it")
    };
    let asked = json!({ "metadata": { "annotations": { RECONCILE_REQUESTED_AT: rng.draw().to_string() } } });
    world.apply(&with(model.mailbox(), &asked)).await;
    words
}

/// One random edit, done in the cluster and in the model; answers it in words.
async fn edit(world: &World, model: &mut Model, rng: &mut Rng) -> String {
    if rng.percent(15) {
        model.exclusive = !model.exclusive;
        world.apply(&model.mailbox()).await;
        return format!("exclusive: {}", model.exclusive);
    }
    if rng.percent(20) {
        return by_hand(world, model, rng).await;
    }
    let name = *rng.pick(&PERMISSIONS);
    if rng.percent(30) && model.wishes.remove(name).is_some() {
        world.delete_permission(name).await;
        return format!("delete {name}");
    }
    let wish = Wish {
        members: some(rng, &PEOPLE),
        rights: some(rng, &RIGHTS),
        maps: rng.percent(75),
    };
    let (members, rights): (Vec<_>, Vec<_>) = (
        wish.members.iter().copied().collect(),
        wish.rights.iter().copied().collect(),
    );
    let maps = json!({ "spec": { "autoMapping": wish.maps } });
    world
        .apply(&with(permission(name, "sales", &members, &rights), &maps))
        .await;
    let words = format!("apply {name}: {members:?} {rights:?} automapping {}", wish.maps);
    model.wishes.insert(name, wish);
    words
}

#[tokio::test(start_paused = true)]
async fn after_any_edit_there_is_exactly_what_is_wanted_beside_what_must_stay() {
    for seed in (0..SEQUENCES).chain(KEPT) {
        let mut rng = Rng::seeded(seed);
        let (world, mut model) = noisy().await;
        let mut story = Vec::new();
        for _ in 0..EDITS {
            world.sleep(5).await;
            forget(&world);
            let before = model.wanted();
            story.push(edit(&world, &mut model, &mut rng).await);
            let needed = model.follow(&before);
            let what = format!("seed {seed}: {}", story.join("; "));
            world.sleep(40).await;
            until(&world, &what, || truth(&world) == model.there).await;
            world.sleep(20).await;
            assert_eq!(truth(&world), model.there, "{what}");
            let writes = world.writes();
            assert!(
                needed.contains(&writes.len()),
                "{what}: {needed:?} writes were needed and these sent: {writes:?}"
            );
        }
        let denied = view(&world)
            .full_access
            .into_iter()
            .filter(|row| row.deny)
            .count();
        assert_eq!(denied, 1, "seed {seed}: a refusal is nobody's to remove");
    }
}

#[tokio::test(start_paused = true)]
async fn one_changed_right_among_five_hundred_entries_is_one_write() {
    let people: Vec<String> = (0..498).map(|n| format!("p{n}@contoso.com")).collect();
    let seed = people.iter().fold(Seed::contoso(), |seed, who| {
        seed.with_user(SeedUser::person(who, who))
    });
    let world = world(seed, json!({})).await;
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    for who in &people {
        world.tenant.inject_access(SALES, &AccessRow::of(who)).unwrap();
    }
    let rights = |rights: &[&str]| permission("team", "sales", &[FIRST, SECOND], rights);
    world.apply(&rights(&["FullAccess"])).await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(view(&world).full_access.len(), 500);
    world.sleep(2).await;
    forget(&world);
    world
        .apply(&permission("other", "sales", &[FIRST], &["SendAs"]))
        .await;
    world.wait_permission("other", "True", "Granted").await;
    world.sleep(60).await;
    assert_eq!(world.writes(), ["Add-RecipientPermission"]);
    forget(&world);
    world
        .apply(&permission("team", "sales", &[FIRST], &["FullAccess"]))
        .await;
    until(&world, "one entry is gone", || {
        view(&world).full_access.len() == 499
    })
    .await;
    world.sleep(60).await;
    assert_eq!(world.writes(), ["Remove-MailboxPermission"]);
}

#[tokio::test(start_paused = true)]
async fn moving_somebody_from_one_permission_to_another_is_no_write() {
    let world = sales_with(&[FIRST, SECOND]).await;
    let rights = &["FullAccess", "SendAs"];
    let other: Value = permission("other", "sales", &[SECOND], rights);
    // In either order: first the new place, then out of the old one, and the other way round at once.
    world.apply(&other).await;
    world.apply(&team(&[FIRST])).await;
    world.wait_permission("other", "True", "Granted").await;
    world.sleep(60).await;
    assert_eq!(world.writes(), NOTHING);
    world.apply(&team(&[FIRST, SECOND])).await;
    world.delete_permission("other").await;
    world.sleep(60).await;
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(view(&world).full_access.len(), 2);
}
