//! Looks through bytes, most of them short, for what nearly never is there. Does not know what they mean.

/// Whether no byte is special. In pieces of one size and without a way out of them, so that the compiler looks at
/// many bytes at once; what is left over is looked at together with what comes before it.
#[inline]
pub fn none(bytes: &[u8], special: impl Fn(u8) -> bool + Copy) -> bool {
    let plain = |piece: &[u8]| !piece.iter().fold(false, |found, &byte| found | special(byte));
    let (pieces, _) = bytes.as_chunks::<16>();
    let ends = match pieces.is_empty() {
        true => ends::<8>(bytes, plain).or_else(|| ends::<4>(bytes, plain)),
        false => ends::<16>(bytes, plain),
    };
    ends.unwrap_or_else(|| plain(bytes)) && pieces.iter().all(|piece| plain(piece))
}

#[inline]
fn ends<const N: usize>(bytes: &[u8], plain: impl Fn(&[u8]) -> bool) -> Option<bool> {
    Some(plain(bytes.first_chunk::<N>()?) & plain(bytes.last_chunk::<N>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_special_byte_is_found_wherever_it_is() {
        for length in 0..40 {
            let plain = vec![b'x'; length];
            let quote = |byte: u8| (byte == b'"') | (byte == 0);
            assert!(none(&plain, quote));
            for at in 0..length {
                for special in [b'"', 0] {
                    let mut bytes = plain.clone();
                    bytes[at] = special;
                    assert!(!none(&bytes, quote), "{special} at {at} of {length}");
                }
            }
        }
    }
}
