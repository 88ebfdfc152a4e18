//! The nearest right word to a wrong one.

/// `; did you mean …?`, or all there is when nothing is near.
pub(super) fn hint(wrong: &str, known: &[&str]) -> String {
    let near = known.iter().map(|name| (distance(wrong, name), *name)).min();
    match near {
        Some((steps, name)) if steps <= 3.max(wrong.chars().count() / 3) => format!("; did you mean `{name}`?"),
        _ => format!("; the keys are {}", known.join(", ")),
    }
}

/// How many letters must be put in, taken out or replaced (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    // A key longer than this is near to nothing anyway.
    for (i, a) in left.chars().take(64).enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.iter().enumerate() {
            let here = (corner + usize::from(a != *b)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted() {
        for (left, right, expected) in [("", "", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("", "é", 1)] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }
}
