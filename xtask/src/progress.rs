//! Says before a long build what is going on, and about how long it takes.
//!
//! The durations were measured on two idle cores, in an empty target directory with all sources downloaded, each
//! build in the place where a command has it: what earlier builds share with it was there. Release builds
//! were not measured, so no number is given for them.

/// A build that takes long on a fresh machine.
pub(crate) struct LongBuild {
    /// What is built, as it stands after "building".
    what: &'static str,
    /// How long the first build takes.
    first_time: &'static str,
}

/// The node as `demo` and `test-plugins` need it.
pub(crate) const NODE: LongBuild = LongBuild { what: "the node", first_time: "about 4 minutes" };

/// The node and all test programs.
pub(crate) const SUITES: LongBuild =
    LongBuild { what: "the node and the test programs", first_time: "about 6 minutes" };

/// The node and the measuring program, optimised.
pub(crate) const RELEASE: LongBuild =
    LongBuild { what: "the node and the bench in release mode", first_time: "several minutes" };

/// Extism, with a wasmtime of its own.
pub(crate) const EXTISM: LongBuild =
    LongBuild { what: "Extism, to compare with", first_time: "several minutes" };

/// The published node and domain client.
pub(crate) const REFERENCE: LongBuild =
    LongBuild { what: "the reference node and domain client", first_time: "about 2 minutes" };

/// The simulation of the control plane.
pub(crate) const SIMULATION: LongBuild =
    LongBuild { what: "the simulation", first_time: "about a minute and a half" };

/// The runners in `plugins/`.
pub(crate) const RUNNERS: LongBuild = LongBuild { what: "the runners", first_time: "about half a minute" };

/// The guests that only tests load.
pub(crate) const TEST_GUESTS: LongBuild =
    LongBuild { what: "the test guests", first_time: "about half a minute" };

/// Prints what is about to be built and how long it takes. `built_before`: whether its artifacts exist.
pub(crate) fn announce(build: &LongBuild, built_before: bool) {
    eprintln!("{}", text(build, built_before));
}

fn text(LongBuild { what, first_time }: &LongBuild, built_before: bool) -> String {
    match built_before {
        false => format!("building {what}: {first_time} the first time, seconds later"),
        true => format!("building {what}: only what changed since the last time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_build_is_announced_as_long() {
        let build = LongBuild { what: "the house", first_time: "about 7 days" };
        assert_eq!(text(&build, false), "building the house: about 7 days the first time, seconds later");
        assert_eq!(text(&build, true), "building the house: only what changed since the last time");
    }
}
