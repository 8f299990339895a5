//! Looks into rendered manifests.

use serde_json::Value;

/// What is at this place of a resource; `null` if there is nothing.
pub(super) fn at<'a>(resource: &'a Value, place: &str) -> &'a Value {
    resource.pointer(place).unwrap_or(&Value::Null)
}

/// The list at this place of a resource; empty if there is none.
pub(super) fn list<'a>(resource: &'a Value, place: &str) -> &'a [Value] {
    at(resource, place).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The resources of a kind.
pub(super) fn of_kind<'a>(resources: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    resources.iter().filter(move |resource| at(resource, "/kind") == kind)
}
