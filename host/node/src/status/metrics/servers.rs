//! The servers that the node depends on.

use std::time::{SystemTime, UNIX_EPOCH};

use posemesh_net::meter::{self, Peer, PeerView};

use super::catalog::{
    CLOCK_SKEW, DOMAIN_RECEIVED, DOMAIN_SENT, LOGINS, REGISTRATIONS, REQUEST_DURATION, REQUESTS, RETRIES,
    TOKEN_EXPIRY,
};
use super::text::MetricsText;
use crate::meters;
use crate::status::sources::StatusSources;

pub(super) fn write(out: &mut MetricsText, sources: &StatusSources) {
    let peers: [(&str, PeerView); 3] = Peer::ALL.map(|peer| (peer.as_str(), meter::view(peer)));
    let requests = peers.iter().flat_map(|(peer, view)| {
        // Of the many statuses only those that have come, but what is alerted on is there before it happens.
        let shown = view
            .results
            .iter()
            .filter(|(result, n)| *n > 0 || ["200", "5xx", "no_connection", "no_answer"].contains(result));
        shown.map(|(result, n)| ([*peer, *result], *n))
    });
    out.family(&REQUESTS, requests);
    out.histograms(&REQUEST_DURATION, peers.iter().map(|(peer, view)| ([*peer], view.times.clone())));
    out.family(&RETRIES, peers.iter().map(|(peer, view)| ([*peer], view.retries)));
    let skews = peers.iter().filter_map(|(peer, view)| Some(([*peer], view.skew_seconds?)));
    out.family(&CLOCK_SKEW, skews);
    let totals = sources.records.totals();
    out.one(&DOMAIN_RECEIVED, totals.bytes_in);
    out.one(&DOMAIN_SENT, totals.bytes_out);
    out.family(&REGISTRATIONS, meters::REGISTRATIONS.view().map(|(result, n)| ([result], n)));
    out.family(&LOGINS, meters::LOGINS.view().map(|(result, n)| ([result], n)));
    let valid_for = (sources.readiness.token)().valid_for;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // To the second, since it is worked out anew each time.
    out.one(&TOKEN_EXPIRY, valid_for.map_or(0.0, |left| (now + left).as_secs_f64().round()));
}
