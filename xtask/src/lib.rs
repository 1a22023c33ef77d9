//! Building blocks of the developer commands (`cargo xtask`), also used by tests that need a real API server.
//!
//! - [`control_plane`]: etcd, kube-apiserver and kube-controller-manager on this machine, found or built once.
//! - [`chart_tools`]: helm, promtool and a Lua runner, found or built once.
//! - [`go_programs`]: how such programs are found and built.
//! - [`supervised`]: programs that never outlive us.
//! - [`process`]: running commands to their end, and waiting for things to happen.
//! - [`workspace`]: where the repository and its target folder are.
//! - [`image`]: a container image as an archive, the same bytes for the same program.
//! - [`interrupt`]: ctrl-c, noticed by everything that waits here.
#![allow(
    clippy::disallowed_methods,
    reason = "this drives real processes, which run in real time"
)]

pub mod chart_tools;
pub mod control_plane;
pub mod go_programs;
pub mod image;
pub mod interrupt;
pub mod process;
pub mod supervised;
pub mod workspace;
