//! What the operator says of all connections of this process: its proxies, and whom it trusts.
//!
//! One value for the process, as the variables are that it comes from: every client that is made from now on follows
//! it, those that a library makes too. Until somebody sets it, it is what the environment says.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::proxy::Proxies;
use crate::roots::TrustRoots;

/// Proxies and trusted certificates.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Which requests go through a proxy.
    pub proxies: Arc<Proxies>,
    /// Whom TLS trusts; none for the system's certificates, which are read when the first client is made.
    pub roots: Option<Arc<TrustRoots>>,
}

static CURRENT: RwLock<Option<Network>> = RwLock::new(None);

impl Network {
    /// What holds for clients that are made now.
    pub fn current() -> Self {
        if let Some(network) = CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return network;
        }
        let mut current = CURRENT.write().unwrap_or_else(PoisonError::into_inner);
        current.get_or_insert_with(Self::of_process).clone()
    }

    /// Makes this hold for every client that is made from now on.
    pub fn install(self) {
        *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(self);
    }

    /// What the environment says. Certificates that can't be used are logged and left out: whoever reads a
    /// configuration has reported them.
    fn of_process() -> Self {
        let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let mut named: Option<TrustRoots> = None;
        let mut add = |read: Result<TrustRoots, crate::roots::RootsError>| {
            let roots = read.unwrap_or_else(|error| {
                tracing::warn!(%error, "certificates that the environment names can't be used");
                TrustRoots::default()
            });
            named = Some(named.take().unwrap_or_default().and(roots));
        };
        if let Some(file) = value("SSL_CERT_FILE") {
            add(TrustRoots::of_file(Path::new(&file)));
        }
        for folder in value("SSL_CERT_DIR").iter().flat_map(std::env::split_paths) {
            add(TrustRoots::of_folder(&folder));
        }
        Self { proxies: Arc::new(Proxies::of_process()), roots: named.map(Arc::new) }
    }

    /// The certificates that are trusted.
    pub fn trusted(&self) -> TrustRoots {
        self.roots.as_ref().map_or_else(TrustRoots::of_system, |roots| roots.as_ref().clone())
    }
}
