//! The machine token: kept, handed out, and renewed in time (protocol 2).
//!
//! One task, the [`TokenRefresher`], does all logins, so there is never more than one in flight. Callers of the
//! [`TokenManager`] only read what it publishes. A token is handed out until it really expires, while its
//! renewal goes on in the background: an outage of DDS that is shorter than what is left of the lifetime is not
//! noticed.

mod allowance;
mod manager;
mod refresh;
mod settings;
mod state;

pub(crate) use manager::TokenManager;
pub(crate) use refresh::TokenRefresher;
pub(crate) use settings::TokenSettings;
pub(crate) use state::TokenStatus;

#[cfg(test)]
mod tests;
