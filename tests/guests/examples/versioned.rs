//! Reports its version at the start and at the end of a task. The suites write other versions into the bytes of
//! the component, which gives a new generation without a build.
use guests::{Error, control};

/// Version, whether it works or fails, and the last part of its capability.
static MARK: [u8; 41] = *b"posemesh-version:1.0.1000000;work;swap-00";

fn mark(part: usize) -> String {
    // Read from the data, never folded into the code.
    let mark: &[u8; 41] = std::hint::black_box(&MARK);
    let text = String::from_utf8_lossy(mark).into_owned();
    let mut parts = text["posemesh-version:".len()..].split(';');
    parts.nth(part).unwrap_or_default().to_owned()
}

struct Versioned;

impl guests::Guest for Versioned {
    fn describe() -> guests::Description {
        let capabilities = vec![format!("/posemesh/test/{}/v1", mark(2))];
        guests::Description { version: mark(0), capabilities, ..guests::describe("versioned") }
    }

    fn run(task: guests::Task) -> Result<(), Error> {
        let began = mark(0);
        let number = |name: &str| -> u64 {
            let at = task.meta.find(&format!("\"{name}\":")).map(|at| at + name.len() + 3);
            let rest = at.and_then(|at| task.meta.get(at..)).unwrap_or_default();
            let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        };
        let _ = control::progress(&format!(r#"{{"progress": 0, "began": "{began}"}}"#));
        control::log(control::LogLevel::Info, &format!("version {began}"));
        if control::wait_cancelled(number("sleep_ms")) {
            return Err(Error::Cancelled);
        }
        if mark(1) == "fail" || number("fail") > 0 {
            return Err(Error::Failed(format!("version {began} can't do anything")));
        }
        let ended = mark(0);
        let _ = control::progress(&format!(r#"{{"progress": 1, "began": "{began}", "ended": "{ended}"}}"#));
        Ok(())
    }
}

guests::export!(Versioned with_types_in guests);
