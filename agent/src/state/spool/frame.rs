//! How records lie in the spool file: frames one after the other, each known by its checksum. Pure.
//!
//! A frame is: length of the payload (4 bytes, little endian), CRC-32 over seq, urgency and payload
//! (4 bytes), state (1 byte: 0 waiting, 1 set aside; not in the checksum, so that it can be overwritten in
//! place), seq (8 bytes), urgency (1 byte), payload (the record as JSON).

use crate::state::crc::crc32;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 18;
/// Where in a frame its state is.
pub const STATE_OFFSET: u64 = 8;
/// A payload is no larger than this: a check-in's body.
pub const PAYLOAD_BYTES_MAX: usize = shared::limit::BODY_BYTES;

/// Where a record lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its number in the stream.
    pub seq: u64,
    /// A reading crossed a threshold in it.
    pub urgent: bool,
    /// Set aside: never to be sent again.
    pub aside: bool,
    /// Where the frame starts.
    pub offset: u64,
    /// Bytes of the frame, header included.
    pub bytes: u64,
}

/// A frame's bytes.
pub fn encode(seq: u64, urgent: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&[0; 5]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.push(u8::from(urgent));
    out.extend_from_slice(payload);
    let sum = crc32(&out[9..]);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole frame and its payload.
    Frame(Frame, &'a [u8]),
    /// The bytes end within a frame: so many are needed.
    Short(usize),
    /// Not a frame.
    Damaged,
}

/// Reads the frame at the start of `bytes`, which lies at `offset` in the file.
pub fn decode(bytes: &[u8], offset: u64) -> Decoded<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Decoded::Short(HEADER_BYTES) };
    let [l0, l1, l2, l3, c0, c1, c2, c3, state, seq @ .., urgent] = *header;
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if length > PAYLOAD_BYTES_MAX || state > 1 || urgent > 1 {
        return Decoded::Damaged;
    }
    let Some(payload) = rest.get(..length) else { return Decoded::Short(HEADER_BYTES + length) };
    let summed = bytes.get(9..HEADER_BYTES + length).unwrap_or_default();
    if crc32(summed) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Decoded::Damaged;
    }
    let bytes = u64::try_from(HEADER_BYTES + length).unwrap_or(u64::MAX);
    let seq = u64::from_le_bytes(seq);
    Decoded::Frame(Frame { seq, urgent: urgent == 1, aside: state == 1, offset, bytes }, payload)
}
