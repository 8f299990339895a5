//! Traces of tasks, as a collector of OpenTelemetry gets them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use posemesh_devnet::TaskStatus;
use posemesh_http_mock::{MockServer, Reply};
use posemesh_tests::guests::{COPY, PANIC};
use posemesh_tests::{NodeProcess, Scene};
use prost::Message as _;
use serde_json::{Value, json};

/// A collector that takes everything.
async fn collector() -> MockServer {
    MockServer::start(|request, _| match request.path() {
        "/otlp/v1/traces" => Reply::bytes("application/x-protobuf", ""),
        _ => Reply::status(404),
    })
    .await
}

fn requests(collector: &MockServer) -> Vec<ExportTraceServiceRequest> {
    let bodies = collector.requests().into_iter().map(|request| request.body);
    bodies.map(|body| ExportTraceServiceRequest::decode(body).expect("OTLP")).collect()
}

fn spans(collector: &MockServer) -> Vec<Span> {
    let resources = requests(collector).into_iter().flat_map(|request| request.resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &AnyValue| match value {
        AnyValue::StringValue(text) => text.clone(),
        AnyValue::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |one: &KeyValue| one.value.as_ref()?.value.as_ref().map(text);
    attributes.iter().filter_map(|one| Some((one.key.clone(), value(one)?))).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// Has a task done, and ends the node, which sends what is left.
async fn one_task(scene: &Scene, capability: &str, inputs: Value, meta: Value) -> (NodeProcess, TaskStatus) {
    let mut node = scene.node();
    let task = json!({
        "label": "t", "stage": "t", "capability": capability, "mode": "public", "max_attempts": 1,
        "inputs_cids": inputs, "outputs_prefix": "out", "meta": meta,
    });
    let job = json!({"label": "traced", "tasks": [task]});
    let task = scene.devnet.submit_job(job).expect("a job").tasks[0];
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    (node, ended.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_one_trace_from_its_lease_to_its_end_in_the_trace_of_its_submitter() {
    let collector = collector().await;
    let scene = Scene::new()
        .await
        .serving(COPY)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url().join("otlp/").expect("an address"))
        .set("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2hunter2")
        .set("OTEL_SERVICE_NAME", "node of a test")
        .set("RUST_LOG", "info")
        .set("LOG_FORMAT", "json");
    let input = scene.devnet.put_data("scan", "bin", vec![7; 3 << 20]).await.expect("stored");
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let meta = json!({"traceparent": format!("00-{trace}-{parent}-01"), "x": "\u{e9}"});
    let inputs = json!([scene.devnet.data_url(input)]);
    let (node, _) = one_task(&scene, COPY.capability, inputs, meta).await;

    let all = spans(&collector);
    let task = named(&all, "task");
    assert_eq!(task.len(), 1, "{all:#?}\n{}", node.log());
    let root = task[0];
    assert_eq!(
        (hex::encode(&root.trace_id), hex::encode(&root.parent_span_id)),
        (trace.into(), parent.into())
    );
    let attributes = texts(&root.attributes);
    assert_eq!(attributes["capability"], COPY.capability);
    assert_eq!(attributes["outcome"], "completed");
    assert_eq!(attributes["runner"], "copy 0.1.0 #1");
    assert!(attributes.contains_key("task_id") && attributes.contains_key("job_id"), "{attributes:?}");
    for name in ["heartbeat", "download", "guest", "upload", "report"] {
        let found = named(&all, name);
        assert!(!found.is_empty(), "no {name} in {all:#?}");
        for span in found {
            assert_eq!((&span.trace_id, &span.parent_span_id), (&root.trace_id, &root.span_id), "{name}");
            assert!(span.start_time_unix_nano >= root.start_time_unix_nano, "{name}");
            assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{name}");
        }
    }
    for name in ["download", "upload"] {
        assert_eq!(texts(&named(&all, name)[0].attributes)["bytes"], (3 << 20).to_string(), "{name}");
    }
    assert_eq!(texts(&named(&all, "report")[0].attributes)["kind"], "complete");
    let resource = requests(&collector)[0].resource_spans[0].resource.clone().expect("who sends it");
    let resource = texts(&resource.attributes);
    assert_eq!(resource["service.name"], "node of a test");
    assert!(resource.contains_key("service.version") && resource.contains_key("host.name"));
    for request in collector.requests() {
        assert_eq!(request.header("authorization"), "Bearer hunter2hunter2");
    }

    // The log is as it is without traces: each line about a task says which.
    let log = node.log();
    assert!(!log.contains("hunter2"), "{log}");
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let about = |message: &str| lines.iter().find(|line| line["message"] == message).cloned();
    for message in ["leased", "running", "lease completed"] {
        let line = about(message).unwrap_or_else(|| panic!("no {message} in {log}"));
        assert!(line["span"]["task_id"].is_string() && line["span"]["name"] == "task", "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_task_says_why_and_is_traced_though_nothing_is_logged() {
    let collector = collector().await;
    let scene = Scene::new()
        .await
        .serving(PANIC)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url().join("otlp").expect("an address"))
        .set("RUST_LOG", "off");
    let meta = json!({"traceparent": "not one at all"});
    let (node, _) = one_task(&scene, PANIC.capability, json!([]), meta).await;
    let all = spans(&collector);
    let task = named(&all, "task");
    assert_eq!(task.len(), 1, "{all:#?}\n{}", node.log());
    assert!(task[0].parent_span_id.is_empty(), "a trace of its own: {:?}", task[0]);
    assert_eq!(texts(&task[0].attributes)["outcome"], "failed");
    let status = task[0].status.clone().expect("a status");
    assert_eq!(status.code, StatusCode::Error as i32);
    assert!(status.message.contains("panicked"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_costs_spans_and_one_line_and_wrong_settings_are_told() {
    // As some do that want to help, it says what it was sent.
    let refusing = MockServer::start(|request, _| {
        Reply::text(401, format!("who are you?\u{1b}[2J {}", request.header("authorization")))
    })
    .await;
    let scene = Scene::new()
        .await
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.url())
        .set("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2hunter2");
    // Its runner refuses parameters that it does not know; the trace is none.
    let meta =
        json!({"sleep_ms": 0, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"});
    let (node, status) = one_task(&scene, posemesh_tests::NOOP, json!([]), meta).await;
    assert_eq!(status, TaskStatus::Completed, "{}", node.log());
    let log = node.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("traces can't be delivered")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("it answered 401"), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains("hunter2"), "{log}");

    for (name, value, said) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317", "4317 is the port for gRPC"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "allowed: an http or https URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/?key=hunter2", "without query and fragment"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://127.0.0.1:4318/v1/traces",
            "or as OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:4318", "set ALLOW_INSECURE_HTTP=true"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://192.0.2.1:4318/x", "set ALLOW_INSECURE_HTTP=true"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "header 1: it is not NAME=VALUE"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "numbers from 0 to 1"),
    ] {
        let mut variables = scene.variables.clone();
        variables.insert(name.to_owned(), value.to_owned());
        let mut node = NodeProcess::run(&variables);
        assert_eq!(node.wait().await, 2, "{name}={value}: {}", node.log());
        assert!(node.log().contains(said), "{name}={value}: {}", node.log());
        assert!(!node.log().contains("hunter2"), "{}", node.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_takes_only_some_spans_or_is_none_of_otlp_is_told_and_so_are_variables_without_effect()
{
    let some = ExportTracePartialSuccess { rejected_spans: 2, error_message: "hunter2".to_owned() };
    let some = ExportTraceServiceResponse { partial_success: Some(some) }.encode_to_vec();
    for (answer, said) in [
        (some, "it rejected 2 spans of a request"),
        (b"<html>hunter2, please log in</html>".to_vec(), "its answer is not OTLP"),
    ] {
        let collector = MockServer::start(move |request, _| match request.path() {
            "/as/it/is" => Reply::bytes("application/x-protobuf", answer.clone()),
            _ => Reply::status(404),
        })
        .await;
        let scene = Scene::new()
            .await
            .set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://192.0.2.1")
            .set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url().join("as/it/is").expect("an address"))
            .set("OTEL_EXPORTER_OTLP_PROTOCOL", "hunter2");
        let meta = json!({"sleep_ms": 0});
        let (node, status) = one_task(&scene, posemesh_tests::NOOP, json!([]), meta).await;
        let log = node.log();
        assert_eq!(status, TaskStatus::Completed, "{log}");
        assert!(!spans(&collector).is_empty(), "the whole address wins, and is used as it is: {log}");
        let told: Vec<_> = log.lines().filter(|line| line.contains("traces can't be delivered")).collect();
        assert_eq!(told.len(), 1, "{log}");
        assert!(told[0].contains(said), "{log}");
        assert!(log.contains("the node does not read OTEL_EXPORTER_OTLP_PROTOCOL"), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}
