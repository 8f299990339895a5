//! What every language's project is made of: a name, and files with that name in them.

use std::borrow::Cow;
#[cfg(test)]
use std::collections::BTreeSet;
use std::str::FromStr;

use posemesh_plugin_host::contract;

use crate::commands::plugin::written::NewFile;

/// The name of the runner in the templates; `my_runner` is its other spelling.
const PLACEHOLDER: &str = "my-runner";
/// The longest name, in bytes: that of a runner.
const MAX_NAME: usize = 64;

/// Names that no crate or package can have.
const RESERVED: [&str; 15] = [
    "as",
    "async",
    "box",
    "const",
    "crate",
    "dyn",
    "fn",
    "impl",
    "mod",
    "posemesh",
    "posemesh-runner",
    "self",
    "super",
    "test",
    "use",
];

/// Name of a runner that is a name in every language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectName(String);

impl ProjectName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with `_`, as files and modules have it.
    pub(crate) fn in_code(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The text of a template, for this name.
    pub(crate) fn fill(&self, template: &'static str) -> Cow<'static, str> {
        if !template.contains(PLACEHOLDER)
            && !template.contains("my_runner")
            && !template.contains("MyRunner")
        {
            return Cow::Borrowed(template);
        }
        let text = template.replace(PLACEHOLDER, &self.0).replace("my_runner", &self.in_code());
        Cow::Owned(text.replace("MyRunner", &self.as_type()))
    }

    /// The name as that of a type: `CountWords`.
    fn as_type(&self) -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
                .collect::<String>()
        };
        self.0.split('-').map(capital).collect()
    }
}

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase())
            || !name.chars().all(is_plain)
            || name.ends_with('-')
            || name.contains("--")
            || name.len() > MAX_NAME
        {
            return Err(format!(
                "a name has 1 to {MAX_NAME} lower-case letters, digits and single `-` between them, and begins with a \
                 letter, such as count-words"
            ));
        }
        if RESERVED.contains(&name) {
            return Err("this name is taken by a language or by the SDK; choose another one".to_owned());
        }
        Ok(Self(name.to_owned()))
    }
}

/// A project that is to be written.
pub(crate) struct Project {
    pub(crate) files: Vec<NewFile>,
    /// The commands that build and try it, in the order in which they are typed.
    pub(crate) next: Vec<String>,
}

/// The files of a template for a name, with those of an SDK as they are and the contract beside them.
pub(crate) fn with_sdk(
    name: &ProjectName,
    template: &[(&str, &'static str)],
    sdk: &[(&str, &'static str)],
) -> Vec<NewFile> {
    let as_it_is = |&(path, text): &(&str, &'static str)| NewFile::text(path, text);
    let wit = |(file, text): (&str, &'static str)| NewFile::text(format!("wit/{file}"), text);
    let mut files = filled(name, template);
    files.extend(sdk.iter().map(as_it_is));
    files.extend(contract::FILES.map(wit));
    files
}

/// The files of a template, each with its path, for a name.
pub(crate) fn filled(name: &ProjectName, template: &[(&str, &'static str)]) -> Vec<NewFile> {
    let file = |&(path, text): &(&str, &'static str)| {
        // Under its own name it would hide files of the template from this repository.
        let path = if path == "gitignore" { ".gitignore" } else { path };
        NewFile::text(path, name.fill(text))
    };
    template.iter().map(file).collect()
}

/// The paths that the program carries, and those that it is not to.
#[cfg(test)]
pub(crate) fn carried(files: &[(&str, &str)], others: &[&str]) -> BTreeSet<String> {
    files.iter().map(|(path, _)| *path).chain(others.iter().copied()).map(str::to_owned).collect()
}

/// Every file below a folder of this repository, by its path in it; not what a test of it has left there, and not what
/// links lead to.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn found_in(folder: &std::path::Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() || path.ends_with("__pycache__") {
                continue;
            }
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned())),
            }
        }
    }
    files
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_in_every_language_or_refused_with_what_is_allowed() {
        let name: ProjectName = "count-words2".parse().unwrap();
        assert_eq!(name.fill("my-runner my_runner MyRunner"), "count-words2 count_words2 CountWords2");
        for bad in ["", "Count", "2d", "-a", "a-", "a--b", "a_b", "ä", "../x", &"a".repeat(65), "fn"] {
            let error = bad.parse::<ProjectName>().unwrap_err();
            assert!(error.contains("count-words") || error.contains("taken"), "{bad}: {error}");
        }
    }
}
