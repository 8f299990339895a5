//! What a task names, against what a runner asks for.

use super::*;

const DOMAIN: &str = "dddddddd-dddd-4ddd-8ddd-dddddddddddd";
const A: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
const B: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
const C: &str = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

fn task(cids: &[&str]) -> NamedData {
    let mut task = Task::new(Uuid::nil(), "/cap");
    task.domain_id = Some(DOMAIN.parse().unwrap_or_default());
    task.inputs_cids = cids.iter().map(|&cid| cid.to_owned()).collect();
    NamedData::of(&task)
}

fn data(query: &str) -> String {
    format!("https://ds.example/api/v1/domains/{DOMAIN}/data{query}")
}

#[track_caller]
fn check(named: &NamedData, allowed: &[String], other: &[String]) {
    for cid in allowed {
        assert_eq!(named.asked(cid), Asked::Named, "{cid}");
    }
    for cid in other {
        assert_eq!(named.asked(cid), Asked::Other, "{cid}");
    }
}

#[test]
fn ids_are_named_however_they_are_spelled_and_listed() {
    let named = task(&[A, &data(&format!("?ids={B},{C}"))]);
    check(
        &named,
        &[
            A.to_owned(),
            A.to_uppercase(),
            format!("  {A}\n"),
            data(&format!("/{A}")),
            data(&format!("//{A}/")),
            format!("/api/v1/domains/{DOMAIN}/data/{B}"),
            format!("http://elsewhere.example:1/domains/{DOMAIN}/data?ids={C},{A},{C}"),
            format!("https://ds.example/?ids={B}"),
            // Filters make it less, never more.
            data(&format!("?ids={A}&name=x")),
        ],
        &[
            "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee".to_owned(),
            data(""),
            data("?name=scan"),
            data("?ids="),
            data(&format!("?ids={A},eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee")),
            data(&format!("/eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee?ids={A}")),
            // The last id in the path counts, not the list.
            data(&format!("?ids={A}&ids=eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee")),
            data(&format!("?%69ds=eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee#ids={A}")),
        ],
    );
}

#[test]
fn a_name_or_type_of_the_task_is_a_filter_that_stays() {
    let named = task(&[&data("?name=scan&data_type=ply"), &data(&format!("?ids={A}&name=hall"))]);
    check(
        &named,
        &[
            data("?data_type=ply&name=scan"),
            data(&format!("?name=scan&data_type=ply&ids={B}")),
            data(&format!("/{A}?name=hall")),
        ],
        &[
            data("?name=scan"),
            data("?data_type=ply"),
            data("?name=scan&data_type=obj"),
            data("?name=hall"),
            A.to_owned(),
            B.to_owned(),
            data(""),
        ],
    );
}

#[test]
fn a_task_of_the_whole_domain_names_all_of_it() {
    check(&task(&[&data("")]), &[A.to_owned(), data("?name=x"), data("")], &[]);
    let nothing = task(&[]);
    check(&nothing, &[], &[A.to_owned(), data("?name=x"), data("")]);
    assert!(!nothing.has(A));
}

#[test]
fn what_the_task_was_given_or_stored_is_its_own() {
    let named = task(&[&data("?name=scan")]);
    assert_eq!(named.asked(A), Asked::Other);
    named.meet(A);
    check(&named, &[A.to_owned(), data(&format!("?ids={A}"))], &[B.to_owned()]);
    assert!(named.has(&A.to_uppercase()) && !named.has(B) && !named.has("") && !named.has("x"));
    for n in 0..(2 * MAX_MET) as u128 {
        named.meet(&Uuid::from_u128(n).to_string());
    }
    assert_eq!(named.met().len(), MAX_MET);
}

#[test]
fn what_is_no_cid_of_the_domain_is_refused_as_the_domain_client_would() {
    let named = task(&[A, "not-a-cid"]);
    assert_eq!(named.asked("not-a-cid"), Asked::Named, "as the task has it; the port will say what is wrong");
    assert!(matches!(named.asked("other"), Asked::Refused(CidError::BadId(_))));
    let foreign = format!("https://ds.example/domains/{C}/data?ids={A}");
    assert!(matches!(named.asked(&foreign), Asked::Refused(CidError::OtherDomain { .. })));
    assert!(matches!(named.asked(&"x".repeat(1 << 20)), Asked::Refused(CidError::TooLong(_))));

    let mut files = Task::new(Uuid::nil(), "/cap");
    files.inputs_cids = vec!["scan.ply".to_owned()];
    let files = NamedData::of(&files);
    check(&files, &["scan.ply".to_owned()], &["hall.ply".to_owned(), A.to_owned(), String::new()]);
    assert!(files.has("scan.ply") && !files.has("hall.ply"));
}
