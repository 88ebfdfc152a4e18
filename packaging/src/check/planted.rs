//! Whether the checks can fail: a copy of this tree with one bug planted in each, built, and the check that is to find
//! it. A bug that no check finds is what fails here.
//!
//! Bugs are texts put for texts in the copy, so that nothing of them is in the product. A text that is not there
//! exactly once is an error: the bug must be planted anew. Does not know what the checks do.

use anyhow::{Context, Result, ensure};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which, and where they are built.
#[derive(Debug, Args)]
pub struct Planted {
    /// Only the bugs with this in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Where copies are made and built; kept, so that the next run is quicker. By default in the target folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// One bug.
struct Bug {
    name: &'static str,
    file: &'static str,
    text: &'static str,
    planted: &'static str,
    /// What is run, with the folder of the binaries behind it.
    check: &'static [&'static str],
    /// What it must print: it is to fail for this bug, not for another reason.
    says: &'static str,
}

const POWERCUT: &[&str] =
    &["powercut", "--only-collector", "--points", "60", "--agents", "16", "--records", "10", "--binaries"];

/// All of them.
const BUGS: &[Bug] = &[
    Bug {
        name: "synchronous NORMAL",
        file: "collector/src/store/sqlite.rs",
        text: r#"this.pragma("synchronous", "full")?;"#,
        planted: r#"this.pragma("synchronous", "normal")?;"#,
        check: POWERCUT,
        says: "FAIL collector: acknowledged and lost",
    },
    Bug {
        name: "reply before commit",
        file: "collector/src/store/writer.rs",
        text: "        let head = self.journal.write(&mut self.engine)?;\n",
        planted: "        let head = self.journal.write(&mut self.engine)?;\n        answers.drain(..).for_each(Answer::send);\n",
        check: POWERCUT,
        says: "FAIL collector: acknowledged and lost",
    },
    Bug {
        name: "ledger of revocations not synced",
        file: "collector/src/store/ledger.rs",
        text: "        file.sync_data()?;\n",
        planted: "",
        check: POWERCUT,
        says: "FAIL collector: acknowledged and lost",
    },
    Bug {
        name: "agent state unchecked on a resumed session",
        file: "collector/src/api/agent.rs",
        text: "        state => return Err(barred(state.name())),\n",
        planted: "        _ => return Ok(member),\n",
        check: &["security", "--only", "12", "--binaries"],
        says: "FAIL 12",
    },
];

/// Plants each, builds and checks.
///
/// # Errors
/// A bug that no check finds, or a copy that does not build.
pub fn run(planted: &Planted) -> Result<()> {
    let own = std::env::current_exe().context("own path")?;
    let place = match &planted.dir {
        Some(dir) => dir.clone(),
        None => own.ancestors().nth(2).context("target folder")?.join("planted"),
    };
    let copy = place.join("tree");
    let wanted = |bug: &&Bug| planted.only.as_ref().is_none_or(|only| bug.name.contains(only.as_str()));
    let mut all = true;
    for bug in BUGS.iter().filter(wanted) {
        fill(&copy)?;
        plant(&copy, bug)?;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "-p", "collector", "-p", "agent"]).current_dir(&copy);
        cargo.env("CARGO_TARGET_DIR", place.join("target"));
        ensure!(cargo.status().context("cargo")?.success(), "the copy with {} does not build", bug.name);
        let mut check = Command::new(&own);
        check.arg("check").args(bug.check).arg(place.join("target/debug"));
        let out = check.output().context("the check")?;
        let said = String::from_utf8_lossy(&out.stdout);
        let line = said.lines().find(|line| line.starts_with(bug.says));
        match line {
            Some(line) if !out.status.success() => println!("PASS planted {}: found ({line})", bug.name),
            _ if said.starts_with("SKIP") => println!("{} (planted {})", said.trim(), bug.name),
            _ => {
                all = false;
                println!("FAIL planted {}: not found by `check {}`: {said}", bug.name, bug.check.join(" "));
            }
        }
    }
    ensure!(all, "a planted bug was not found");
    Ok(())
}

/// A copy of what git knows here; files that are the same stay as they are, so that little is built anew.
fn fill(copy: &Path) -> Result<()> {
    let listed = Command::new("git").args(["ls-files", "-z"]).output().context("git")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        // One that was removed and is still known is not needed.
        let Ok(content) = fs::read(name) else { continue };
        let path = copy.join(name);
        if fs::read(&path).is_ok_and(|there| there == content) {
            continue;
        }
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn plant(copy: &Path, bug: &Bug) -> Result<()> {
    let path = copy.join(bug.file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let times = text.matches(bug.text).count();
    ensure!(times == 1, "{}: the text for {:?} is there {times} times, not once", bug.file, bug.name);
    fs::write(&path, text.replace(bug.text, bug.planted)).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_can_still_be_planted() {
        for bug in BUGS {
            let path = Path::new("..").join(bug.file);
            let text = fs::read_to_string(&path).expect("the file");
            assert_eq!(text.matches(bug.text).count(), 1, "{}: {}", bug.name, bug.file);
        }
    }
}
