//! The tenant as a client meets it over HTTP, without sockets.

mod client;
mod faults;
mod graph;
mod lag;
mod mailboxes;
mod paging;
mod permissions;
mod recipients;
mod sign_in;
mod wire;
