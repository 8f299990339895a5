//! What a runner says of itself, what its operator allows it, and what therefore counts.
//!
//! Everything here is pure: values in, values out, but for [`Policy::read`], which reads one file. It knows
//! nothing of WebAssembly, of sockets or of the registry, so that each rule can be tested by itself.

pub(crate) mod amount;
pub(crate) mod breaker;
pub(crate) mod canary;
pub(crate) mod data_scope;
pub(crate) mod description;
pub(crate) mod fixed_limit;
pub(crate) mod host_rule;
pub(crate) mod limits;
pub(crate) mod policy;
mod without_effect;

pub use amount::LimitUnit;
pub use breaker::BreakerPolicy;
pub use canary::CanaryPolicy;
pub use data_scope::DataScope;
pub use description::Description;
pub use host_rule::HostRule;
pub use limits::{Limit, LimitSettings, Limits};
pub use policy::{Grant, Policy, PolicyError};
