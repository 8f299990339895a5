use super::*;

fn settings(memory_bytes: Option<u64>) -> LimitSettings {
    LimitSettings { memory_bytes, ..Default::default() }
}

fn memory(asked: Option<u64>, set: Option<u64>, maximum: u64) -> (u64, Vec<ReducedLimit>) {
    let maximum = Limits { memory_bytes: maximum, ..Limits::node_maximum() };
    let (granted, reduced) = Limits::grant(&settings(asked), &settings(set), &maximum, &Limits::default());
    (granted.memory_bytes, reduced)
}

#[test]
fn what_counts_is_the_smaller_of_asked_and_allowed_and_the_difference_is_reported() {
    let (granted, reduced) = memory(Some(200), Some(100), 1000);
    assert_eq!(granted, 100);
    let reported = ReducedLimit {
        limit: Limit::MemoryBytes,
        source: "describe",
        wanted: 200,
        granted: 100,
        by: "NAME.toml",
    };
    assert_eq!(reduced, [reported]);
    assert_eq!(memory(Some(5), Some(100), 1000), (5, vec![]), "less than allowed is what was asked");
}

#[test]
fn nothing_passes_the_nodes_maximum_and_the_loser_is_reported() {
    let (granted, reduced) = memory(Some(5000), None, 1000);
    assert_eq!((granted, reduced.len()), (1000, 1));
    assert_eq!(reduced.first().map(|one| one.by), Some("RUNNER_MAX_MEMORY_BYTES"));
    let (granted, reduced) = memory(None, Some(2000), 1000);
    assert_eq!((granted, reduced.len()), (1000, 1));
    assert_eq!(reduced.first().map(|one| one.source), Some("NAME.toml"));
}

#[test]
fn without_a_wish_the_operators_setting_counts_and_then_the_default() {
    assert_eq!(
        memory(None, Some(GIB), 4 * GIB),
        (GIB, vec![]),
        "more than the default, as the operator says"
    );
    assert_eq!(memory(None, None, 4 * GIB), (Limits::default().memory_bytes, vec![]));
    assert_eq!(memory(None, None, 7), (7, vec![]), "nobody asked, so nothing is reported");
}

#[test]
fn a_longer_deadline_brings_the_processor_time_for_it() {
    let asked = LimitSettings { deadline_ms: Some(90 * MINUTE), ..Default::default() };
    let (granted, _) =
        Limits::grant(&asked, &LimitSettings::default(), &Limits::node_maximum(), &Limits::default());
    assert_eq!(granted.cpu_time_ms, 90 * MINUTE);
}

#[test]
fn every_limit_has_a_variable_named_after_it_and_a_default_below_its_maximum() {
    let (defaults, mut count) = (Limits::default(), 0);
    let _ = Limits::node_maximum().map(|limit, maximum| {
        count += 1;
        let (name, default) = (limit.as_str(), defaults.get(limit));
        assert_eq!(limit.variable(), format!("RUNNER_MAX_{}", name.to_uppercase()));
        assert_eq!(limit.unit() == LimitUnit::Bytes, name.ends_with("_bytes"));
        assert_eq!(limit.unit() == LimitUnit::Millis, name.ends_with("_ms"));
        assert!(default <= maximum, "{name}: {default} <= {maximum}");
        maximum
    });
    assert_ne!(count, 0, "the limits are gone through");
}
