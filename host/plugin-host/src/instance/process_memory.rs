//! Whether a sandbox process has used up what the kernel lets it have. Everything in it belongs to one runner: what is lacking
//! then is lacking because of that runner, and not on this machine.

use std::fs;
use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit};

/// A process with less than this left has none left: a stack is refused whole.
const LEAST: usize = 16 << 20;

/// Whether only the limit of this process can refuse it memory: there is no other that would refuse it at once.
static LIMIT_DECIDES: OnceLock<bool> = OnceLock::new();

/// Lets [`is_used_up`] look from now on. To be called before nothing can be opened any more.
pub(crate) fn watch() {
    // With 2 the kernel refuses what the machine might not have.
    let strict = fs::read_to_string("/proc/sys/vm/overcommit_memory").map_or(true, |mode| mode.trim() == "2");
    let of_addresses = getrlimit(Resource::As).current.is_some();
    // One is as good as another.
    let _ = LIMIT_DECIDES.set(!strict && !of_addresses);
}

/// Whether the process has next to nothing left of the writable memory that it may have. Never in the node's own process.
pub(crate) fn is_used_up() -> bool {
    LIMIT_DECIDES.get().is_some_and(|decides| *decides) && Vec::<u8>::new().try_reserve_exact(LEAST).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_memory_left_has_not_used_it_up() {
        assert!(!is_used_up(), "the node's own");
        watch();
        assert!(!is_used_up());
    }
}
