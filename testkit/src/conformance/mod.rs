//! What the operator relies on in an API server, written once and run against the double and the real one.
//!
//! Each check has a namespace of its own and reads as a sentence. A check may use anything a client can do, and
//! nothing else, so that it can't know which server it talks to.

mod admission;
mod applying;
mod bench;
mod definitions;
mod kinds;
mod lifecycle;
mod objects;
mod patches;
mod records;
mod selecting;
mod watches;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;

pub use bench::{Bench, GROUP, parcel_definition};

/// Far longer than any check takes.
const PATIENCE: Duration = Duration::from_mins(2);

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One property of an API server.
pub struct Check {
    /// The property as a sentence, in words joined by underscores.
    pub name: &'static str,
    run: fn(Bench) -> Run,
}

/// A check that did not hold, and why.
#[derive(Debug)]
pub struct Failure {
    pub check: &'static str,
    pub why: String,
}

macro_rules! checks {
    ($($module:ident :: $check:ident),+ $(,)?) => {
        vec![$(Check { name: stringify!($check), run: |bench| Box::pin($module::$check(bench)) }),+]
    };
}

/// All checks, in no particular order.
pub fn checks() -> Vec<Check> {
    checks![
        objects::a_created_object_has_identity_and_the_first_generation,
        objects::a_name_is_taken_once,
        objects::what_is_not_there_is_not_found,
        objects::generated_names_start_with_their_prefix,
        objects::names_must_be_dns_subdomains,
        objects::a_replace_with_an_old_resource_version_conflicts,
        objects::a_replace_of_a_custom_resource_needs_a_resource_version,
        objects::a_replace_that_changes_nothing_leaves_the_resource_version,
        objects::generations_count_changes_of_the_spec_only,
        objects::identity_and_bookkeeping_cannot_be_written,
        objects::another_uid_than_the_objects_conflicts,
        objects::the_main_resource_leaves_status_alone,
        objects::the_status_subresource_changes_nothing_but_status,
        objects::a_create_drops_the_status,
        objects::lists_select_by_label_and_name,
        objects::lists_come_in_pages_of_one_revision,
        objects::metadata_alone_can_be_read,
        objects::a_dry_run_changes_nothing,
        objects::a_body_of_another_kind_is_refused,
        objects::a_collection_is_deleted_by_selector,
        patches::a_merge_patch_merges_and_null_removes,
        patches::a_merge_patch_with_an_old_resource_version_conflicts,
        patches::a_merge_patch_that_changes_nothing_leaves_the_resource_version,
        patches::a_json_patch_is_all_or_nothing,
        patches::a_failed_json_patch_test_is_unprocessable,
        patches::a_patch_of_the_status_leaves_the_spec,
        patches::a_patch_of_nothing_is_not_found,
        patches::a_patch_cannot_rename,
        applying::an_apply_creates_what_is_not_there,
        applying::an_apply_removes_what_its_manager_no_longer_mentions,
        applying::an_apply_leaves_what_others_set,
        applying::a_field_with_two_owners_stays_until_both_drop_it,
        applying::an_apply_over_anothers_value_conflicts_unless_forced,
        applying::an_update_takes_fields_away_from_an_applier,
        applying::lists_with_keys_merge_by_key,
        applying::an_applied_status_leaves_the_spec_and_other_managers_conditions,
        applying::an_apply_that_changes_nothing_leaves_the_resource_version,
        applying::an_apply_with_an_old_resource_version_conflicts,
        applying::an_apply_of_a_status_without_its_object_is_not_found,
        applying::an_apply_needs_a_field_manager,
        admission::values_outside_the_schema_are_refused_with_their_fields,
        admission::a_time_is_hardly_looked_at,
        admission::a_missing_required_field_is_named,
        admission::unknown_fields_are_pruned_unless_preserved,
        admission::unknown_fields_are_refused_on_strict_validation,
        admission::defaults_are_filled_in_on_every_write,
        admission::null_counts_as_absent_unless_it_is_allowed,
        admission::duplicates_in_sets_and_keyed_lists_are_refused,
        admission::rules_see_the_whole_object,
        admission::rules_name_the_field_and_the_reason_they_say,
        admission::transition_rules_compare_with_what_was_there,
        admission::rules_wait_until_the_schema_holds,
        admission::the_status_is_validated_too,
        admission::unchanged_values_are_not_judged_again_when_a_schema_tightens,
        lifecycle::an_object_without_finalizers_is_deleted_at_once,
        lifecycle::finalizers_hold_a_deleted_object,
        lifecycle::no_finalizer_is_added_to_a_deleted_object,
        lifecycle::a_second_delete_changes_nothing,
        lifecycle::deletes_can_insist_on_uid_and_resource_version,
        lifecycle::a_created_again_object_has_another_uid,
        lifecycle::nothing_is_created_in_a_missing_namespace,
        lifecycle::a_deleted_namespace_takes_its_content_along,
        lifecycle::a_deleted_namespace_waits_for_finalizers_and_refuses_new_content,
        watches::a_watch_shows_additions_changes_and_deletions_in_order,
        watches::a_watch_from_a_list_misses_nothing,
        watches::a_watch_from_zero_starts_with_what_is_there,
        watches::a_streaming_list_ends_with_its_bookmark,
        watches::initial_events_need_a_version_match,
        watches::a_selecting_watch_shows_entering_and_leaving,
        watches::a_watch_of_one_namespace_sees_no_other,
        watches::a_watch_ends_after_its_timeout,
        watches::a_watch_of_metadata_shows_only_metadata,
        watches::a_write_that_changes_nothing_causes_no_event,
        watches::removing_the_last_finalizer_shows_a_deletion,
        watches::kubes_watcher_follows_a_collection,
        definitions::a_definition_is_established_and_discovered,
        definitions::a_deleted_definition_takes_its_objects_along,
        selecting::lists_select_by_the_fields_that_a_definition_names,
        selecting::a_selector_by_another_field_is_refused,
        selecting::a_watch_selects_by_the_fields_that_a_definition_names,
        selecting::a_collection_is_deleted_by_the_fields_that_a_definition_names,
        records::an_atomic_map_has_one_owner_and_keeps_what_is_unknown,
        records::an_apply_of_an_atomic_map_conflicts_or_replaces_it_whole,
        records::without_a_status_every_change_but_of_metadata_is_a_generation,
        records::cluster_wide_objects_are_replaced_and_deleted_under_preconditions,
        records::a_status_with_a_default_is_there_from_the_start,
        kinds::secrets_fold_text_into_data,
        kinds::a_lease_is_taken_by_replacing_it_at_its_resource_version,
        kinds::an_event_is_created_and_its_series_patched,
        kinds::a_namespace_is_active_and_carries_its_name_as_label,
    ]
}

/// Runs all checks against the server behind `client`, a few at a time; their namespaces start with `prefix`.
pub async fn run_all(client: Client, prefix: &str) -> Vec<Failure> {
    bench::install_definitions(&client).await;
    records::install_definitions(&client).await;
    let runs = checks().into_iter().enumerate().map(|(number, check)| {
        let client = client.clone();
        let namespace = format!("{prefix}-{number}");
        async move {
            let bench = Bench::new(client, namespace).await;
            let mut run = tokio::spawn((check.run)(bench));
            let why = match tokio::time::timeout(PATIENCE, &mut run).await {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => reason(error),
                Err(_) => {
                    run.abort();
                    format!("did not end within {PATIENCE:?}")
                }
            };
            Some(Failure {
                check: check.name,
                why,
            })
        }
    });
    futures::stream::iter(runs)
        .buffer_unordered(8)
        .filter_map(|failure| async { failure })
        .collect()
        .await
}

fn reason(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "was cancelled".to_owned();
    };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "panicked".to_owned())
}
