//! Gets the URL in `meta` and stores the answer; fails with the error of the host.
use guests::{Error, failed};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, OutgoingRequest, Scheme};

struct Runner;

impl guests::Guest for Runner {
    fn describe() -> guests::Description {
        let mut description = guests::describe("http");
        // The suite replaces the port by that of its server.
        description.requests.network_hosts = vec!["localhost:65535".into(), "*.example.com".into()];
        description
    }

    fn run(task: guests::Task) -> Result<(), Error> {
        let url = task.meta.trim_matches('"');
        let (authority, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or(Error::InvalidTask("no URL".into()))?;
        let request = OutgoingRequest::new(Fields::new());
        request.set_scheme(Some(&Scheme::Http)).map_err(failed)?;
        request.set_authority(Some(authority)).map_err(failed)?;
        request.set_path_with_query(Some(&format!("/{path}"))).map_err(failed)?;
        let failed_call = |error| Error::Failed(format!("outbound HTTP: {error:?}"));
        let answer = handle(request, None).map_err(failed_call)?;
        answer.subscribe().block();
        let answer =
            answer.get().ok_or(Error::Failed("no answer".into()))?.map_err(failed)?.map_err(failed_call)?;
        let status = answer.status();
        let body = answer.consume().map_err(failed)?;
        let stream = body.stream().map_err(failed)?;
        let mut bytes = Vec::new();
        while let Ok(chunk) = stream.blocking_read(1 << 16) {
            bytes.extend(chunk);
        }
        guests::outputs::put_bytes(&format!("{status}.bin"), &bytes, &guests::plain())?;
        Ok(())
    }
}
guests::export!(Runner with_types_in guests);
