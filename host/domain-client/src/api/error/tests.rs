#![allow(clippy::unwrap_used)]

use super::*;

fn of_status(status: StatusCode) -> DomainError {
    let (what, detail) = ("storing", String::new());
    DomainError::Status { what, status, detail, retry_after: None, attempt: 1, reads: false }
}

#[test]
fn a_failure_is_blamed_on_the_server_the_host_the_task_or_the_runner() {
    let what = "storing";
    for status in [401, 403, 408, 429, 500, 502, 503, 504, 501, 307, 405] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(PortError::from(of_status(status)).blame, Blame::Server, "{status}");
    }
    let cause = || "refused".to_owned();
    for (error, blame) in [
        (DomainError::Transport { what, cause: cause() }, Blame::Server),
        (DomainError::BadAnswer { what, why: cause() }, Blame::Server),
        (DomainError::Cut(cause()), Blame::Server),
        (DomainError::Certificate { what, cause: cause(), trusts_nobody: false }, Blame::Server),
        (DomainError::Certificate { what, cause: cause(), trusts_nobody: true }, Blame::Host),
        (DomainError::NoSocket { what, cause: cause() }, Blame::Host),
        (DomainError::Spool("No space left on device".to_owned()), Blame::Host),
        (DomainError::Cid(CidError::Empty), Blame::Task),
        (DomainError::NoSuchData(cause()), Blame::Task),
        (of_status(StatusCode::NOT_FOUND), Blame::Server),
        (of_status(StatusCode::CONFLICT), Blame::Task),
        (of_status(StatusCode::BAD_REQUEST), Blame::Runner),
        (DomainError::Limit(cause()), Blame::Runner),
        (DomainError::Disk(DiskFull { bytes: 1, limit: 1 }), Blame::Runner),
        (DomainError::Invalid(cause()), Blame::Runner),
    ] {
        assert_eq!(PortError::from(error.clone()).blame, blame, "{error}");
    }
    assert!(
        is_own_shortage(Errno::MFILE.raw_os_error()) && !is_own_shortage(Errno::CONNREFUSED.raw_os_error())
    );
}

#[test]
fn statuses_become_the_cases_that_a_runner_can_tell_apart() {
    let case = |status| PortError::from(of_status(status));
    assert!(matches!(case(StatusCode::BAD_REQUEST), PortError { kind: PortErrorKind::Invalid, .. }));
    assert!(matches!(case(StatusCode::UNAUTHORIZED), PortError { kind: PortErrorKind::Denied, .. }));
    assert!(matches!(case(StatusCode::FORBIDDEN), PortError { kind: PortErrorKind::Denied, .. }));
    assert!(matches!(case(StatusCode::NOT_FOUND), PortError { kind: PortErrorKind::NotFound, .. }));
    assert!(matches!(case(StatusCode::CONFLICT), PortError { kind: PortErrorKind::Other, .. }));
    assert!(matches!(case(StatusCode::PAYLOAD_TOO_LARGE), PortError { kind: PortErrorKind::Limit, .. }));
    assert!(matches!(
        case(StatusCode::TOO_MANY_REQUESTS),
        PortError { kind: PortErrorKind::Unavailable, .. }
    ));
    assert!(matches!(case(StatusCode::BAD_GATEWAY), PortError { kind: PortErrorKind::Unavailable, .. }));
    assert!(
        matches!(case(StatusCode::FOUND), PortError { kind: PortErrorKind::Other, text, .. } if text.contains("redirects"))
    );
}
