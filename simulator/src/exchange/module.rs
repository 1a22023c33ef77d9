//! `EXOModuleFile`: the module that Microsoft generates for whoever connects, with the cmdlets of their role.

use serde_json::json;

use crate::cmdlets;
use crate::quirks::RoleList;
use crate::wire::{Delivery, Http, Reply};
use crate::world::World;

/// Answers `GET /adminapi/v1.0/{tenant}/EXOModuleFile`; `refusal` is what keeps the caller out, if anything does.
pub fn answer(world: &mut World, http: &Http, tenant: &str, refusal: Option<Reply>) -> Delivery {
    let reply = if !world.tenant.is_named(tenant) {
        Reply::error(404, "The tenant was not found.")
    } else if let Some(refusal) = refusal {
        refusal
    } else {
        match world.quirks.role_list {
            RoleList::Listed => listed(world),
            RoleList::Redirected => {
                Reply::empty(302).with("location", "https://eur01.outlook.office365.com/adminapi/v1.0")
            }
            RoleList::NotThere => Reply::error(404, "Resource not found."),
        }
    };
    world.answer_other(http, reply)
}

fn listed(world: &World) -> Reply {
    let names: Vec<&str> = cmdlets::in_role(world).collect();
    let module = json!({"moduleFile": "UEsDBA==", "exportedCmdlets": names.join(",")});
    Reply::json(200, json!({"value": [module]}))
}
