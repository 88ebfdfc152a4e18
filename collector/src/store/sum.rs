//! The sum of a row: whether its cells are the ones that were written.
//!
//! FNV-1a with 64 bits over the cells, each with its type and length
//! (<https://datatracker.ietf.org/doc/draft-eastlake-fnv/>): every changed byte changes it, and it costs less than the
//! row itself. It guards against disks and memory, not against people: who may write the file may write sums.
//!
//! What has no sum of its own: the dictionary's `body` (its digest is its sum), and the small tables that are keys
//! only (`evidence`, `address`, `journal_subject`): these lie in an index once more, and SQLite's own check compares
//! the two.

use super::engine::Cell;

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The sum of these cells.
pub fn of(cells: &[Cell]) -> i64 {
    let sum = cells.iter().fold(BASIS, |sum, cell| match cell {
        Cell::Null => bytes(sum, &[0]),
        Cell::Int(n) => bytes(bytes(sum, &[1]), &n.to_le_bytes()),
        Cell::Text(text) => sized(bytes(sum, &[2]), text.as_bytes()),
        Cell::Bytes(blob) => sized(bytes(sum, &[3]), blob),
    });
    sum.cast_signed()
}

fn sized(sum: u64, held: &[u8]) -> u64 {
    let size = u64::try_from(held.len()).unwrap_or(u64::MAX);
    bytes(bytes(sum, &size.to_le_bytes()), held)
}

fn bytes(sum: u64, held: &[u8]) -> u64 {
    held.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(PRIME))
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
        assert_eq!(bytes(BASIS, b"foobar"), 0x8594_4171_f739_67e8, "a value of the draft");
        let row = [Cell::Int(7), "Zürich".into(), Cell::Null, Cell::Bytes(vec![1, 2])];
        let sum = of(&row);
        for bit in 0..64 {
            assert_ne!(of(&[Cell::Int(7 ^ (1 << bit)), row[1].clone(), row[2].clone(), row[3].clone()]), sum);
        }
        assert_ne!(of(&["ab".into(), "c".into()]), of(&["a".into(), "bc".into()]));
        assert_ne!(of(&[Cell::Null]), of(&["".into()]));
        assert_ne!(of(&["a".into()]), of(&[Cell::Bytes(b"a".to_vec())]));
    }
}
