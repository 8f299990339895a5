//! What an update of the manifests, or of a pod, must not undo.

use serde_json::Value;

use super::resource::{at, list, of_kind};

const NODE: &str = "/spec/template/spec/containers/0";
/// The folders with what outlives a process.
const KEPT: [&str; 3] = ["WORK_DIR", "DATA_DIR", "CACHE_DIR"];

/// What would be undone, in words; nothing when all is well.
pub(super) fn faults(resources: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for set in of_kind(resources, "StatefulSet") {
        if !at(set, "/spec/replicas").is_null() {
            faults.push("StatefulSet: an apply with replicas undoes what has scaled it".to_owned());
        }
        let node = at(set, NODE);
        for name in KEPT {
            if let Err(fault) = is_kept(set, node, name) {
                faults.push(format!("StatefulSet: {name} {fault}"));
            }
        }
    }
    faults
}

/// Whether the folder that a variable of the node names is one of a claim that an init container has made there.
fn is_kept(set: &Value, node: &Value, name: &str) -> Result<(), String> {
    let variable = list(node, "/env").iter().find(|one| at(one, "/name") == name);
    let folder = variable.and_then(|one| at(one, "/value").as_str()).ok_or("is not set")?;
    let mount = list(node, "/volumeMounts").iter().find(|mount| at(mount, "/mountPath") == folder);
    let mount = mount.ok_or_else(|| format!("is {folder}, where nothing is mounted"))?;
    let volume = at(mount, "/name");
    let claims = list(set, "/spec/volumeClaimTemplates");
    if !claims.iter().any(|claim| at(claim, "/metadata/name") == volume) {
        return Err(format!("is on the volume {volume}, which goes with the pod"));
    }
    let part =
        at(mount, "/subPath").as_str().ok_or("is the root of its volume, which is its group's, too")?;
    let made = list(set, "/spec/template/spec/initContainers").iter().any(|init| {
        let mounts = list(init, "/volumeMounts").iter().filter(|mount| at(mount, "/name") == volume);
        let folders =
            mounts.filter_map(|mount| Some(format!("{}/{part}", at(mount, "/mountPath").as_str()?)));
        let script = list(init, "/command").last().and_then(Value::as_str).unwrap_or_default();
        let words = |folder: &str| script.split_whitespace().filter(|word| *word == folder).count();
        // Made, and closed to others.
        folders.map(|folder| words(&folder)).any(|times| times == 2)
    });
    if made {
        Ok(())
    } else {
        Err(format!("is {part} of its volume, which nobody makes and closes to others"))
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resources() -> Vec<Value> {
        let folders = ["work", "data", "cache"];
        let mount = |part: &str| json!({"name": "state", "mountPath": format!("/{part}"), "subPath": part});
        let variable =
            |part: &str| json!({"name": format!("{}_DIR", part.to_uppercase()), "value": format!("/{part}")});
        let script = "mkdir /s/work /s/data /s/cache && chmod 0700 /s/work /s/data /s/cache";
        vec![json!({"kind": "StatefulSet", "spec": {
            "template": {"spec": {
                "initContainers": [{"command": ["sh", "-c", script],
                                    "volumeMounts": [{"name": "state", "mountPath": "/s"}]}],
                "containers": [{"env": folders.map(variable), "volumeMounts": folders.map(mount)}],
            }},
            "volumeClaimTemplates": [{"metadata": {"name": "state"}}],
        }})]
    }

    #[test]
    fn what_outlives_a_process_lies_on_a_claim() {
        assert_eq!(faults(&resources()), Vec::<String>::new());
        for (place, wrong, what) in [
            ("/spec/replicas", json!(1), "undoes what has scaled it"),
            ("/spec/volumeClaimTemplates", json!([]), "goes with the pod"),
            ("/spec/template/spec/initContainers", json!([]), "nobody makes"),
            ("/spec/template/spec/containers/0/volumeMounts", json!([]), "where nothing is mounted"),
            ("/spec/template/spec/containers/0/volumeMounts/0/subPath", Value::Null, "WORK_DIR is the root"),
            ("/spec/template/spec/containers/0/env", json!([]), "is not set"),
        ] {
            let mut broken = resources();
            broken[0]["spec"]["replicas"] = Value::Null;
            if let Some(there) = broken[0].pointer_mut(place) {
                *there = wrong;
            }
            let found = faults(&broken);
            assert!(found.iter().any(|fault| fault.contains(what)), "{place}: {found:?}");
        }
    }
}
