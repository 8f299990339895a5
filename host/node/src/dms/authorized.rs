//! The rule for 401 (protocol 3.1), and when a request is sent: once, for every way to reach a job server.

use http::StatusCode;
use posemesh_net::secret::Secret;
use tokio::time::Instant;

use crate::auth::MachineAuth;
use crate::dms::call::DmsCall;
use crate::dms::error::JobServerError;

/// An answer, whatever its status, and when its request was sent.
pub(crate) struct Sent<R> {
    pub(crate) answer: R,
    /// A lease counts from here. Not from when the call was made: the wait for a machine token can be longer than a lease.
    pub(crate) at: Instant,
}

/// Sends with a machine token. What is answered 401 is sent once more with another token.
///
/// # Errors
/// When there is no token, and those of `send`.
pub(crate) async fn send_authorized<R, F>(
    auth: &dyn MachineAuth,
    call: DmsCall,
    send: impl Fn(Secret) -> F + Send + Sync,
    status: impl Fn(&R) -> StatusCode + Send + Sync,
) -> Result<Sent<R>, JobServerError>
where
    R: Send,
    F: Future<Output = Result<R, JobServerError>> + Send,
{
    // Asked for with each call and kept nowhere: it may have been renewed since the last one.
    let mut token = bearer(auth, call).await?;
    let mut at = Instant::now();
    let mut answer = send(token.clone()).await?;
    if status(&answer) == StatusCode::UNAUTHORIZED {
        if call == DmsCall::Lease {
            tracing::warn!(endpoint = %call, status = 401, "DMS lease unauthorized; logging in again");
        } else {
            tracing::warn!(endpoint = %call, status = 401, "DMS refused the machine token; logging in again");
        }
        // By the refused token: if another call has brought a new one meanwhile, that one must not be dropped.
        auth.on_unauthorized(&token);
        token = bearer(auth, call).await?;
        at = Instant::now();
        answer = send(token.clone()).await?;
    }
    // Others prove less: a proxy answers 404 or 503 whatever the token is. A 409 is about the node's own leases.
    let status = status(&answer);
    if status.is_success() || status == StatusCode::CONFLICT {
        auth.on_accepted(&token);
    }
    // DMS does not know the node: the registration is lost (protocol 1.5).
    if status == StatusCode::FORBIDDEN && call == DmsCall::Lease {
        auth.on_forbidden();
    }
    Ok(Sent { answer, at })
}

async fn bearer(auth: &dyn MachineAuth, call: DmsCall) -> Result<Secret, JobServerError> {
    auth.bearer().await.map_err(|error| JobServerError::auth(call, &error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use tokio::time::sleep;

    use super::*;
    use crate::auth::AuthError;

    const LOGIN: Duration = Duration::from_secs(20);

    /// Each token takes a login.
    #[derive(Default)]
    struct SlowAuth {
        tokens: Mutex<u32>,
        said: Mutex<Vec<String>>,
    }

    impl SlowAuth {
        fn note(&self, what: &str, token: &Secret) {
            self.said.lock().unwrap().push(format!("{what} {}", token.expose()));
        }
    }

    #[async_trait]
    impl MachineAuth for SlowAuth {
        async fn bearer(&self) -> Result<Secret, AuthError> {
            sleep(LOGIN).await;
            let mut tokens = self.tokens.lock().unwrap();
            *tokens += 1;
            Ok(Secret::new(tokens.to_string()))
        }

        fn on_unauthorized(&self, refused: &Secret) {
            self.note("refused", refused);
        }

        fn on_accepted(&self, token: &Secret) {
            self.note("accepted", token);
        }

        fn on_forbidden(&self) {
            self.said.lock().unwrap().push("forbidden".to_owned());
        }
    }

    /// Answers with these statuses. Returns how long after the call the request was sent that was answered last, that
    /// status, and what the tokens' owner was told.
    async fn answered(call: DmsCall, statuses: [u16; 2]) -> (Duration, u16, String) {
        let (auth, began) = (SlowAuth::default(), Instant::now());
        let send = |token: Secret| async move {
            let number: usize = token.expose().parse().unwrap();
            sleep(Duration::from_secs(1)).await;
            Ok(StatusCode::from_u16(statuses[number - 1]).unwrap())
        };
        let sent = send_authorized(&auth, call, send, |status| *status).await.unwrap();
        let said = auth.said.lock().unwrap().join(", ");
        (sent.at - began, sent.answer.as_u16(), said)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_from_its_request_and_not_from_the_wait_for_a_token() {
        assert_eq!(answered(DmsCall::Lease, [200, 0]).await, (LOGIN, 200, "accepted 1".to_owned()));
        let second = 2 * LOGIN + Duration::from_secs(1);
        let said = "refused 1, accepted 2".to_owned();
        assert_eq!(answered(DmsCall::Lease, [401, 204]).await, (second, 204, said));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_tried_once_more_and_a_403_is_about_the_node_when_it_asks_for_work() {
        let (_, status, said) = answered(DmsCall::Lease, [401, 401]).await;
        assert_eq!((status, said.as_str()), (401, "refused 1"));
        let (_, _, said) = answered(DmsCall::Lease, [403, 0]).await;
        assert_eq!(said, "forbidden");
        let (_, _, said) = answered(DmsCall::Fail(uuid::Uuid::nil()), [403, 0]).await;
        assert_eq!(said, "", "a lease may be another node's");
        let (_, _, said) = answered(DmsCall::Lease, [409, 0]).await;
        assert_eq!(said, "accepted 1");
    }
}
