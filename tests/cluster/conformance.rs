//! The suite that the API server double has to pass, on the server that it stands for.

use super::server::{client, shared};
use testkit::conformance::run_all;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_of_the_api_server_double_holds_on_the_real_one() {
    let Some(shared) = shared() else { return };
    let failures = run_all(client(&shared.control_plane).await, "conformance").await;
    assert!(failures.is_empty(), "{failures:#?}");
}
