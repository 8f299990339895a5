//! Whether what is selected by labels and names in the rendered manifests is what is meant: a selector that matches nothing is
//! no error for Kubernetes.

use serde_json::{Value, json};

use super::resource::{at, list, of_kind};

/// The pods of the cluster's DNS.
const DNS_NAMESPACE: (&str, &str) = ("kubernetes.io/metadata.name", "kube-system");
const DNS_PODS: (&str, &str) = ("k8s-app", "kube-dns");

/// What is selected wrongly in these resources, in words; nothing when all is well.
pub(super) fn faults(resources: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(set) = of_kind(resources, "StatefulSet").next() else {
        return vec!["there is no StatefulSet".to_owned()];
    };
    let labels = at(set, "/spec/template/metadata/labels");
    // Where each kind has the labels of the node's pods.
    let selectors = [
        ("StatefulSet", "/spec/selector/matchLabels"),
        ("StatefulSet", "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels"),
        ("Service", "/spec/selector"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ("PodMonitor", "/spec/selector/matchLabels"),
    ];
    for (kind, place) in selectors {
        for resource in of_kind(resources, kind) {
            if !selects(at(resource, place), labels) {
                faults.push(format!("{kind}: {place} does not select the node's pods"));
            }
        }
    }
    let mut same = |what: &str, one: &Value, other: &Value| {
        if !one.is_string() || one != other {
            faults.push(format!("{what} is {one} and not {other}"));
        }
    };
    for service in of_kind(resources, "Service") {
        same("serviceName", at(set, "/spec/serviceName"), at(service, "/metadata/name"));
    }
    for scaled in of_kind(resources, "ScaledObject") {
        same("scaleTargetRef", at(scaled, "/spec/scaleTargetRef/name"), at(set, "/metadata/name"));
    }
    for monitor in of_kind(resources, "PodMonitor") {
        let port = at(monitor, "/spec/podMetricsEndpoints/0/port");
        if !list(set, "/spec/template/spec/containers/0/ports").iter().any(|one| at(one, "/name") == port) {
            faults.push(format!("PodMonitor: the pods have no port {port}"));
        }
    }
    for policy in of_kind(resources, "NetworkPolicy") {
        if !list(policy, "/spec/egress").iter().any(resolves_names) {
            faults.push("NetworkPolicy: no rule lets the pods ask the cluster's DNS".to_owned());
        }
    }
    faults
}

/// Whether a rule for what goes out is the one for the cluster's DNS, by both protocols, and for its pods alone.
fn resolves_names(rule: &Value) -> bool {
    let labels = |(name, value): (&str, &str)| json!({"matchLabels": {name: value}});
    let dns = json!({"namespaceSelector": labels(DNS_NAMESPACE), "podSelector": labels(DNS_PODS)});
    let ports = ["UDP", "TCP"].map(|protocol| json!({"protocol": protocol, "port": 53}));
    list(rule, "/to").contains(&dns) && ports.iter().all(|port| list(rule, "/ports").contains(port))
}

/// Whether a selector names at least one label, and only labels that are there.
fn selects(selector: &Value, labels: &Value) -> bool {
    let has = |(name, value): (&String, &Value)| labels.get(name) == Some(value);
    selector.as_object().is_some_and(|selector| !selector.is_empty() && selector.iter().all(has))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn resources() -> Vec<Value> {
        let labels = json!({"app": "node"});
        let selector = json!({"matchLabels": labels});
        let dns = json!({
            "to": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        });
        vec![
            json!({"kind": "StatefulSet", "metadata": {"name": "node"}, "spec": {
                "serviceName": "node", "selector": selector,
                "template": {"metadata": {"labels": labels}, "spec": {
                    "topologySpreadConstraints": [{"labelSelector": selector}],
                    "containers": [{"ports": [{"name": "status"}]}],
                }},
            }}),
            json!({"kind": "Service", "metadata": {"name": "node"}, "spec": {"selector": labels}}),
            json!({"kind": "PodDisruptionBudget", "metadata": {"name": "node"}, "spec": {"selector": selector}}),
            json!({"kind": "NetworkPolicy", "metadata": {"name": "node"},
                   "spec": {"podSelector": selector, "egress": [dns]}}),
            json!({"kind": "PodMonitor", "metadata": {"name": "node"},
                   "spec": {"selector": selector, "podMetricsEndpoints": [{"port": "status"}]}}),
            json!({"kind": "ScaledObject", "spec": {"scaleTargetRef": {"name": "node"}}}),
        ]
    }

    #[test]
    fn a_label_that_is_added_to_the_selector_of_the_dns_is_found() {
        assert_eq!(faults(&resources()), Vec::<String>::new());
        let mut broken = resources();
        broken[3]["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"]["app"] = json!("node");
        assert_eq!(faults(&broken), ["NetworkPolicy: no rule lets the pods ask the cluster's DNS"]);
    }

    #[test]
    fn a_selector_that_is_empty_or_names_another_label_is_found() {
        for (at, place) in [
            (0, "/spec/selector/matchLabels"),
            (1, "/spec/selector"),
            (2, "/spec/selector/matchLabels"),
            (3, "/spec/podSelector/matchLabels"),
            (4, "/spec/selector/matchLabels"),
        ] {
            for wrong in [json!({}), json!({"app": "other"}), Value::Null] {
                let mut broken = resources();
                if let Some(selector) = broken[at].pointer_mut(place) {
                    *selector = wrong;
                }
                let found = faults(&broken);
                assert!(
                    found.len() == 1 && found[0].contains(&format!("{place} does not select")),
                    "{found:?}"
                );
            }
        }
    }

    #[test]
    fn a_name_that_nothing_has_is_found() {
        for (at, place) in [
            (0, "/spec/serviceName"),
            (4, "/spec/podMetricsEndpoints/0/port"),
            (5, "/spec/scaleTargetRef/name"),
        ] {
            let mut broken = resources();
            if let Some(name) = broken[at].pointer_mut(place) {
                *name = json!("other");
            }
            assert_eq!(faults(&broken).len(), 1, "{place}");
        }
    }
}
