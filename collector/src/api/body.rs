//! Bodies: read with a bound on size, time and memory, and decompressed with a bound on all three.
//!
//! A body that is held counts against a budget for the whole process until it was answered; over the budget
//! the answer is 503, so that a flood of large bodies costs no memory. People and tools have their own part of
//! the budget, so that a flood of reports does not lock them out. Does not know: what is in a body.

use super::{ApiError, App};
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use shared::limit;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for all bodies in flight.
const BUDGET_BYTES: usize = 256 * 1024 * 1024;
/// What of it is kept for people and tools, in percent.
const RESERVE_PERCENT: usize = 10;
/// The unit in which memory is counted.
const PERMIT_BYTES: usize = 1024;
/// A body that does not come any further is given up.
const IDLE: Duration = Duration::from_secs(15);
/// A whole body takes at most this long.
const TOTAL: Duration = Duration::from_secs(60);
/// After this time a body must have come at [`RATE_BYTES`] a second on average. A link that loses a third of its packets
/// may be silent for some seconds.
const RATE_GRACE: Duration = Duration::from_secs(10);
const RATE_BYTES: u64 = 1024;
/// Decompressed in steps of this size, each counted before it is kept.
const STEP_BYTES: usize = 64 * 1024;

/// What is allowed of one kind of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// As it travels.
    pub wire_bytes: usize,
    /// After decompression.
    pub text_bytes: usize,
    /// Whether it may be zstd.
    pub zstd: bool,
    /// Whether it counts against the part kept for people and tools.
    pub reserve: bool,
    /// How many times its text it takes in memory once it is parsed: it counts as much before that.
    pub parsed: usize,
}

/// What agents send.
pub const AGENT: Allowed = Allowed {
    wire_bytes: limit::BODY_COMPRESSED_BYTES,
    text_bytes: limit::BODY_BYTES,
    zstd: true,
    reserve: false,
    parsed: 4,
};
/// What people and tools send.
pub const WEB: Allowed =
    Allowed { wire_bytes: 1024 * 1024, text_bytes: 1024 * 1024, zstd: false, reserve: true, parsed: 2 };
/// What comes to enroll.
pub const ENROLL: Allowed =
    Allowed { wire_bytes: 32 * 1024, text_bytes: 32 * 1024, zstd: false, reserve: false, parsed: 2 };

/// Memory for bodies in flight.
pub struct Budget {
    agents: Arc<Semaphore>,
    people: Arc<Semaphore>,
}

/// What is read of a body that is too large, before it is refused.
const DISCARD_BYTES: usize = 2 * 1024 * 1024;
/// For how long.
const DISCARD_TIME: Duration = Duration::from_secs(2);

impl Default for Budget {
    fn default() -> Budget {
        let all = BUDGET_BYTES / PERMIT_BYTES;
        let people = all * RESERVE_PERCENT / 100;
        Budget { agents: Arc::new(Semaphore::new(all - people)), people: Arc::new(Semaphore::new(people)) }
    }
}

/// A body in memory; its share of the budget is given back when it is dropped.
pub struct Held {
    /// The text.
    pub text: Vec<u8>,
    _permits: Permits,
}

/// The share of the budget that a body has so far.
struct Permits {
    of: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Permits {
    fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let more = self.of.clone().try_acquire_many_owned(permits);
        let more = more.map_err(|_| ApiError::busy("too many bodies are in flight; try again later", 5))?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

/// Reads the body of a request.
///
/// # Errors
/// 408, 413, 415, 422 or 503, naming the limit.
pub async fn read(request: Request, app: &App, allowed: Allowed) -> Result<Held, ApiError> {
    let zstd = is_zstd(request.headers(), allowed)?;
    let of = if allowed.reserve { &app.budget.people } else { &app.budget.agents };
    let mut permits = Permits { of: of.clone(), held: None };
    let wire = receive(request.into_body(), allowed.wire_bytes, &mut permits).await?;
    let text = if zstd {
        decompress(&wire, allowed.text_bytes, |bytes| permits.grow(bytes * allowed.parsed))?
    } else {
        permits.grow(wire.len() * (allowed.parsed - 1))?;
        wire
    };
    Ok(Held { text, _permits: permits })
}

fn is_zstd(headers: &HeaderMap, allowed: Allowed) -> Result<bool, ApiError> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let first = encodings.next().map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    match first.as_deref() {
        _ if encodings.next().is_some() => {}
        None | Some("identity") => return Ok(false),
        Some("zstd") if allowed.zstd => return Ok(true),
        Some(_) => {}
    }
    let known = if allowed.zstd { "zstd or none" } else { "none" };
    let why = format!("this Content-Encoding is not known here; use {known}");
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why).field("content-encoding"))
}

async fn receive(mut body: Body, limit_bytes: usize, permits: &mut Permits) -> Result<Vec<u8>, ApiError> {
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if told > limit_bytes {
        discard(body).await;
        return Err(too_large("body_compressed_bytes", limit_bytes));
    }
    permits.grow(told.max(PERMIT_BYTES))?;
    let mut room = told.max(PERMIT_BYTES);
    let mut bytes = Vec::with_capacity(told);
    let start = Instant::now();
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let Ok(frame) = tokio::time::timeout(patience(start.elapsed(), bytes.len()), frame).await else {
            return Err(too_slow());
        };
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|_| ApiError::bad("body", "the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limit_bytes {
            discard(body).await;
            return Err(too_large("body_compressed_bytes", limit_bytes));
        }
        if bytes.len() + data.len() > room {
            permits.grow(STEP_BYTES)?;
            room += STEP_BYTES;
        }
        bytes.extend_from_slice(&data);
        if patience(start.elapsed(), bytes.len()).is_zero() {
            return Err(too_slow());
        }
    }
}

/// How long more of a body may take to come, after so long and so many bytes: until it has been silent or slow for too
/// long, or takes too long as a whole.
fn patience(elapsed: Duration, bytes: usize) -> Duration {
    let fast_enough_until = Duration::from_secs(bytes as u64 / RATE_BYTES).max(RATE_GRACE);
    IDLE.min(fast_enough_until.saturating_sub(elapsed)).min(TOTAL.saturating_sub(elapsed))
}

/// Reads on for a while without keeping anything: whoever sends a little too much then hears why, instead of
/// finding the connection closed under the body.
async fn discard(mut body: Body) {
    let mut left = DISCARD_BYTES;
    let drain = async {
        while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len()));
            if left == 0 {
                return;
            }
        }
    };
    // Too slow is no reason to wait: the answer is the same.
    let _ = tokio::time::timeout(DISCARD_TIME, drain).await;
}

/// Decompresses one zstd frame; `grow` is asked for memory before each step.
///
/// # Errors
/// 413 or 422, naming the limit.
pub fn decompress(
    wire: &[u8],
    limit_bytes: usize,
    mut grow: impl FnMut(usize) -> Result<(), ApiError>,
) -> Result<Vec<u8>, ApiError> {
    let broken = |error: std::io::Error| ApiError::invalid("content-encoding", format!("not zstd: {error}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(wire).map_err(broken)?.single_frame();
    decoder.window_log_max(limit::ZSTD_WINDOW_LOG).map_err(broken)?;
    let mut text = Vec::new();
    loop {
        grow(STEP_BYTES)?;
        let before = text.len();
        let read = decoder.by_ref().take(STEP_BYTES as u64).read_to_end(&mut text).map_err(|error| {
            if error.to_string().contains("memory") {
                let why = format!("the zstd window is larger than {} bytes", 1_u64 << limit::ZSTD_WINDOW_LOG);
                return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, why).field("zstd_window");
            }
            broken(error)
        })?;
        if text.len() > limit_bytes {
            return Err(too_large("body_bytes", limit_bytes));
        }
        if text.len() > limit::RATIO_GRACE_BYTES && text.len() / wire.len().max(1) > limit::BODY_RATIO {
            let why = format!("more than {} times as large when decompressed", limit::BODY_RATIO);
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, why).field("body_ratio"));
        }
        if read < STEP_BYTES && text.len() == before + read {
            return Ok(text);
        }
    }
}

fn too_large(limit: &str, bytes: usize) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("more than {bytes} bytes")).field(limit)
}

fn too_slow() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly").field("body_time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(wire: &[u8]) -> (u16, usize) {
        let mut taken = 0;
        let error = decompress(wire, limit::BODY_BYTES, |bytes| {
            taken += bytes;
            Ok(())
        });
        (error.err().map_or(200, |error| error.status().as_u16()), taken)
    }

    fn compressed(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).expect("compressed")
    }

    #[test]
    fn an_honest_body_comes_out_whole() {
        let text: Vec<u8> =
            (0..200_000_u32).flat_map(|n| format!("{:08x}", n.wrapping_mul(0x9E37_79B9)).into_bytes()).collect();
        assert_eq!(decompress(&compressed(&text), limit::BODY_BYTES, |_| Ok(())), Ok(text));
        assert_eq!(decompress(&compressed(b""), limit::BODY_BYTES, |_| Ok(())), Ok(Vec::new()));
    }

    #[test]
    fn a_body_that_is_slow_or_silent_is_not_waited_for() {
        let s = Duration::from_secs;
        for (elapsed_s, bytes, left_s) in [
            (0, 0, 10),
            (3, 100, 7),
            (10, 100, 0),
            (10, 9 * 1024, 0),
            (18, 20 * 1024, 2),
            (8, 100 * 1024, 15),
            (59, 1 << 20, 1),
        ] {
            assert_eq!(patience(s(elapsed_s), bytes), s(left_s), "{bytes} bytes in {elapsed_s} s");
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_grows() {
        let (status, taken) = refused(&compressed(&vec![0; 64 * 1024 * 1024]));
        assert_eq!(status, 413);
        assert!(taken <= 1024 * 1024, "{taken} bytes were taken");
    }

    #[test]
    fn a_huge_window_is_refused() {
        // A frame header that asks for a window of 2 GiB: magic, descriptor, window descriptor (exponent 21).
        let wire = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert_eq!(refused(&wire).0, 413);
    }

    #[test]
    fn what_is_not_zstd_is_said_so() {
        assert_eq!(refused(b"{\"stream\":1}").0, 422);
        let whole = compressed(b"{\"stream\":1}");
        assert_eq!(refused(&whole[..whole.len() - 3]).0, 422);
    }
}
