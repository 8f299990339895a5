//! The host test of each guest. A guest in `tests/guests/examples` without a line here does not compile.

use posemesh_tests::foreach_guest;

/// Fails to compile with "cannot find value `NAME` in module `tests`" for a guest that has no test.
macro_rules! assert_test_exists {
    ($($guest:ident)*) => {
        const _: () = {
            $(let _ = self::tests::$guest;)*
        };
    };
}

foreach_guest!(assert_test_exists);

/// Each guest's name for the test that runs it.
mod tests {
    pub(crate) use crate::floods::floods_are_held_back_by_name as clock_flood;
    pub(crate) use crate::floods::floods_are_held_back_by_name as event_flood;
    pub(crate) use crate::floods::floods_are_held_back_by_name as log_flood;
    pub(crate) use crate::floods::floods_are_held_back_by_name as output_flood;
    pub(crate) use crate::floods::floods_are_held_back_by_name as progress_flood;
    pub(crate) use crate::floods::floods_are_held_back_by_name as random_flood;
    pub(crate) use crate::holdings::what_the_host_holds_for_a_guest_counts_as_the_guests_memory as greedy;
    pub(crate) use crate::load::components_that_can_not_be_runners_are_refused_by_name as greedy_describe;
    pub(crate) use crate::load::components_that_can_not_be_runners_are_refused_by_name as rude_describe;
    pub(crate) use crate::load::components_that_can_not_be_runners_are_refused_by_name as spin_in_describe;
    pub(crate) use crate::memory::runners_that_take_too_much_are_ended_by_name as file_flood;
    pub(crate) use crate::memory::runners_that_take_too_much_are_ended_by_name as handle_flood;
    pub(crate) use crate::memory::runners_that_take_too_much_are_ended_by_name as memory_bomb;
    pub(crate) use crate::memory::runners_that_take_too_much_are_ended_by_name as memory_fill;
    pub(crate) use crate::memory::runners_that_take_too_much_are_ended_by_name as recurse;
    pub(crate) use crate::memory::runners_that_take_too_much_are_ended_by_name as scratch_fill;
    pub(crate) use crate::older::a_runner_of_0_1_0_works_through_its_adaptor as older;
    pub(crate) use crate::plugin_run::a_stream_is_copied_byte_for_byte as copy;
    pub(crate) use crate::plugin_run::every_function_of_the_ports_works as ports;
    pub(crate) use crate::plugin_run::the_authors_own_error_is_the_reason as panic_in_describe;
    pub(crate) use crate::reach::a_task_reaches_only_the_data_that_it_names as reach;
    pub(crate) use crate::readme::the_runner_of_the_readme_counts_the_bytes_of_its_inputs as readme;
    pub(crate) use crate::scratch::a_file_without_a_name_counts_as_long_as_it_is_open as unlinked;
    pub(crate) use crate::scratch::bytes_and_files_count_however_they_are_named as hoard;
    pub(crate) use crate::scratch::folders_are_nested_64_levels_deep_and_no_deeper as nested;
    pub(crate) use crate::scratch::the_file_system_of_wasi_0_3_counts_as_that_of_0_2 as wasi3_files;
    pub(crate) use crate::secrets::a_host_is_reached_only_when_it_is_granted_and_only_where_it_may_be as http;
    pub(crate) use crate::secrets::what_was_not_granted_is_not_there as data;
    pub(crate) use crate::secrets::what_was_not_granted_is_not_there as escape;
    pub(crate) use crate::secrets::what_was_not_granted_is_not_there as left_over;
    pub(crate) use crate::secrets::what_was_not_granted_is_not_there as probe;
    pub(crate) use crate::secrets::what_was_not_granted_is_not_there as snoop;
    pub(crate) use crate::secrets::what_was_not_granted_is_not_there as wasi3;
    pub(crate) use crate::temporary::tmp_and_the_working_directory_are_what_programs_expect as temporary;
    pub(crate) use crate::time::runners_that_do_not_return_are_ended_by_name as blocked;
    pub(crate) use crate::time::runners_that_do_not_return_are_ended_by_name as exit;
    pub(crate) use crate::time::runners_that_do_not_return_are_ended_by_name as huge_error;
    pub(crate) use crate::time::runners_that_do_not_return_are_ended_by_name as ignore_cancel;
    pub(crate) use crate::time::runners_that_do_not_return_are_ended_by_name as panic;
    pub(crate) use crate::time::runners_that_do_not_return_are_ended_by_name as spin;
    pub(crate) use crate::time::runners_that_do_not_return_are_ended_by_name as trap;
    pub(crate) use crate::versioned::a_version_that_is_written_into_the_bytes_is_the_one_described as versioned;
}
