//! Probe `health_services`: health: units that failed.
//!
//! The one thing of which no file tells: that a service is not active shows in `/run/systemd/units`, but
//! whether it ended or failed only the manager knows, and `systemctl` asks it. That is the only child process
//! of a whole inventory, started only where systemd runs the machine, and only after something has changed:
//! each start and end of a unit changes `/run/systemd/units`. What `systemctl reset-failed` does changes no
//! file, so a quarter of an hour is the longest that an answer is kept; five minutes where that folder is missing
//! (older versions of systemd have none).
//!
//! Only failed units are told. Of one that is not told nothing is wrong.

use super::{Every, Found, Os, Probe};
use crate::source::{Command, Miss, Source};
use shared::checkin::{Problem, Why};
use shared::health::Reading;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "health_services", os: &[Os::Linux], every: Every::Sample, needs: "", mark: Some(mark), run };

/// sd_booted(3): systemd runs this machine.
const BOOTED: &str = "/run/systemd/system";
const KEPT_SECONDS: i64 = 900;
/// Where nothing shows a change.
const KEPT_BLIND_SECONDS: i64 = 300;

fn mark(source: &dyn Source) -> Option<String> {
    if source.stat(BOOTED) == Err(Miss::Absent) {
        return Some("no systemd".to_owned());
    }
    let (changed, kept) = match source.stat("/run/systemd/units") {
        Ok(units) => (units.modified.0, KEPT_SECONDS),
        // Without the folder no change shows; a child process at each sample would cost more than all else.
        Err(_) => (0, KEPT_BLIND_SECONDS),
    };
    Some(format!("{changed}:{}", source.clock().ok()?.secs().div_euclid(kept)))
}

fn run(source: &dyn Source) -> Result<Found, Problem> {
    match source.stat(BOOTED) {
        Ok(_) => {}
        Err(Miss::Absent) => return Ok(Found::default()),
        Err(miss) => return Err(miss.problem(BOOTED)),
    }
    const WHAT: &str = "systemctl list-units";
    let bytes = source.command(Command::SystemctlUnits).map_err(|miss| miss.problem(WHAT))?;
    let (failed, malformed) = parse(&bytes);
    let mut found = Found { items: failed.into_iter().map(Into::into).collect(), problems: Vec::new() };
    if malformed > 0 {
        let detail = format!("lines that are no units: {malformed}");
        found.problems.push(Problem::new(Why::Malformed, WHAT).detail(detail));
    }
    Ok(found)
}

/// The failed units, and how many lines were malformed.
///
/// `● ssh.service loaded failed failed OpenBSD Secure Shell server`: name, whether its file was loaded,
/// whether it is active, in which state, description. Older versions mark the line even without colours.
pub fn parse(bytes: &[u8]) -> (Vec<Reading>, usize) {
    let text = String::from_utf8_lossy(bytes);
    let mut failed = Vec::new();
    let mut malformed = 0;
    for line in text.lines() {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '●' || c == '*');
        if line.is_empty() {
            continue;
        }
        let mut fields = line.split_whitespace();
        let (Some(name), Some(_), Some(active), Some(_)) = (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            malformed += 1;
            continue;
        };
        if active == "failed" {
            let description = fields.collect::<Vec<_>>().join(" ");
            failed.push(Reading {
                check: "failed_unit".to_owned(),
                resource: name.to_owned(),
                value: 1,
                total: None,
                identity: None,
                detail: (!description.is_empty()).then_some(description),
            });
        }
    }
    (failed, malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Stat;
    use crate::source::tape::Tape;
    use proptest::prelude::*;
    use shared::unit::At;

    const UNITS: &str = "\
  cron.service    loaded    active   running Regular background program processing daemon
● srv-data.mount  loaded    failed   failed  /srv/data
● web.service     loaded    failed   failed  The web
  gone.service    not-found inactive dead    gone.service
* db@15.service   loaded    failed   failed
nonsense
";

    fn stat(modified: At) -> Stat {
        Stat { form: 'd', size_bytes: 0, modified, uid: 0, mode: 0o755, device: (0, 1), inode: 1 }
    }

    fn booted(units_changed: i64, now: i64) -> Tape {
        Tape::new()
            .stat(BOOTED, stat(At(0)))
            .stat("/run/systemd/units", stat(At::from_secs(units_changed)))
            .clock(At::from_secs(now))
            .command(Command::SystemctlUnits, UNITS)
    }

    #[test]
    fn failed_units_are_told() {
        let found = run(&booted(1, 1)).expect("found");
        let told: Vec<_> = found.items.iter().map(|item| (item.key.as_str(), item.text("detail"))).collect();
        assert_eq!(
            told,
            [
                ("failed_unit:srv-data.mount", Some("/srv/data")),
                ("failed_unit:web.service", Some("The web")),
                ("failed_unit:db@15.service", None),
            ]
        );
        let argv = Command::SystemctlUnits.argv();
        assert!(argv.contains(&"--state=failed") && !argv.iter().any(|argument| argument.starts_with("--type")));
        assert_eq!(argv.first(), Some(&"/bin/systemctl"), "the one place that every distribution has");
        assert_eq!(found.problems[0].detail, "lines that are no units: 1");
    }

    #[test]
    fn nothing_is_started_where_systemd_does_not_run() {
        // The tape holds an answer to nothing: a command would be a miss and fail the section.
        assert_eq!(run(&Tape::new()), Ok(Found::default()));
    }

    #[test]
    fn the_manager_is_asked_again_only_after_a_change_or_a_while() {
        assert_eq!(mark(&booted(5, 900)), mark(&booted(5, 1799)));
        assert_ne!(mark(&booted(5, 900)), mark(&booted(6, 900)));
        assert_ne!(mark(&booted(5, 900)), mark(&booted(5, 1800)));
        // Where the folder is missing no change shows.
        let blind = |now| mark(&Tape::new().stat(BOOTED, stat(At(0))).clock(At::from_secs(now)));
        assert_eq!(blind(300), blind(599));
        assert_ne!(blind(300), blind(600));
        assert_eq!(mark(&Tape::new().stat(BOOTED, stat(At(0)))), None, "no clock");
        assert_eq!(mark(&Tape::new()).as_deref(), Some("no systemd"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse(&bytes);
        }
    }
}
