//! The frames of a backtrace. Their names are the guest's own: each is bounded while it is formatted, and escaped, so
//! that none can look like a frame of its own. wasmtime's own text of a backtrace does neither: a C++ name of a few
//! hundred bytes can stand for gigabytes. So its own demangling is left out of the build (its feature `demangle`): nothing
//! that formats an error by mistake can write such a name out.

use std::fmt;

use posemesh_text::one_line;
use wasmtime::WasmBacktrace;

/// The most frames that are reported; wasmtime collects as many.
pub(super) const MAX_FRAMES: usize = 32;
/// The longest name of a module or a file, in bytes.
const MAX_FILE: usize = 120;
/// The longest name of a function, in bytes.
const MAX_FUNCTION: usize = 240;
/// The longest name that is demangled, in bytes: a longer one is shown as it is.
const MAX_MANGLED: usize = 4096;

/// The frames of a backtrace, innermost first, with the names that the source has.
pub(super) fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let frames = backtrace.frames().iter().take(MAX_FRAMES).enumerate();
    let lines = frames.map(|(number, frame)| {
        let symbol = frame.symbols().first();
        Frame {
            number,
            offset: frame.module_offset(),
            module: frame.module().name(),
            index: frame.func_index(),
            function: symbol.and_then(|symbol| symbol.name()).or(frame.func_name()),
            file: symbol.and_then(|symbol| symbol.file()),
            line: symbol.and_then(|symbol| symbol.line()),
        }
        .to_string()
    });
    lines.collect()
}

/// What is known of one frame.
struct Frame<'a> {
    number: usize,
    /// In the module, in bytes.
    offset: Option<usize>,
    module: Option<&'a str>,
    /// Of the function in the module.
    index: u32,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
}

impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.number)?;
        if let Some(offset) = self.offset {
            write!(f, "{offset:#x} - ")?;
        }
        write!(f, "{}!", one_line(self.module.unwrap_or("<unknown>"), MAX_FILE))?;
        match self.function {
            Some(name) => f.write_str(&one_line(Demangled(name), MAX_FUNCTION))?,
            None => write!(f, "<wasm function {}>", self.index)?,
        }
        if let Some(file) = self.file {
            write!(f, " at {}", one_line(file, MAX_FILE))?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
        }
        Ok(())
    }
}

/// The name of a function as the source has it, without the hash that Rust appends. It is written piece by piece, so
/// that whoever has enough can stop it.
struct Demangled<'a>(&'a str);

impl fmt::Display for Demangled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name) = *self;
        if name.len() > MAX_MANGLED {
            return f.write_str(name);
        }
        if let Ok(rust) = rustc_demangle::try_demangle(name) {
            return write!(f, "{rust:#}");
        }
        // Without its prefix, `f` would be read as the type `float`.
        let cpp = name.trim_start_matches('_').starts_with('Z').then_some(name);
        match cpp.map(|name| cpp_demangle::BorrowedSymbol::new(name.as_bytes())) {
            Some(Ok(cpp)) => cpp.structured_demangle(f, &cpp_demangle::DemangleOptions::new()),
            _ => f.write_str(name),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn frame(function: Option<&str>) -> String {
        Frame {
            number: 3,
            offset: Some(0x2c85),
            module: Some("a.wasm"),
            index: 7,
            function,
            file: None,
            line: None,
        }
        .to_string()
    }

    #[test]
    fn names_are_as_in_the_source_and_lose_the_hash_that_says_nothing() {
        assert_eq!(frame(Some("_ZN1a1b17h24776d39adc9db39E")), "3: 0x2c85 - a.wasm!a::b");
        assert_eq!(frame(Some("_ZN5space3fooEi")), "3: 0x2c85 - a.wasm!space::foo(int)");
        assert_eq!(frame(Some("main")), "3: 0x2c85 - a.wasm!main");
        assert_eq!(frame(None), "3: 0x2c85 - a.wasm!<wasm function 7>");
        let with_file = Frame {
            number: 0,
            offset: None,
            module: None,
            index: 0,
            function: Some("f"),
            file: Some("src/lib.rs"),
            line: Some(9),
        };
        assert_eq!(with_file.to_string(), "0: <unknown>!f at src/lib.rs:9");
    }

    #[test]
    fn a_functions_name_forges_no_frame() {
        let line = frame(Some("f\n   4: 0x1 - host!read_secret\u{1b}[2J\r"));
        assert_eq!(line, r"3: 0x2c85 - a.wasm!f\n   4: 0x1 - host!read_secret\u{1b}[2J\r");
        let line = Frame {
            number: 0,
            offset: None,
            module: Some("m\nforged"),
            index: 0,
            function: Some("f"),
            file: Some("x\nforged"),
            line: None,
        }
        .to_string();
        assert_eq!(line, r"0: m\nforged!f at x\nforged");
    }

    /// A digit of a substitution in a C++ name.
    fn digit(number: u32) -> String {
        match number {
            0 => String::new(),
            n => char::from_digit(n - 1, 36).map(|c| c.to_ascii_uppercase().to_string()).unwrap_or_default(),
        }
    }

    #[test]
    fn a_short_name_that_stands_for_a_huge_one_is_not_written_out() {
        // Each parameter is a template of the one before, twice.
        let bomb = |doublings: u32| {
            let types = (2..doublings + 2).map(|n| format!("S0_IS{0}_S{0}_E", digit(n)));
            "_Z1f1A1PIS_S_E".to_owned() + &types.collect::<String>()
        };
        let written = |bomb: &str| {
            cpp_demangle::BorrowedSymbol::new(bomb.as_bytes()).unwrap().demangle().unwrap().len()
        };
        assert!(written(&bomb(12)) > 4000, "it doubles");
        let bomb = bomb(34);
        let line = frame(Some(&bomb));
        assert!(line.len() < MAX_FUNCTION + MAX_FILE, "{} bytes", line.len());
        let long = frame(Some(&"x".repeat(1 << 20)));
        assert!(long.len() < MAX_FUNCTION + MAX_FILE, "{} bytes", long.len());
    }
}
