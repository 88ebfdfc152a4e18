//! What the agent sends: bodies of check-ins as they travel, of this machine as a tape, to a collector beside it.
//! A tape, because then nothing changes but what is changed here.

use super::scene::Scene;
use anyhow::{Context, Result, bail};
use shared::checkin::{CheckIn, Rows};
use std::path::Path;
use std::process::Command;

/// Bytes of bodies.
pub struct Bodies {
    /// All of the first report.
    pub first: u64,
    /// A check-in with nothing new.
    pub beat: u64,
    /// One package has another version.
    pub package: u64,
}

/// Measures them.
///
/// # Errors
/// A step that did not work, or a check-in that did not come in time.
pub fn bodies(agent: &Path, muster: &Path) -> Result<Bodies> {
    let scene = Scene::start(
        agent,
        muster,
        "short_times = true\n[agents]\ncheckin_s = 1\nhealth_s = 1\n[limits]\ncheckin_every_ms = 0\n",
    )?;
    let tape = scene.at("machine.tape");
    let made = Command::new(agent).args(["record", "--file"]).arg(&tape).status().context("record")?;
    if !made.success() {
        bail!("the agent records no tape");
    }
    scene.join("agent", "log = \"debug\"\ncheckin_s = 1\nhealth_s = 1\n")?;
    let _service = scene.run("agent", &["--tape", &tape.to_string_lossy()])?;
    let (first, beat, before) = scene.wait("agent.log", |log| {
        let posts = posts(log);
        let beat = posts.iter().position(|(records, _)| *records == 0)?;
        Some((posts.get(..beat)?.iter().map(|(_, bytes)| bytes).sum(), posts.get(beat)?.1, posts.len()))
    })?;
    let text = std::fs::read_to_string(&tape)?;
    let changed = scene.at("machine.next");
    std::fs::write(&changed, other_version(&text).context("no package on the tape")?)?;
    std::fs::rename(&changed, &tape)?;
    // Beats overwrite it, but once a second only. What was sent first carries no delta.
    let sent = scene.wait("agent/sent.json", |sent| {
        let sent: CheckIn = serde_json::from_str(sent).ok()?;
        sent.records.iter().flat_map(|record| &record.sections).any(|part| part.base.is_some()).then_some(sent)
    })?;
    if !is_one_row_of_dpkg(&sent) {
        bail!("not one row of dpkg was sent: {}", serde_json::to_string(&sent)?);
    }
    // It is told of after that file was written.
    let with_records = scene.wait("agent.log", |log| {
        let all: Vec<_> = posts(log).get(before..)?.iter().copied().filter(|(records, _)| *records > 0).collect();
        (!all.is_empty()).then_some(all)
    })?;
    match with_records.as_slice() {
        [(1, package)] => Ok(Bodies { first, beat, package: *package }),
        other => bail!("one package changed, and these were sent (records, bytes): {other:?}"),
    }
}

/// One record with one section, which is one changed row of the packages and nothing else.
fn is_one_row_of_dpkg(sent: &CheckIn) -> bool {
    let [record] = sent.records.as_slice() else { return false };
    let [part] = record.sections.as_slice() else { return false };
    let one = matches!(part.rows(), Rows::Delta { put: [_], del: [], .. });
    part.section == "dpkg" && one
}

/// Records and bytes of each check-in that the log tells of: `…/v1/checkin: 1 records, 21034 bytes`.
fn posts(log: &str) -> Vec<(u64, u64)> {
    let told = |line: &str| {
        let (records, bytes) = line.split_once("/v1/checkin: ")?.1.strip_suffix(" bytes")?.split_once(" records, ")?;
        Some((records.parse().ok()?, bytes.parse().ok()?))
    };
    log.lines().filter_map(told).collect()
}

/// The tape with another version of the first package.
fn other_version(tape: &str) -> Option<String> {
    let database = tape.find("\nfile /var/lib/dpkg/status\n")?;
    let version = database + tape.get(database..)?.find("\n| Version: ")?;
    let end = version + 1 + tape.get(version + 1..)?.find('\n')?;
    Some(format!("{}+new1{}", tape.get(..end)?, tape.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_from_the_log() {
        let log = "muster-agent: debug: https://127.0.0.1:1/v1/checkin: 2 records, 30 bytes\nother\n\
                   muster-agent: debug: https://127.0.0.1:1/v1/checkin: status 200\n";
        assert_eq!(posts(log), [(2, 30)]);
    }

    #[test]
    fn a_figure_of_one_package_is_of_one_package() {
        let zero = "0".repeat(32);
        let sent = |sections: &str| {
            let record = format!(r#"{{"seq":2,"at":0,"root":"{zero}","sections":[{sections}]}}"#);
            let text = format!(r#"{{"stream":"{zero}","seq":2,"root":"{zero}","records":[{record}]}}"#);
            is_one_row_of_dpkg(&serde_json::from_str(&text).expect(&text))
        };
        let part =
            |name: &str, rows: &str| format!(r#"{{"section":"{name}","state":"seen","digest":"{zero}",{rows}}}"#);
        let row = format!(r#""base":"{zero}","put":[{{"kind":"package","key":"a"}}]"#);
        assert!(sent(&part("dpkg", &row)));
        assert!(!sent(&part("health_self", &row)));
        assert!(!sent(&part("dpkg", &row.replacen("base", "other", 1))), "the whole section");
        assert!(!sent(&format!("{},{}", part("dpkg", &row), part("ports", &row))));
        assert!(!sent(&part("dpkg", &format!(r#"{row},"del":["b"]"#))));
        assert!(!sent(""));
    }

    #[test]
    fn one_version_of_a_tape_changes() {
        let tape = "muster-tape 1 linux\nfile /var/lib/dpkg/status\n| Package: a\n| Version: 1\n|\n| Version: 2\n";
        assert_eq!(other_version(tape), Some(tape.replace("Version: 1", "Version: 1+new1")));
    }
}
