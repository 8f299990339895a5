//! Reads the directory that the operator has granted, and fails if it can change anything there.
use guests::{Error, failed};

struct Runner;

impl guests::Guest for Runner {
    fn describe() -> guests::Description {
        let mut description = guests::describe("data");
        description.requests.directories = vec!["models".into(), "secrets".into()];
        description.requests.environment = vec!["MODEL_NAME".into(), "REG_SECRET".into()];
        description
    }

    fn run(_: guests::Task) -> Result<(), Error> {
        let model = std::fs::read("/data/models/model.bin").map_err(failed)?;
        let mut found = Vec::new();
        for path in ["/data/secrets", "/data/models/..", "/data/models/../../etc/passwd", "/data/models/link"]
        {
            if std::fs::read(path).is_ok() || std::fs::read_dir(path).is_ok() {
                found.push(format!("read {path}"));
            }
        }
        if std::fs::write("/data/models/new", "x").is_ok()
            || std::fs::write("/data/models/model.bin", "x").is_ok()
            || std::fs::remove_file("/data/models/model.bin").is_ok()
            || std::fs::create_dir("/data/models/folder").is_ok()
        {
            found.push("changed the directory".to_owned());
        }
        let variables: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
        // The first two every runner has.
        if variables != ["PWD=/work", "TMPDIR=/tmp", "MODEL_NAME=dragon"] {
            found.push(format!("variables {variables:?}"));
        }
        guests::outputs::put_bytes("model.bin", &model, &guests::plain())?;
        if found.is_empty() { Ok(()) } else { Err(Error::Failed(found.join("; "))) }
    }
}
guests::export!(Runner with_types_in guests);
