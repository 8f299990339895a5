//! How the threads of one user are shared between a node and those who run guests for it.

/// Of so many threads that a user may have, how many no guest takes, whoever runs it: the node starts some as it works.
///
/// ```
/// use posemesh_runner_api::threads::left_to_the_node;
///
/// assert_eq!((left_to_the_node(60_000), left_to_the_node(40)), (32, 5));
/// ```
pub fn left_to_the_node(most: u64) -> u64 {
    (most / 8).min(32)
}
