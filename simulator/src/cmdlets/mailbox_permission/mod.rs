//! Full access and its lesser kin: Get-, Add- and Remove-MailboxPermission.

mod change;
mod list;

pub use change::{add, remove};
pub use list::get;

use crate::parameters::Takes;

pub const GET_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("User", Takes::Text),
    ("ResultSize", Takes::Text),
    ("SoftDeletedMailbox", Takes::Switch),
    ("UseCustomRouting", Takes::Switch),
    ("IncludeUnresolvedPermissions", Takes::Switch),
    ("IncludeSoftDeletedUserPermissions", Takes::Switch),
];

pub const ADD_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("User", Takes::Text),
    ("AccessRights", Takes::Texts),
    ("AutoMapping", Takes::Switch),
    ("InheritanceType", Takes::Text),
    ("Deny", Takes::Switch),
];

pub const REMOVE_TAKES: &[(&str, Takes)] = &[
    ("Identity", Takes::Text),
    ("User", Takes::Text),
    ("AccessRights", Takes::Texts),
    ("InheritanceType", Takes::Text),
    ("Deny", Takes::Switch),
    ("ClearAutoMapping", Takes::Switch),
    ("ResetDefault", Takes::Switch),
];
