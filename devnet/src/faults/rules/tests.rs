use super::*;
use crate::endpoint::Role;

#[test]
fn rules_skip_count_and_end() {
    let faults = Faults::new(0);
    let id = faults.add(Fault::drop_before().on(Endpoint::Lease).skip(1).times(2));
    let hits = |endpoint| faults.select(Some(endpoint), "/tasks").len();
    assert_eq!(hits(Endpoint::Heartbeat), 0);
    assert_eq!([1, 2, 3, 4].map(|_| hits(Endpoint::Lease)), [0, 1, 1, 0]);
    assert_eq!(faults.hits(id), Some(2));
    faults.clear();
    assert_eq!(faults.hits(id), None);
}

#[test]
fn probability_follows_from_the_seed() {
    let run = |seed| {
        let faults = Faults::new(seed);
        faults.add(Fault::answer(503, "").on_role(Role::Dms).probability(0.5));
        (0..64).map(|_| faults.select(Some(Endpoint::Lease), "").len()).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    let hits: usize = run(7).into_iter().sum();
    assert!((10..=54).contains(&hits), "about half of 64 requests should be hit, not {hits}");
}
