//! One check-in on the wire: how it is packed, and what the collector's answer means. Pure.

use crate::client::{CallError, Reply};
use shared::checkin::{Answer, CheckIn};

/// Records in one check-in carry no more JSON than this, in bytes, unless the first alone does.
pub const BATCH_BYTES: u64 = 1024 * 1024;
/// A body larger than this is packed, in bytes: below it zstd gains nothing.
const PACK_BYTES_MIN: usize = 512;
/// zstd's level: 3 is its default; higher ones cost a machine more than they save the network.
pub const PACK_LEVEL: i32 = 3;

/// A check-in's body, and whether it is packed with zstd.
pub fn pack(check_in: &CheckIn) -> (Vec<u8>, bool) {
    // Serialising our own type into memory cannot fail.
    let plain = serde_json::to_vec(check_in).unwrap_or_default();
    if plain.len() <= PACK_BYTES_MIN {
        return (plain, false);
    }
    match zstd::bulk::compress(&plain, PACK_LEVEL) {
        Ok(packed) => (packed, true),
        Err(_) => (plain, false),
    }
}

/// What came of a check-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The collector holds it.
    Taken(Answer),
    /// Another copy of this agent used the same number: a person has to decide.
    Fork(String),
    /// The collector does not take anything from this agent: revoked or quarantined.
    Banned(String),
    /// This body is not taken, and never will be: too large, or not understood. Which of its records is to
    /// blame, counted from 0, if it said so.
    Refused(Option<usize>, String),
    /// Later; in so many seconds if it said so.
    Later(Option<u32>, String),
    /// No connection: the collector has seen neither this nor the certificate.
    Unreachable(String),
    /// The certificate has ended: recover.
    Expired,
    /// It is not the collector that is trusted.
    Untrusted(String),
}

/// What an answer, or its absence, means.
pub fn judge(reply: Result<Reply, CallError>) -> Outcome {
    let reply = match reply {
        Ok(reply) => reply,
        Err(CallError::Expired) => return Outcome::Expired,
        Err(error @ (CallError::Unreachable(_) | CallError::TurnedAway(_))) => {
            return Outcome::Unreachable(error.to_string());
        }
        Err(error @ CallError::Untrusted(_)) => return Outcome::Untrusted(error.to_string()),
        Err(error @ CallError::Rejected(_)) => return Outcome::Banned(error.to_string()),
        Err(error) => return Outcome::Later(None, error.to_string()),
    };
    let complaint = reply.complaint();
    match reply.status {
        200 => match serde_json::from_slice(&reply.body) {
            Ok(answer) => Outcome::Taken(answer),
            Err(error) => Outcome::Later(None, format!("the answer is not understood: {error}")),
        },
        // A resumed session does not show the certificate again: that it has ended, HTTP says.
        401 => Outcome::Expired,
        403 => Outcome::Banned(complaint),
        409 => Outcome::Fork(complaint),
        400 | 413 | 415 | 422 => Outcome::Refused(reply.field().as_deref().and_then(record_of), complaint),
        _ => Outcome::Later(reply.retry_after_s, complaint),
    }
}

/// Which record a field lies in: 3 of `records[3].dpkg.rows`.
fn record_of(field: &str) -> Option<usize> {
    field.strip_prefix("records[")?.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::checkin::{Part, Record, State};
    use shared::digest::Digest;
    use shared::fact::Item;
    use shared::unit::At;

    fn reply(status: u16, body: &str, retry_after_s: Option<u32>) -> Result<Reply, CallError> {
        Ok(Reply { status, body: body.into(), retry_after_s, date: None })
    }

    #[test]
    fn answers_mean_different_things() {
        let problem = r#"{"title":"no","detail":"too many rows"}"#;
        let complaint = || "too many rows".to_owned();
        for (reply, expected) in [
            (reply(403, problem, None), Outcome::Banned(complaint() + " (403)")),
            (reply(409, problem, None), Outcome::Fork(complaint() + " (409)")),
            (reply(413, problem, None), Outcome::Refused(None, complaint() + " (413)")),
            (
                reply(422, r#"{"title":"too many rows","field":"records[12].dpkg.rows"}"#, None),
                Outcome::Refused(Some(12), complaint() + " (422)"),
            ),
            (
                reply(422, r#"{"title":"too many rows","field":"records"}"#, None),
                Outcome::Refused(None, complaint() + " (422)"),
            ),
            (reply(429, problem, Some(9)), Outcome::Later(Some(9), complaint() + " (429)")),
            (reply(503, "<html>", None), Outcome::Later(None, "status 503".into())),
            (reply(302, "", None), Outcome::Later(None, "status 302".into())),
            (reply(401, problem, None), Outcome::Expired),
            (Err(CallError::Expired), Outcome::Expired),
            (Err(CallError::Unreachable("x".into())), Outcome::Unreachable("out of reach: x".into())),
            (Err(CallError::TurnedAway("x".into())), Outcome::Unreachable("turned away: x".into())),
            (Err(CallError::Broken("x".into())), Outcome::Later(None, "no answer: x".into())),
        ] {
            assert_eq!(judge(reply), expected);
        }
        assert!(matches!(judge(reply(200, "{}", None)), Outcome::Later(None, why) if why.contains("not understood")));
        let zero = "0".repeat(32);
        let answer = format!(r#"{{"root":"{zero}","seq":3,"next_s":60,"now":5,"settings":"{zero}","new_field":1}}"#);
        assert!(matches!(judge(reply(200, &answer, None)), Outcome::Taken(answer) if answer.seq == 3));
    }

    #[test]
    fn a_beat_is_plain_and_small_and_a_report_is_packed() {
        let mut check_in = CheckIn {
            stream: Digest::default(),
            seq: u64::MAX,
            root: Digest::default(),
            moved: true,
            goodbye: Some(shared::checkin::Goodbye::Shutdown),
            records: Vec::new(),
        };
        let (beat, packed) = pack(&check_in);
        assert!(!packed && beat.len() <= 200, "{} bytes", beat.len());
        let part = Part {
            section: "dpkg".into(),
            state: State::Seen,
            digest: Digest::default(),
            base: None,
            put: Some((0..200).map(|n| Item::new("package", format!("package-{n}"))).collect()),
            del: Vec::new(),
            problems: Vec::new(),
            truncated: false,
        };
        check_in.records = vec![Record { seq: 1, at: At(0), root: Digest::default(), sections: vec![part], gap: None }];
        let (body, packed) = pack(&check_in);
        assert!(packed);
        let plain = zstd::bulk::decompress(&body, shared::limit::BODY_BYTES).expect("zstd");
        assert_eq!(serde_json::from_slice::<CheckIn>(&plain).expect("a check-in"), check_in);
    }
}
