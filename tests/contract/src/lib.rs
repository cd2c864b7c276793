//! What every store, queue and vault promises, whatever it is made of.
//!
//! The checks are written against the engine's ports alone. Who offers an implementation says how to begin with an empty one
//! ([`Subject`], [`QueueSubject`]) and has [`store_checks!`] and [`queue_checks!`] make a test of each check. What only one
//! implementation has to show (items as they are stored, calls as they are sent) is tested beside it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a check fails by panicking, and its name says what it checks"
)]

pub mod agenda;
pub mod attempts;
pub mod deliveries;
pub mod grants;
pub mod notices;
pub mod operations;
pub mod pairing;
pub mod preview;
pub mod pushes;
pub mod queues;
pub mod reference;
pub mod scene;
pub mod subject;
pub mod sweeps;
pub mod vault;

pub use subject::{AnyRow, PrefixRow, QueueSubject, Subject, Table};

/// Makes a test of each check of a store and its vault. `$subject` is a type with
/// `async fn new() -> Option<Self>` (`None`: skipped) and `async fn end(self)` that is a [`Subject`]; `$test` is the
/// attribute that makes a test of a function.
#[macro_export]
macro_rules! store_checks {
    ($subject:ty, #[$test:meta]) => {
        $crate::tests_of! { $subject, #[$test],
            agenda {
                what_is_due_comes_in_the_order_of_its_time
            }
            attempts {
                a_claim_takes_run_and_book
                of_many_claims_one_wins
                one_book_has_one_writer
                a_lease_ends_by_itself
                only_what_is_ready_is_claimed
                the_run_is_judged_before_the_book
                a_run_of_a_newer_build_is_not_claimed
                an_attempt_reads_all_it_needs_at_once
                a_reservation_is_written_only_where_it_is_expected
                who_lost_the_claim_writes_nothing
                an_outcome_is_written_with_all_that_depends_on_it
                an_outcome_survives_the_loss_of_its_lease
                an_outcome_is_not_written_over_anothers_cross_reference_or_generation
                the_pace_of_a_book_goes_from_hand_to_hand
                a_run_is_replaced_only_as_seen
                a_shop_that_refuses_is_asked_after_until_it_accepts
                pending_and_disconnected_shops_keep_their_status
                only_an_active_binding_comes_to_need_a_connection
                a_paused_book_is_left_alone_by_all_its_runs_until_it_is_over
                money_that_waits_for_a_book_goes_before_what_gives_way
                refusals_that_no_rule_recognised_are_counted
            }
            deliveries {
                fifty_deliveries_of_one_run_write_it_once
                one_token_is_spent_once
                a_retry_of_the_same_write_is_fresh_again
                a_token_that_expired_is_no_hindrance_though_its_row_is_there
                of_several_runs_all_or_none_are_written_and_each_is_told
                a_repeated_delivery_reopens_pushes_and_spends_its_token_together
                each_thing_seen_of_a_run_counts
                an_unsent_run_is_due_sooner_unless_it_went_on
            }
            grants {
                one_has_the_lease_on_a_grant
                a_grant_is_replaced_as_seen
                a_binding_needs_a_new_connection_only_for_the_grant_in_force
                what_is_good_once_is_used_once
                an_app_is_replaced_as_seen
                a_connection_is_confirmed_as_seen_all_or_nothing
                a_pending_connection_is_removed_only_as_the_one_it_is
                two_hundred_at_once_are_one_renewal
                a_token_copied_to_another_row_tenant_or_attribute_does_not_open
            }
            notices {
                notices_are_written_only_as_seen
                tenants_with_notices_are_found_page_by_page
            }
            operations {
                tenants_are_listed_page_by_page_and_the_last_sweep_is_known
                a_tenant_is_read_with_its_bindings_in_order
                a_binding_is_added_once_and_replaced_as_seen
                runs_are_listed_newest_first_page_by_page
                attempts_are_listed_oldest_first
            }
            pairing {
                a_shop_has_one_tenant_however_many_make_it
                a_binding_without_a_book_is_added_once_and_changes_as_seen
                a_candidate_comes_into_use_once_and_the_key_before_is_kept
                what_calls_show_of_a_shop_is_noted_and_cleared
                a_shop_is_heard_silent_and_heard_again
                a_disconnect_spends_its_token_once
                runs_of_a_binding_are_counted_from_a_moment_on
                an_order_has_its_documents
            }
            preview {
                a_job_is_written_once_and_replaced_as_seen
                runs_since_a_moment_come_oldest_first
                cross_references_are_written_all_or_none
                what_is_invalid_is_refused
                cross_references_of_a_book_come_in_pages
                a_run_is_settled_with_its_cross_reference_or_not_at_all
            }
            pushes {
                a_push_is_made_and_then_raised
                of_many_that_ask_each_counts
                a_chip_is_seen_with_what_it_is_computed_from
                a_run_that_carries_document_and_payment_is_told_once
                what_the_shop_has_is_noted_unless_more_is_wanted_by_then
            }
            reference {
                a_list_is_written_as_seen_with_its_pages
                a_long_list_goes_in_and_comes_out
                settings_are_put_as_seen_and_every_version_is_kept
                a_number_prefix_of_a_book_becomes_one_shops
            }
            sweeps {
                what_is_due_is_found_oldest_first
                a_push_is_due_like_a_run
                a_push_is_replaced_only_as_seen
                the_index_by_state_is_read_page_by_page
            }
            vault {
                a_secret_opens_where_it_was_sealed
                a_moved_ciphertext_does_not_open
            }
        }
    };
}

/// The same for queues, and [`QueueSubject`].
#[macro_export]
macro_rules! queue_checks {
    ($subject:ty, #[$test:meta]) => {
        $crate::tests_of! { $subject, #[$test],
            queues {
                a_message_is_sent_and_given_back
                bells_are_counted_received_and_deleted
                a_group_waits_for_its_first
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! tests_of {
    (@area $subject:ty, [$test:meta], $area:ident, $($check:ident)*) => {
        mod $area {
            use super::*;

            $(#[$test]
            async fn $check() {
                let Some(subject) = <$subject>::new().await else { return };
                $crate::$area::$check(&subject).await;
                subject.end().await;
            })*
        }
    };
    ($subject:ty, #[$test:meta], $($area:ident { $($check:ident)* })*) => {
        $($crate::tests_of! { @area $subject, [$test], $area, $($check)* })*
    };
}

#[cfg(test)]
mod tests {
    /// A check that is in no list would never be asked.
    #[test]
    fn every_check_is_listed() {
        let lists = include_str!("lib.rs");
        let areas = [
            include_str!("agenda.rs"),
            include_str!("attempts.rs"),
            include_str!("deliveries.rs"),
            include_str!("grants.rs"),
            include_str!("notices.rs"),
            include_str!("operations.rs"),
            include_str!("pairing.rs"),
            include_str!("preview.rs"),
            include_str!("pushes.rs"),
            include_str!("queues.rs"),
            include_str!("reference.rs"),
            include_str!("sweeps.rs"),
            include_str!("vault.rs"),
        ];
        for text in areas {
            for rest in text.split("pub async fn ").skip(1) {
                let name = rest.split(['<', '(']).next().unwrap();
                assert!(lists.lines().any(|line| line.trim() == name), "{name}");
            }
        }
    }
}
