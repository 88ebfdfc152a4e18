//! Packed lists of numbers: sorted, without doubles, each as the difference to the one before, in LEB128
//! (seven bits a byte, the lowest first, the top bit set on all but the last).
//!
//! 600 packages of one machine take about 700 bytes.

/// Packs numbers; they are sorted and freed of doubles on the way. All are zero or more.
pub fn pack(ids: &mut Vec<i64>) -> Vec<u8> {
    ids.sort_unstable();
    ids.dedup();
    let mut out = Vec::with_capacity(ids.len() * 2);
    let mut before = 0_u64;
    for &id in ids.iter() {
        let id = id.cast_unsigned();
        let mut delta = id.wrapping_sub(before);
        before = id;
        while delta >= 0x80 {
            out.push((delta & 0x7f) as u8 | 0x80);
            delta >>= 7;
        }
        out.push(delta as u8);
    }
    out
}

/// Unpacks a list; `None` if it is not one.
pub fn unpack(bytes: &[u8]) -> Option<Vec<i64>> {
    let mut ids = Vec::with_capacity(bytes.len());
    walk(bytes, |id| {
        ids.push(id);
        true
    })
    .then_some(ids)
}

/// Whether the list holds any of `wanted`, which is sorted. A list that is damaged holds nothing more from
/// there on; `muster doctor` finds it.
pub fn holds_any(bytes: &[u8], wanted: &[i64]) -> bool {
    let mut wanted = wanted.iter().copied().peekable();
    let mut found = false;
    walk(bytes, |id| {
        while wanted.next_if(|&next| next < id).is_some() {}
        found = wanted.peek() == Some(&id);
        !found && wanted.peek().is_some()
    });
    found
}

/// Hands each number to `each` until it says no. False if the bytes are no list.
pub fn walk(bytes: &[u8], mut each: impl FnMut(i64) -> bool) -> bool {
    let mut id = 0_u64;
    let mut rest = bytes.iter();
    while !rest.as_slice().is_empty() {
        let mut delta = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = rest.next() else { return false };
            delta |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            if shift == 63 {
                return false;
            }
        }
        id = id.wrapping_add(delta);
        if !each(id.cast_signed()) {
            return true;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_list_survives_packing(mut ids in prop::collection::vec(0..=i64::MAX, 0..500)) {
            let packed = pack(&mut ids);
            prop_assert_eq!(unpack(&packed), Some(ids));
        }

        #[test]
        fn any_is_found_as_in_a_set(
            mut ids in prop::collection::vec(0..2_000_i64, 0..300),
            wanted in prop::collection::btree_set(0..2_000_i64, 0..8),
        ) {
            let packed = pack(&mut ids);
            let expected = ids.iter().any(|id| wanted.contains(id));
            let wanted: Vec<i64> = wanted.into_iter().collect();
            prop_assert_eq!(holds_any(&packed, &wanted), expected);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&bytes);
            let _ = holds_any(&bytes, &[1, 5, i64::MAX]);
        }
    }

    #[test]
    fn a_list_of_neighbours_takes_a_byte_each() {
        let mut ids: Vec<i64> = (1000..1600).rev().collect();
        assert_eq!(pack(&mut ids).len(), 601);
        assert_eq!(unpack(&[0x80]), None);
    }
}
