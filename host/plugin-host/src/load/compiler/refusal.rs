//! Why the engine does not compile a component, as the compiler process says it to its parent.

use posemesh_text::one_line;
use wasmtime::Engine;

use crate::load::error::MAX_CAUSE;
use crate::load::proposals::{Fault, fault};

/// A component that does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: RefusalKind,
    /// On one line: the proposals, or what wasmtime says.
    pub(super) text: String,
}

/// In what way a component is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// It is not valid.
    Broken,
    /// It needs proposals that the engine does not have.
    Proposals,
    /// It is valid, and the engine can't compile it.
    NotCompiled,
}

impl RefusalKind {
    const ALL: [Self; 3] = [Self::Broken, Self::Proposals, Self::NotCompiled];

    /// The exit code by which the compiler process says it.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Broken => 3,
            Self::Proposals => 4,
            Self::NotCompiled => 5,
        }
    }

    /// What an exit code says, if it says such a thing.
    pub(super) fn of_exit_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| i32::from(kind.exit_code()) == code)
    }
}

/// Compiles a component in this process.
///
/// # Errors
/// What is wrong with the component.
pub(super) fn compile_here(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, Refusal> {
    engine.precompile_component(component).map_err(|error| {
        let says = one_line(format_args!("{error:#}"), MAX_CAUSE);
        let (kind, text) = match fault(component) {
            Fault::Broken => (RefusalKind::Broken, says),
            Fault::Needs(proposals) => (RefusalKind::Proposals, one_line(proposals.join(", "), MAX_CAUSE)),
            Fault::Valid => (RefusalKind::NotCompiled, says),
        };
        Refusal { kind, text }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::code::engine::compiling_engine;

    #[test]
    fn what_is_refused_for_a_proposal_is_not_called_broken() {
        let engine = compiling_engine().unwrap();
        let needs_gc = wat::parse_str("(component (core module (type (struct (field i32)))))").unwrap();
        let refusal = compile_here(&engine, &needs_gc).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Proposals);
        assert_eq!(refusal.text, "garbage collection (gc)");
        let broken = compile_here(&engine, &needs_gc[..needs_gc.len() - 1]).unwrap_err();
        assert_eq!(broken.kind, RefusalKind::Broken);
    }

    #[test]
    fn an_exit_code_says_what_was_meant_by_it() {
        for kind in RefusalKind::ALL {
            assert_eq!(RefusalKind::of_exit_code(i32::from(kind.exit_code())), Some(kind));
        }
        assert_eq!(RefusalKind::of_exit_code(1), None);
        assert_eq!(RefusalKind::of_exit_code(101), None, "a panic");
    }
}
