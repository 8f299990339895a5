#![allow(clippy::unwrap_used)]

use super::*;
use crate::manifest::limits::LimitSettings;

fn claim(name: &str, priority: i32, capabilities: &[&str]) -> Claim {
    let capabilities = capabilities.iter().map(|&capability| capability.to_owned()).collect();
    Claim { name: name.to_owned(), priority, capabilities }
}

fn description(version: &str) -> Description {
    Description {
        name: "test".to_owned(),
        version: version.to_owned(),
        summary: String::new(),
        capabilities: vec!["/a".to_owned()],
        limits: LimitSettings::default(),
        network_hosts: Vec::new(),
        environment: Vec::new(),
        directories: Vec::new(),
        meta_schema: None,
        homepage: None,
        license: None,
    }
}

fn observe(memory: &mut RunnerMemory, claims: &[Claim], state: IncumbentState) -> bool {
    memory.observe(claims, |name| Some(format!("digest of {name}")), |_| state)
}

#[test]
fn a_capability_stays_with_who_served_it_until_that_one_has_left() {
    let mut memory = RunnerMemory::default().adopt();
    assert!(observe(&mut memory, &[claim("zeta", 0, &["/a"])], IncumbentState::Settled));
    assert!(!observe(&mut memory, &[claim("zeta", 0, &["/a"])], IncumbentState::Settled), "nothing new");
    // As after a restart.
    let mut memory: RunnerMemory =
        serde_json::from_str::<RunnerMemory>(&serde_json::to_string(&memory).unwrap()).unwrap().adopt();
    let newcomer = |priority| claim("alpha", priority, &["/x", "/a"]);
    for (state, priority, refused) in [
        (IncumbentState::Awaited, 0, true),
        (IncumbentState::Awaited, -1, true),
        (IncumbentState::Awaited, 1, false),
        (IncumbentState::Refused, 0, true),
        (IncumbentState::Refused, -1, false),
        (IncumbentState::Refused, 1, false),
        (IncumbentState::Settled, 0, false),
    ] {
        let reason = memory.reserved(&newcomer(priority), |_| state);
        assert_eq!(reason.is_some(), refused, "{state:?} {priority}: {reason:?}");
        if let Some(reason) = reason {
            for part in ["alpha claims /a", "zeta served before", "remove or disable zeta", "alpha.toml"] {
                assert!(reason.contains(part), "{part:?} is not in {reason:?}");
            }
        }
    }
    assert_eq!(memory.reserved(&claim("zeta", 0, &["/a"]), |_| IncumbentState::Awaited), None, "its own");
    assert!(memory.is_incumbent_of(&claim("zeta", 0, &["/a"])));
    assert!(!memory.is_incumbent_of(&newcomer(0)));
    assert!(memory.forget("zeta") && !memory.forget("zeta"));
    assert_eq!(memory.reserved(&newcomer(0), |_| IncumbentState::Awaited), None);
}

#[test]
fn one_that_stands_in_does_not_become_the_incumbent() {
    let mut memory = RunnerMemory::default().adopt();
    observe(&mut memory, &[claim("main", 5, &["/a"])], IncumbentState::Settled);
    observe(&mut memory, &[claim("spare", 0, &["/a"])], IncumbentState::Refused);
    assert!(memory.reserved(&claim("other", 5, &["/a"]), |_| IncumbentState::Refused).is_some());
    // One that the operator has put above it does.
    observe(&mut memory, &[claim("above", 9, &["/a"])], IncumbentState::Refused);
    assert!(memory.is_incumbent_of(&claim("above", 9, &["/a"])));
    // And who gives a capability up has no right to it any more.
    observe(&mut memory, &[claim("above", 9, &["/b"])], IncumbentState::Settled);
    assert_eq!(memory.reserved(&claim("other", 9, &["/a"]), |_| IncumbentState::Awaited), None);
}

#[test]
fn the_same_bytes_describe_themselves_the_same() {
    let mut memory = RunnerMemory::default().adopt();
    assert_eq!(memory.describe("d1", &description("1.0.0")), Ok(true));
    assert_eq!(memory.describe("d1", &description("1.0.0")), Ok(false));
    assert_eq!(memory.describe("d2", &description("1.0.1")), Ok(true), "other bytes");
    let error = memory.describe("d1", &description("1.0.1")).unwrap_err();
    assert!(error.contains("its bytes are the same"), "{error}");
    let mut other = memory.clone();
    other.node = "0.0.0".to_owned();
    assert_eq!(
        other.adopt().describe("d1", &description("1.0.1")),
        Ok(true),
        "another node may read it otherwise"
    );
}

#[test]
fn it_is_bounded() {
    let mut memory = RunnerMemory::default().adopt();
    for number in 0..MAX_ENTRIES + 10 {
        memory.describe(&format!("digest-{number}"), &description("1.0.0")).unwrap();
    }
    let many: Vec<String> = (0..MAX_ENTRIES + 10).map(|number| format!("/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    observe(&mut memory, &[claim("a", 0, &many)], IncumbentState::Settled);
    assert_eq!((memory.descriptions.len(), memory.incumbents.len()), (MAX_ENTRIES, MAX_ENTRIES));
    assert!(!memory.descriptions.contains_key("digest-0"), "the oldest goes first");
}
