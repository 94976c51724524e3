//! "Did you mean …?": the known word nearest to a mistyped one.

/// The candidate at the least edit distance, if that is near enough to be a slip: a third of the
/// word's letters at most, case not counted.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A hostile name must not cost more than it is worth.
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    let limit = (lower.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, changes and swaps of neighbours count one.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut last = None;
    for (row, from) in left.chars().enumerate() {
        let mut here = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let changed = above[column] + usize::from(from != *to);
            let mut best = changed.min(above[column + 1] + 1).min(here[column] + 1);
            let swapped = column > 0 && last == Some(*to) && right[column - 1] == from;
            if swapped && let Some(earlier) = before.get(column - 1) {
                best = best.min(earlier + 1);
            }
            here.push(best);
        }
        before = std::mem::replace(&mut above, here);
        last = Some(from);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let known = ["backendRefs", "filters", "matches", "name", "timeouts"];
        for (word, expect) in [
            ("backendRef", Some("backendRefs")),
            ("backendrefs", Some("backendRefs")),
            ("mathces", Some("matches")),
            ("nmae", Some("name")),
            ("timeout", Some("timeouts")),
            ("hostname", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), expect, "{word}");
        }
    }
}
