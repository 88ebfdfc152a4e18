//! One table over all recordings of other machines: what the agent's tests compare with what others read from them.
//! Knows how the tests say it; what is compared, and which rules explain a difference, they know.

use anyhow::{Context, Result, bail, ensure};
use std::process::Command;

/// What a test's line begins with.
const MARK: &str = "recordings: ";
/// What a line of a test that compares nothing begins with.
const SKIPPED: &str = "SKIP: ";

/// What must have been compared, each at least once. One line adds one.
const EXPECTED: &[&str] = &[
    "glpi: SMBIOS tables",
    "glpi: processors",
    "glpi: release files",
    "glpi: storages",
    "glpi: udev",
    "jc: group members of centos-7.7",
    "jc: group members of ubuntu-18.04",
    "jc: os-release and boot time",
    "lsblk: devices and partitions",
    "lscpu: hypervisors",
    "lscpu: processors",
];

/// Runs the tests and prints the table.
///
/// # Errors
/// A test that fails, a comparison that was not made, or a difference that nothing explains.
pub fn run() -> Result<()> {
    let mut tests = Command::new("cargo");
    tests.args(["test", "--quiet", "-p", "agent", "--test", "machines", "--test", "smbios_recordings"]);
    let out = tests.args(["--", "--nocapture"]).output().context("cargo")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let mut rows: Vec<Row> = text.lines().filter_map(parse).collect();
    rows.sort();
    println!("     {:44}{:>8}{:>10}{:>8}{:>11}{:>13}", "", "files", "compared", "equal", "explained", "unexplained");
    let mut total = [0; 5];
    for (what, numbers) in &rows {
        show(what, numbers);
        for (sum, number) in total.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
    show("in all", &total);
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    for line in text.lines().chain(errors.lines()) {
        if let Some((_, why)) = line.split_once(SKIPPED) {
            println!("SKIP {why}");
        }
    }
    if !out.status.success() {
        bail!("a test failed:\n{text}{errors}");
    }
    let lacking = lacking(&rows);
    ensure!(lacking.is_empty(), "not compared, for want of recordings: {}", lacking.join(", "));
    let [.., unexplained] = total;
    ensure!(unexplained == 0, "{unexplained} differences have no explanation");
    println!("PASS every difference has a rule that holds");
    Ok(())
}

/// What was not compared, or with nothing.
fn lacking(rows: &[Row]) -> Vec<&'static str> {
    let compared = |what: &str| rows.iter().any(|(row, [files, facts, ..])| row == what && *files > 0 && *facts > 0);
    EXPECTED.iter().copied().filter(|what| !compared(what)).collect()
}

fn show(what: &str, numbers: &[u64; 5]) {
    let [files, compared, equal, explained, unexplained] = numbers;
    println!("     {what:44}{files:>8}{compared:>10}{equal:>8}{explained:>11}{unexplained:>13}");
}

/// What is compared with whom; files, facts compared, equal, explained, unexplained.
type Row = (String, [u64; 5]);

/// `recordings: lscpu: processors: 14 files, 133 facts compared, 118 equal, 15 explained, 0 unexplained`
fn parse(line: &str) -> Option<Row> {
    // The tests' own dots may stand before it.
    let (_, line) = line.split_once(MARK)?;
    let (what, counts) = line.rsplit_once(": ")?;
    let numbers = counts.split(", ").map(|count| count.split(' ').next()?.parse().ok());
    let numbers = numbers.collect::<Option<Vec<u64>>>()?;
    Some((what.to_owned(), numbers.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_test_is_a_row() {
        let line =
            "..recordings: lscpu: processors: 14 files, 133 facts compared, 118 equal, 15 explained, 0 unexplained";
        assert_eq!(parse(line), Some(("lscpu: processors".to_owned(), [14, 133, 118, 15, 0])));
        assert_eq!(parse("recordings: nothing"), None);
    }

    #[test]
    fn what_was_not_compared_is_lacking() {
        let all: Vec<Row> = EXPECTED.iter().map(|what| ((*what).to_owned(), [1, 9, 9, 0, 0])).collect();
        assert!(lacking(&all).is_empty());
        assert_eq!(lacking(&all[1..]), [EXPECTED[0]]);
        let nothing = [(EXPECTED[0].to_owned(), [1, 0, 0, 0, 0])];
        assert_eq!(lacking(&[&nothing, &all[1..]].concat()), [EXPECTED[0]]);
        assert_eq!(lacking(&[]).len(), EXPECTED.len());
    }
}
