//! Components written as text, for what no compiler emits: the smallest possible runner, with places to add
//! code.

/// Address of the description in memory.
const DESCRIPTION: u32 = 1024;
/// The newest version of the contract.
const NEWEST: &str = "0.2.0";

/// What is added to the smallest runner.
#[derive(Default)]
pub struct Parts<'a> {
    /// Imports of the core module.
    pub imports: &'a str,
    /// More fields of the core module: memories, tables, functions.
    pub fields: &'a str,
    /// Instructions of `run` before it returns success.
    pub run: &'a str,
    /// Fields of the component before the module.
    pub before: &'a str,
    /// Arguments of the module's instance: `(with "..." ...)`.
    pub with: &'a str,
    /// Version of the exported interface `entry`, the newest if empty. The types are those of 0.1.0 if it says so, and
    /// otherwise the newest.
    pub version: &'a str,
}

/// The component of a runner `NAME` with the capability `/posemesh/test/NAME/v1`.
pub fn runner(name: &str, parts: &Parts<'_>) -> Vec<u8> {
    let text = text(name, parts);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The same component as text.
pub fn text(name: &str, parts: &Parts<'_>) -> String {
    let Parts { imports, fields, run, before, with, version } = parts;
    let version = if version.is_empty() { NEWEST } else { *version };
    let data = description(&name.replace('_', "-"), version);
    let (artifacts, errors) = match version {
        "0.1.0" => ("", OLD_ERRORS),
        _ => (r#"(field "artifacts" (option u64))"#, ERRORS),
    };
    format!(
        r#"(component
  {before}
  (core module $m
    {imports}
    (memory $main (export "memory") 2)
    {fields}
    (global $free (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get 3))))
    (func (export "describe") (result i32) (i32.const {DESCRIPTION}))
    (func (export "run") (param i32) (result i32)
      {run}
      (i32.const 512))
    (data (memory $main) (i32.const {DESCRIPTION}) "{data}"))
  (core instance $i (instantiate $m {with}))

  (type $task' (record
    (field "id" string) (field "job-id" (option string)) (field "domain-id" (option string))
    (field "capability" string) (field "capability-filters" string) (field "inputs-cids" (list string))
    (field "outputs-prefix" (option string)) (field "label" (option string)) (field "stage" (option string))
    (field "meta" string) (field "attempts" (option u32)) (field "max-attempts" (option u32))))
  (export $task "task" (type $task'))
  (type $requests' (record
    (field "memory-bytes" (option u64)) (field "deadline-ms" (option u64)) (field "cpu-time-ms" (option u64))
    (field "scratch-bytes" (option u64)) (field "output-bytes" (option u64)) {artifacts}
    (field "network-hosts" (list string)) (field "environment" (list string))
    (field "directories" (list string))))
  (export $requests "requests" (type $requests'))
  (type $description' (record
    (field "name" string) (field "version" string) (field "summary" string)
    (field "capabilities" (list string)) (field "requests" $requests) (field "meta-schema" (option string))
    (field "homepage" (option string)) (field "license" (option string))))
  (export $description "description" (type $description'))
  {errors}

  (func $describe (result $description)
    (canon lift (core func $i "describe") (memory $i "memory")))
  (func $run (param "task" $task) (result (result (error $error)))
    (canon lift (core func $i "run") (memory $i "memory") (realloc (func $i "realloc"))))
  (instance $entry
    (export "task" (type $task)) (export "requests" (type $requests)) (export "description" (type $description))
    (export "describe" (func $describe)) (export "run" (func $run)))
  (export "posemesh:runner/entry@{version}" (instance $entry)))"#
    )
}

/// The same runner as a component inside of another one: `root` are fields of the outer one before it, such as further
/// components and their instances; `with` are the arguments of the runner's, which `parts.before` imports.
pub fn runner_beside(name: &str, parts: &Parts<'_>, root: &str, with: &str) -> Vec<u8> {
    let entry = format!("posemesh:runner/entry@{NEWEST}");
    let inner = text(name, parts);
    let types =
        inner.find("(type $task'").zip(inner.find("(func $describe")).map(|(from, to)| &inner[from..to]);
    let types = types.expect("types");
    let inner = inner.replacen("(component", "(component $Main", 1);
    let text = format!(
        r#"(component {root} {inner} (instance $main (instantiate $Main {with}))
  {types}
  (alias export $main "{entry}" (instance $inner))
  (alias export $inner "describe" (func $describe))
  (alias export $inner "run" (func $run))
  (export $describe' "describe" (func $describe) (func (result $description)))
  (export $run' "run" (func $run) (func (param "task" $task) (result (result (error $error)))))
  (instance $entry
    (export "task" (type $task)) (export "requests" (type $requests)) (export "description" (type $description))
    (export "describe" (func $describe')) (export "run" (func $run')))
  (export "{entry}" (instance $entry)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The errors of the newest version.
const ERRORS: &str = r#"(type $error' (variant
    (case "invalid-task" string) (case "invalid-input" string) (case "failed" string) (case "not-found" string)
    (case "invalid-call" string) (case "denied" string) (case "limit" string) (case "corrupt" string)
    (case "unavailable" string) (case "cancelled") (case "port-failed" string)))
  (export $error "error" (type $error'))"#;

/// The errors of 0.1.0.
const OLD_ERRORS: &str = r#"(type $port-error' (variant
    (case "not-found" string) (case "invalid" string) (case "denied" string) (case "limit" string)
    (case "corrupt" string) (case "unavailable" string) (case "cancelled") (case "other" string)))
  (export $port-error "port-error" (type $port-error'))
  (type $error' (variant
    (case "invalid-task" string) (case "invalid-input" string) (case "port" $port-error)
    (case "cancelled") (case "failed" string)))
  (export $error "run-error" (type $error'))"#;

/// The bytes of the description and of the texts that it points to, escaped for the text format.
fn description(name: &str, version: &str) -> String {
    let texts =
        [name, "0.1.0", "by hand, for a test", &format!("/posemesh/test/{name}/v1")].map(str::to_owned);
    let mut bytes = vec![0u8; if version == "0.1.0" { 176 } else { 192 }];
    let mut ends = Vec::new();
    for text in &texts {
        let at = DESCRIPTION + u32::try_from(bytes.len()).expect("small");
        ends.push([at, u32::try_from(text.len()).expect("small")]);
        bytes.extend(text.bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    // The list of capabilities has one entry, which points to the last text.
    let list = DESCRIPTION + u32::try_from(bytes.len()).expect("small");
    bytes.extend(ends[3].iter().flat_map(|number| number.to_le_bytes()));
    ends[3] = [list, 1];
    let head: Vec<u8> = ends.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    bytes[..head.len()].copy_from_slice(&head);
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
