//! Groups and who is in them.

use serde_json::{Map, Value, json};

use super::reply::{Acted, error, no_segment, not_there, permit};
use super::users;
use crate::directory::{ObjectView, OutsideKind};
use crate::grants::AppGrants;
use crate::paging::Page;
use crate::quirks::HiddenMembers;
use crate::seed::GroupKind;
use crate::wire::{Http, Reply, option, selected};
use crate::world::World;

/// Members of a page when nothing else is asked for, and the most that can be.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 999;

fn may_read(roles: AppGrants) -> bool {
    roles.graph_group_read
}

/// `GET /v1.0/groups/{group}`.
pub fn read(world: &mut World, http: &Http, group: &str) -> Acted {
    permit(world, http, may_read)?;
    let group = find(world, group)?;
    let select = selected(&http.query).unwrap_or_else(default);
    let context = "https://graph.microsoft.com/v1.0/$metadata#groups/$entity";
    let mut body = Map::from_iter([("@odata.context".to_owned(), context.into())]);
    body.extend(properties(world, &group, &select));
    Ok((Reply::json(200, body.into()), false))
}

/// `GET /v1.0/groups/{group}/members` and `.../transitiveMembers`, all of them or, with a cast, only
/// people (`microsoft.graph.user`) or groups (`microsoft.graph.group`).
pub fn members(world: &mut World, http: &Http, group: &str, relation: &str, cast: Option<&str>) -> Acted {
    permit(world, http, may_read)?;
    let transitive = match relation {
        "members" => false,
        "transitiveMembers" => true,
        _ => return Err(no_segment(world, relation)),
    };
    let wanted = match cast {
        None => None,
        Some(name) => match name.strip_prefix("microsoft.").and_then(Kind::named) {
            Some(kind) => Some(kind),
            None => return Err(no_segment(world, name)),
        },
    };
    let counts = option(&http.query, "$count") == Some("true")
        && http
            .header("consistencylevel")
            .is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
    if wanted.is_some() && !counts {
        let text = "The specified query needs ConsistencyLevel: eventual and $count=true.";
        return Err(error(world, 400, "Request_UnsupportedQuery", text));
    }
    let size = page_size(world, http)?;
    if let Some(token) = option(&http.query, "$skiptoken") {
        let Some(page) = world.pages.next(token, size, world.elapsed()) else {
            let text =
                "The specified page token value has expired and can no longer be included in your request.";
            return Err(error(world, 400, "Directory_ExpiredPageToken", text));
        };
        return Ok((envelope(world, http, page, None), false));
    }
    let group = find(world, group)?;
    let shows_all = world.quirks.groups.hidden_members == HiddenMembers::Shown;
    let is_open =
        |seen: &ObjectView| shows_all || !seen.group.as_ref().is_some_and(|group| group.hidden_membership);
    let found = if transitive {
        world
            .directory
            .transitive_members(&group, world.graph_view(), is_open)
    } else if is_open(&group) {
        world.directory.members(&group, world.graph_view())
    } else {
        Vec::new()
    };
    let reads_people = may_read_people(world, http);
    let select = selected(&http.query);
    let rows: Vec<Value> = found
        .iter()
        .filter(|member| member.is_in_entra())
        .filter(|member| wanted.is_none_or(|kind| Kind::of(member) == kind))
        .map(|member| item(world, member, select.as_deref(), reads_people))
        .collect();
    let count = counts.then_some(rows.len());
    let (id, now) = (world.random.uuid(), world.elapsed());
    let page = world.pages.first(rows, size, id, now);
    Ok((envelope(world, http, page, count), false))
}

/// What Graph calls a member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Group,
    Contact,
}

impl Kind {
    fn of(member: &ObjectView) -> Self {
        if member.group.is_some() {
            Self::Group
        } else if member.is_outside(OutsideKind::Contact) {
            Self::Contact
        } else {
            Self::User
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::User, Self::Group, Self::Contact]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::User => "graph.user",
            Self::Group => "graph.group",
            Self::Contact => "graph.orgContact",
        }
    }
}

fn may_read_people(world: &World, http: &Http) -> bool {
    let held = world.tokens.grant(http, world.elapsed());
    held.is_some_and(|grant| users::may_read(grant.roles)) && users::may_read(world.grants)
}

/// A member in a list. Of what the app may not read only kind and id are shown, the rest is null
/// (Microsoft's page "List group transitive members"); contacts would need a role of their own.
fn item(world: &World, member: &ObjectView, select: Option<&[String]>, reads_people: bool) -> Value {
    let kind = Kind::of(member);
    let select = select.map_or_else(
        || match kind {
            Kind::Group => default(),
            Kind::User | Kind::Contact => users::default(),
        },
        <[String]>::to_vec,
    );
    let known = match kind {
        Kind::User if reads_people => users::properties(member, &select),
        Kind::Group => properties(world, member, &select),
        Kind::User | Kind::Contact => {
            let hidden = select.iter().map(|name| match name.as_str() {
                "id" => (name.clone(), member.id.to_string().into()),
                _ => (name.clone(), Value::Null),
            });
            hidden.collect()
        }
    };
    let mut fields = Map::from_iter([(
        "@odata.type".to_owned(),
        format!("#microsoft.{}", kind.name()).into(),
    )]);
    fields.extend(known);
    fields.into()
}

fn page_size(world: &mut World, http: &Http) -> Result<usize, Reply> {
    let Some(asked) = option(&http.query, "$top") else {
        return Ok(PAGE);
    };
    if let Ok(size @ 1..=LARGEST_PAGE) = asked.parse() {
        return Ok(size);
    }
    let text =
        format!("Invalid page size specified: '{asked}'. Must be between 1 and {LARGEST_PAGE} inclusive.");
    Err(error(world, 400, "Request_BadRequest", &text))
}

fn envelope(world: &World, http: &Http, page: Page, count: Option<usize>) -> Reply {
    let mut body = json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#directoryObjects",
        "value": page.rows,
    });
    if let Value::Object(fields) = &mut body {
        if let Some(count) = count {
            fields.insert("@odata.count".to_owned(), count.into());
        }
        if let Some(next) = page.next {
            let host = &world.faults.current().next_link_base;
            let host = host.as_ref().unwrap_or(&http.base_url);
            let asked = http.query.iter().filter(|(name, _)| name != "$skiptoken");
            let mut options: Vec<String> = asked.map(|(name, value)| format!("{name}={value}")).collect();
            options.push(format!("$skiptoken={next}"));
            let link = format!("{host}{}?{}", http.path, options.join("&"));
            fields.insert("@odata.nextLink".to_owned(), link.into());
        }
    }
    Reply::json(200, body)
}

/// Groups go by their object id only.
fn find(world: &mut World, group: &str) -> Result<ObjectView, Reply> {
    let id = group.parse().ok();
    let found = id.and_then(|id| world.directory.by_id(id, world.graph_view()));
    found
        .filter(|seen| seen.group.is_some() && seen.is_in_entra() && seen.is_live())
        .ok_or_else(|| not_there(world, group))
}

fn default() -> Vec<String> {
    [
        "id",
        "displayName",
        "mail",
        "mailEnabled",
        "securityEnabled",
        "groupTypes",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Those of the selected properties that are simulated.
fn properties(world: &World, seen: &ObjectView, select: &[String]) -> Map<String, Value> {
    let Some(group) = &seen.group else {
        return Map::new();
    };
    let mut fields = Map::new();
    for name in select {
        let value: Value = match name.as_str() {
            "id" => seen.id.to_string().into(),
            "displayName" => seen.display_name.clone().into(),
            "mail" => seen.primary_address().into(),
            "mailNickname" => seen.alias.clone().into(),
            "mailEnabled" => group.kind.has_mail().into(),
            "securityEnabled" => group.kind.is_security().into(),
            "groupTypes" if group.kind == GroupKind::Microsoft365 => json!(["Unified"]),
            "groupTypes" => json!([]),
            "onPremisesSyncEnabled" => seen.dir_synced.then_some(true).into(),
            "visibility" if !world.quirks.groups.show_visibility => continue,
            "visibility" => group.hidden_membership.then_some("HiddenMembership").into(),
            "proxyAddresses" => seen.addresses.clone().into(),
            _ => continue,
        };
        fields.insert(name.clone(), value);
    }
    fields
}
