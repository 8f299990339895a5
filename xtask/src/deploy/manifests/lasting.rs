//! What an update of the manifests, or of a pod, must not undo.

use serde_json::Value;

use super::resource::{at, of_kind};

const REPLICAS: &str = "/spec/replicas";

/// What would be undone, in words; nothing when all is well.
pub(super) fn faults(resources: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for set in of_kind(resources, "StatefulSet") {
        if !at(set, REPLICAS).is_null() {
            faults.push("StatefulSet: an apply with replicas undoes what has scaled it".to_owned());
        }
    }
    faults
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replicas_are_left_to_whoever_scales() {
        let mut resources = vec![json!({"kind": "StatefulSet", "spec": {}})];
        assert_eq!(faults(&resources), Vec::<String>::new());
        resources[0]["spec"]["replicas"] = json!(1);
        assert_eq!(faults(&resources).len(), 1);
    }
}
