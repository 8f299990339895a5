//! A login with DDS that registers nothing, and whether DMS takes the token of it. No lease is asked for.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use posemesh_net::http::{bearer, client_builder};
use posemesh_net::secret::Secret;
use posemesh_net::url::join;
use posemesh_runner_api::json_text::JsonText;
use reqwest::StatusCode;
use uuid::Uuid;

use super::finding::{Area, Finding, Report};
use crate::auth::dds::{DdsCall, DdsError};
use crate::auth::identity::Identity;
use crate::auth::{AuthError, MachineAuth};
use crate::config::Config;
use crate::dms::{DmsClient, JobServer as _, JobServerErrorKind};
use crate::registration::dry_login;

/// The token, if DDS gives one.
pub(super) async fn with_dds(config: &Config, report: Report<'_>) -> Option<Secret> {
    match dry_login(&config.membership).await {
        Ok(granted) => {
            let untried = match config.membership.identity {
                Identity::Wallet { .. } => {
                    "; whether it takes REG_SECRET is seen at a registration only, which was not tried"
                }
                Identity::Robot { .. } => "",
            };
            report(Finding::ok(Area::Dds, format_args!("DDS knows this node and gives it a token{untried}")));
            Some(granted.token)
        }
        Err(error) => {
            report(refused(&error));
            None
        }
    }
}

fn refused(error: &DdsError) -> Finding {
    let is_unknown = [DdsCall::Verify, DdsCall::VerifyRobot]
        .into_iter()
        .any(|call| error.answered(call, &[401, 403, 404, 410]));
    if is_unknown {
        return Finding::warning(
            Area::Dds,
            format_args!("DDS gives this node no token: {error}"),
            "a node that has never run is registered when it starts; of one that has, is this the right key, and is the \
             node registered with this DDS? Whether DDS takes REG_SECRET is seen at registration only",
        );
    }
    let cure = match error {
        // Says what helps.
        DdsError::Refused(_) => "",
        DdsError::Status { .. } | DdsError::Answer { .. } => {
            "is DDS_BASE_URL the address of a DDS, and is DDS well?"
        }
        _ => "",
    };
    Finding::error(Area::Dds, format_args!("the login with DDS failed: {error}"), cure)
}

/// Sends a heartbeat for a task that nobody has: DMS says that it knows of no such lease, or that it does not take the token.
pub(super) async fn with_dms(config: &Config, token: Secret, report: Report<'_>) {
    let auth = Arc::new(OneToken(token.clone()));
    let dms = match DmsClient::new(config.dms_base_url.clone(), config.request_timeout, auth) {
        Ok(dms) => dms,
        Err(error) => {
            report(Finding::error(Area::Dms, error, ""));
            return;
        }
    };
    let error = match dms.heartbeat(Uuid::new_v4(), &JsonText::default(), &[]).await {
        Ok(_) => {
            report(Finding::warning(
                Area::Dms,
                "DMS extends a lease that nobody has",
                "is DMS_BASE_URL the address of a DMS?",
            ));
            return;
        }
        Err(error) => error,
    };
    report(match error.kind {
        // Anything may stand at a wrong address and say that of any path.
        JobServerErrorKind::PerhapsLost if has_no_jobs(config, &token).await => Finding::error(
            Area::Dms,
            "DMS_BASE_URL leads to a server that answers 404 to whatever a job server has below it",
            "is it the address of a DMS, and is its path whole (`/v1`)?",
        ),
        JobServerErrorKind::Lost | JobServerErrorKind::PerhapsLost => {
            Finding::ok(Area::Dms, "DMS takes the token")
        }
        JobServerErrorKind::Unauthorized => Finding::error(
            Area::Dms,
            "DMS does not take the token that DDS gave",
            "do DMS_BASE_URL and DDS_BASE_URL belong together?",
        ),
        _ => Finding::error(
            Area::Dms,
            format_args!("DMS answers in a way that a DMS does not: {error}"),
            "is DMS_BASE_URL the address of a DMS, with its path (`/v1`), and is DMS well?",
        ),
    });
}

/// Whether there is nothing at the path of jobs either. A job server answers something else there, though it shows no jobs to
/// a node.
async fn has_no_jobs(config: &Config, token: &Secret) -> bool {
    let (Ok(authorization), Ok(client)) =
        (bearer(token), client_builder().timeout(config.request_timeout).build())
    else {
        return false;
    };
    let url = join(&config.dms_base_url, &["jobs"]);
    let answer = client.get(url).header(AUTHORIZATION, authorization).send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND)
}

/// Has one token, and never another.
struct OneToken(Secret);

#[async_trait]
impl MachineAuth for OneToken {
    async fn bearer(&self) -> Result<Secret, AuthError> {
        Ok(self.0.clone())
    }

    fn on_unauthorized(&self, _refused: &Secret) {}
}
