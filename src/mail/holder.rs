//! Who holds a permission, as a permission store can name them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ObjectId, Sid};

/// Somebody who holds a right. Permission rows carry a SID and no object id; Send on Behalf carries ids and no SID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Holder {
    ObjectId(ObjectId),
    Sid(Sid),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ObjectId(id) => id.fmt(f),
            Self::Sid(sid) => sid.fmt(f),
        }
    }
}
