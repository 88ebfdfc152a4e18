//! How urgent a ticket is, from its impact and urgency; and both of them for a fault.

use crate::register::model::{Asset, Severity};
use crate::work::Refusal;

/// Rows: impact 1 service or site, 2 group, 3 one person. Columns: urgency 1 work stopped, 2 degraded,
/// 3 can wait.
const MATRIX: [[u8; 3]; 3] = [[1, 2, 3], [2, 3, 4], [3, 4, 5]];

/// The priority, 1 to 5. What is out of range counts as the nearest.
pub fn priority(impact: u8, urgency: u8) -> u8 {
    let place = |value: u8| usize::from(value.clamp(1, 3) - 1);
    MATRIX[place(impact)][place(urgency)]
}

/// Impact or urgency as somebody gave it.
///
/// # Errors
/// [`Refusal::Invalid`] naming the field.
pub fn level(field: &str, value: u8) -> Result<u8, Refusal> {
    if (1..=3).contains(&value) { Ok(value) } else { Err(Refusal::invalid(field, format!("{value}; expected 1 to 3"))) }
}

/// How many a fault of this asset hurts. An asset of unknown criticality hurts one person.
pub fn impact(asset: &Asset) -> u8 {
    asset.declared.criticality.unwrap_or(3).clamp(1, 3)
}

/// How soon a fault must be dealt with.
pub fn urgency(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 1,
        Severity::Major => 2,
        Severity::Minor => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_those_of_the_matrix() {
        let rows: Vec<Vec<u8>> = (1..=3).map(|i| (1..=3).map(|u| priority(i, u)).collect()).collect();
        assert_eq!(rows, [[1, 2, 3], [2, 3, 4], [3, 4, 5]]);
        assert_eq!((priority(0, 0), priority(9, 9)), (1, 5));
    }

    #[test]
    fn a_level_out_of_range_is_refused_by_name() {
        assert_eq!(level("impact", 3), Ok(3));
        assert_eq!(level("urgency", 4), Err(Refusal::invalid("urgency", "4; expected 1 to 3")));
    }
}
