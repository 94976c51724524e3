//! Path and host rewrites, by the table of Gateway API's HTTPPathModifier (topic N19).

use fairway_model::filter::{PathRewrite, UrlRewrite};
use fairway_model::matching::PathMatch;

use crate::message::{Authority, Malformed, Path, RequestHead};

/// Changes host and path before a request is forwarded.
///
/// # Errors
/// What comes out is no path or no host; the request is not forwarded.
pub(crate) fn apply(
    rewrite: &UrlRewrite,
    matched: &PathMatch,
    head: &mut RequestHead,
) -> Result<(), Malformed> {
    if let Some(hostname) = &rewrite.hostname {
        head.authority = Authority::parse(hostname.as_bytes().to_vec())?;
    }
    if let Some(change) = &rewrite.path {
        head.path = Path::parse(path(change, matched, head.path.as_str()))?;
    }
    Ok(())
}

/// Gives the path that comes of a change. A prefix is replaced only where one was matched; other
/// matches are replaced as a whole, which `translate` refuses beforehand.
pub(crate) fn path(change: &PathRewrite, matched: &PathMatch, path: &str) -> String {
    let replacement = match change {
        PathRewrite::ReplaceFull(full) => return full.as_ref().to_owned(),
        PathRewrite::ReplacePrefix(replacement) => replacement,
    };
    let prefix = match matched {
        PathMatch::Prefix(prefix)
        | PathMatch::PrefixIgnoreCase(prefix)
        | PathMatch::StringPrefix(prefix) => prefix.len(),
        PathMatch::Exact(_) | PathMatch::ExactIgnoreCase(_) | PathMatch::Regex(_) => path.len(),
    };
    // The prefix `/` is a separator and nothing else: `/bar` is below it by `bar`.
    let rest = path.get(prefix..).unwrap_or_default();
    join(replacement, rest)
}

/// Joins by exactly one slash, and never gives an empty path.
fn join(replacement: &str, rest: &str) -> String {
    if rest.is_empty() {
        return if replacement.is_empty() { "/".to_owned() } else { replacement.to_owned() };
    }
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let base = replacement.strip_suffix('/').unwrap_or(replacement);
    format!("{base}/{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification() {
        // Request path, matched prefix, replacement, result.
        let table = [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/", "/foo", "/xyz/", "/xyz/"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo", "/foo", "/xyz/", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo/bar", "/foo", "/", "/bar"),
            ("/bar", "/", "/xyz", "/xyz/bar"),
            ("/", "/", "/xyz", "/xyz"),
        ];
        for (request, prefix, replacement, expected) in table {
            let change = PathRewrite::ReplacePrefix(replacement.into());
            let result = path(&change, &PathMatch::Prefix(prefix.into()), request);
            assert_eq!(result, expected, "{request} {prefix} {replacement}");
        }
    }

    #[test]
    fn a_full_path_stands_alone() {
        let change = PathRewrite::ReplaceFull("/one".into());
        assert_eq!(path(&change, &PathMatch::Exact("/x".into()), "/x"), "/one");
    }
}
