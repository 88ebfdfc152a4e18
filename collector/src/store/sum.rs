//! The sum of a row: whether its cells are the ones that were written.
//!
//! 64 bits over the cells, each with its type and length, eight bytes a step. Each step is a permutation of the state for
//! a given word, and of the word for a given state: a change within one word, a single flipped bit above all, is never
//! missed, others with one chance in 2^64. It guards against disks and memory, not against people: who may write the
//! file may write sums.
//!
//! What has no sum of its own: the dictionary's `body` (its digest is its sum), and `journal_subject`, whose rows say
//! what the entries of the journal say themselves. A sum guards a row that is found. That one is missing because its
//! key changed shows where something else says that it should be there: see `table::lost`.

use super::engine::Cell;

/// An odd number, by which multiplying loses nothing: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sum of these cells.
pub fn of(cells: &[Cell]) -> i64 {
    let sum = cells.iter().fold(FACTOR, |sum, cell| match cell {
        Cell::Null => mix(sum, 0),
        Cell::Int(n) => mix(mix(sum, 1), n.cast_unsigned()),
        Cell::Text(text) => sized(mix(sum, 2), text.as_bytes()),
        Cell::Bytes(blob) => sized(mix(sum, 3), blob),
    });
    sum.cast_signed()
}

fn sized(sum: u64, held: &[u8]) -> u64 {
    let size = u64::try_from(held.len()).unwrap_or(u64::MAX);
    let (words, rest) = held.as_chunks::<8>();
    let sum = words.iter().fold(mix(sum, size), |sum, word| mix(sum, u64::from_le_bytes(*word)));
    mix(sum, rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

fn mix(sum: u64, word: u64) -> u64 {
    let mixed = (sum ^ word).wrapping_mul(FACTOR);
    mixed ^ (mixed >> 32)
}

/// The parameters of a statement that writes a row, with the sum of all of them as the last one.
pub fn with<const N: usize>(cells: [Cell; N]) -> Vec<Cell> {
    let sum = of(&cells);
    let mut params = Vec::with_capacity(N + 1);
    params.extend(cells);
    params.push(Cell::Int(sum));
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_the_type_and_the_borders_count() {
        let row = [Cell::Int(7), "Zürich is a long name".into(), Cell::Null, Cell::Bytes(vec![1; 11])];
        let sum = of(&row);
        for bit in 0..64 {
            assert_ne!(of(&[Cell::Int(7 ^ (1 << bit)), row[1].clone(), row[2].clone(), row[3].clone()]), sum);
        }
        for bit in 0..11 * 8 {
            let mut held = vec![1; 11];
            held[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of(&[row[0].clone(), row[1].clone(), row[2].clone(), Cell::Bytes(held)]), sum);
        }
        assert_ne!(of(&["ab".into(), "c".into()]), of(&["a".into(), "bc".into()]));
        assert_ne!(of(&[Cell::Null]), of(&["".into()]));
        assert_ne!(of(&["a".into()]), of(&[Cell::Bytes(b"a".to_vec())]));
        assert_ne!(of(&[Cell::Bytes(vec![0])]), of(&[Cell::Bytes(vec![0, 0])]));
    }
}
