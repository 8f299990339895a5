//! Paths in token streams: the arguments of macros and attributes, which have no syntax tree.

use proc_macro2::{Delimiter, Ident, Literal, Spacing, TokenStream, TokenTree};
use syn::ext::IdentExt;

use super::model::Segments;

/// Something found in a token stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A path; a single name only if it looks like a type, a constant or a function that is called.
    Path(Segments),
    /// The name of a macro that is called.
    Macro(Segments),
    /// `self.method(..)`, as `method`.
    SelfCall(String),
}

/// Everything in `tokens` that can be a path, however deep.
pub(crate) fn paths(tokens: TokenStream) -> Vec<Found> {
    let mut found = Vec::new();
    scan(tokens, &mut found);
    found
}

fn scan(tokens: TokenStream, found: &mut Vec<Found>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = trees.as_slice();
    loop {
        rest = match rest {
            [] => return,
            [TokenTree::Group(group), after @ ..] => {
                scan(group.stream(), found);
                after
            }
            [TokenTree::Literal(literal), after @ ..] => {
                found.extend(quoted_path(literal).map(Found::Path));
                after
            }
            // A range, not a field.
            [first, second, after @ ..] if is(first, '.') && is(second, '.') => after,
            // A field, a method, a lifetime.
            [mark, TokenTree::Ident(_), after @ ..] if is(mark, '.') || is(mark, '\'') => after,
            // `::name` belongs to the type before it, or is another crate.
            after if let Some(after) = after_colons(after) => path(after).1,
            [TokenTree::Ident(_), ..] => {
                let (path, after) = path(rest);
                found.extend(judge(path, after));
                after
            }
            [_, after @ ..] => after,
        };
    }
}

/// What `path`, which `after` follows, is.
fn judge(path: Segments, after: &[TokenTree]) -> Option<Found> {
    match (path.as_slice(), after) {
        ([name], [dot, TokenTree::Ident(method), TokenTree::Group(arguments), ..])
            if name == "self" && is(dot, '.') && arguments.delimiter() == Delimiter::Parenthesis =>
        {
            Some(Found::SelfCall(method.unraw().to_string()))
        }
        (_, [mark, TokenTree::Group(_), ..]) if is(mark, '!') => Some(Found::Macro(path)),
        // Else it is the name of a field or a variable, which a function of ours may share.
        ([name], _) if !name.starts_with(char::is_uppercase) && !is_called(after) => None,
        _ => Some(Found::Path(path)),
    }
}

fn is_called(after: &[TokenTree]) -> bool {
    matches!(after, [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Parenthesis)
}

/// The path that `tokens` begin with, and the tokens after it.
fn path(tokens: &[TokenTree]) -> (Segments, &[TokenTree]) {
    let mut path = Segments::new();
    let mut rest = tokens;
    let mut next = Some(tokens);
    while let Some([TokenTree::Ident(name), after @ ..]) = next {
        path.push(text(name));
        rest = after;
        next = after_colons(after);
    }
    (path, rest)
}

/// The tokens after `::`, if `tokens` begin with it.
fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [TokenTree::Punct(first), second, after @ ..]
            if first.as_char() == ':' && first.spacing() == Spacing::Joint && is(second, ':') =>
        {
            Some(after)
        }
        _ => None,
    }
}

/// The path in a string, as in `#[serde(with = "crate::time")]`.
fn quoted_path(literal: &Literal) -> Option<Segments> {
    let syn::Lit::Str(string) = syn::Lit::new(literal.clone()) else { return None };
    let text = string.value();
    if !text.contains("::") {
        return None;
    }
    let path = syn::parse_str::<syn::Path>(&text).ok()?;
    path.leading_colon
        .is_none()
        .then(|| path.segments.iter().map(|segment| self::text(&segment.ident)).collect())
}

/// Whether `tree` is the punctuation mark `mark`.
fn is(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn text(name: &Ident) -> String {
    name.unraw().to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What is found in `code`, each as text.
    fn found(code: &str) -> Vec<String> {
        let describe = |found| match found {
            Found::Path(path) => path.join("::"),
            Found::Macro(path) => format!("{}!", path.join("::")),
            Found::SelfCall(method) => format!("self.{method}()"),
        };
        paths(code.parse().unwrap()).into_iter().map(describe).collect()
    }

    #[test]
    fn paths_are_found_however_deep() {
        assert_eq!(
            found("\"{}\", f(vec![crate::a::B { c: [super::d(x)] }])"),
            ["f", "vec!", "crate::a::B", "super::d"]
        );
        assert_eq!(found("$crate::net::get($x)"), ["crate::net::get"]);
        assert_eq!(found("Vec::<a::B>::new()"), ["Vec", "a::B"]);
    }

    #[test]
    fn fields_variables_lifetimes_and_other_crates_are_none() {
        assert!(found("report = job.report, x.report(), 'report: loop {}, ::report::get()").is_empty());
        assert_eq!(found("0..LIMIT"), ["LIMIT"]);
        assert_eq!(found("a != b && ok(c)"), ["ok"]);
    }

    #[test]
    fn calls_on_self_and_of_macros_are_told_apart() {
        assert_eq!(found("self.send(self.state, own::text!(1))"), ["self.send()", "own::text!"]);
    }

    #[test]
    fn a_quoted_path_counts_and_other_text_does_not() {
        assert_eq!(found("with = \"crate::time::rfc3339\""), ["crate::time::rfc3339"]);
        assert!(found("\"reads a::b and more\", \"name\"").is_empty());
    }
}
