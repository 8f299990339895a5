//! Which data of the domain an artifact may replace: what a runner is given, an artifact's id or its name, can lead to
//! data that its task has nothing to do with.

use std::fmt;
use std::sync::Arc;

/// Whether an artifact may take the place of the data with an id. The host of a runner decides; whoever stores the
/// artifact asks, since only there it is known what a name stands for.
///
/// ```
/// use posemesh_runner_api::replace::Replaceable;
///
/// assert!(Replaceable::anything().allows("a"));
/// let only = Replaceable::only(|id| id == "a");
/// assert!(only.allows("a") && !only.allows("b"));
/// ```
#[derive(Clone)]
pub struct Replaceable(Option<Arc<MayReplace>>);

/// Whether the data with an id may be replaced.
type MayReplace = dyn Fn(&str) -> bool + Send + Sync;

impl Replaceable {
    /// Any data of the domain.
    pub fn anything() -> Self {
        Self(None)
    }

    /// Only data whose id passes.
    pub fn only(may: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(may)))
    }

    /// Whether the data with this id may be replaced.
    pub fn allows(&self, id: &str) -> bool {
        self.0.as_ref().is_none_or(|may| may(id))
    }

    /// Whether any data may be replaced, without a look at its id.
    pub fn is_anything(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Replaceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_anything() { "anything" } else { "some" })
    }
}
