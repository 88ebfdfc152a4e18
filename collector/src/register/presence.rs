//! How lately an asset was heard. Derived from the last check-in and the last goodbye; never stored, and
//! never the reason for a lifecycle move.

use super::model::Presence;
use shared::checkin::Goodbye;
use shared::unit::At;

/// Missed intervals up to which an asset is online.
pub const ONLINE_INTERVALS: i64 = 2;
/// Seconds after which it is stale: 14 days.
pub const STALE_S: i64 = 14 * 86_400;
/// Seconds after which it is missing: 45 days.
pub const MISSING_S: i64 = 45 * 86_400;

/// The presence of an asset whose agent was last heard at `heard`, and said `goodbye` last unless it was
/// heard again. `interval_s` is the time between its check-ins. Whoever is away for weeks is stale or
/// missing even if it said goodbye.
pub fn presence(heard: Option<At>, goodbye: Option<Goodbye>, interval_s: i64, now: At) -> Presence {
    let Some(heard) = heard else { return Presence::Never };
    let away_s = now.secs_since(heard);
    match goodbye {
        _ if away_s > MISSING_S => Presence::Missing,
        _ if away_s > STALE_S => Presence::Stale,
        Some(_) => Presence::Off,
        None if away_s <= ONLINE_INTERVALS.saturating_mul(interval_s) => Presence::Online,
        None => Presence::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_follows_from_time_and_goodbyes() {
        let at = |s| presence(Some(At(0)), None, 300, At::from_secs(s));
        assert_eq!(
            [at(-5), at(600), at(601), at(14 * 86_400), at(14 * 86_400 + 1), at(45 * 86_400 + 1)],
            [
                Presence::Online,
                Presence::Online,
                Presence::Silent,
                Presence::Silent,
                Presence::Stale,
                Presence::Missing
            ]
        );
        let bye = |why, s| presence(Some(At(0)), Some(why), 300, At::from_secs(s));
        assert_eq!(bye(Goodbye::Sleep, 1), Presence::Off);
        assert_eq!(bye(Goodbye::Shutdown, 86_400), Presence::Off);
        assert_eq!(bye(Goodbye::Stop, 1), Presence::Off);
        assert_eq!(bye(Goodbye::Sleep, 15 * 86_400), Presence::Stale);
        assert_eq!(presence(None, None, 300, At(0)), Presence::Never);
    }
}
