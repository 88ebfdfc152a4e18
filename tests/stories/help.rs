//! What `--help` says, of every verb of both programs, as golden files: a change of words is seen in review.
//! `cargo run -p packaging -- golden` writes them. Man pages and completions come from the same definitions.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use tests::binary;

/// Standard output of a program that must succeed, with nothing of our environment in it.
fn ask(program: &str, args: &[&str]) -> String {
    let out = Command::new(binary(program)).args(args).env_clear().output().expect("it runs");
    assert!(out.status.success(), "{program} {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The verbs that a help lists.
fn verbs(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The help of a verb and of all below it, and the verbs' names.
fn gather(program: &str, path: &[&str], text: &mut String, names: &mut Vec<String>) {
    let help = ask(program, &[path, &["--help"]].concat());
    names.push([&[program], path].concat().join("-"));
    text.push_str(&format!("$ {} --help\n{}\n\n", [&[program], path].concat().join(" "), help.trim_end()));
    for verb in verbs(&help) {
        gather(program, &[path, &[verb.as_str()]].concat(), text, names);
    }
}

/// Compares with a golden file, or writes it where that was asked for.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(&path, text).expect("written");
    }
    let promised = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = promised.lines().zip(text.lines()).position(|(then, now)| then != now);
    assert!(
        promised == text,
        "{name} differs from line {}; if that is wanted: cargo run -p packaging -- golden",
        differs.unwrap_or(promised.lines().count().min(text.lines().count())) + 1
    );
}

#[test]
fn every_verb_says_what_the_golden_file_says_and_has_a_man_page() {
    for program in ["muster", "muster-agent"] {
        let (mut text, mut names) = (String::new(), Vec::new());
        gather(program, &[], &mut text, &mut names);
        assert!(names.len() > 10, "{names:?}");
        golden(&format!("{program}.help.txt"), &text);

        let folder = tempfile::tempdir().expect("a folder");
        ask(program, &["docs", "man", folder.path().join("man1").to_str().expect("a path")]);
        let pages = std::fs::read_dir(folder.path().join("man1")).expect("pages");
        let pages: BTreeSet<String> =
            pages.filter_map(|page| page.ok()?.file_name().to_str()?.strip_suffix(".1").map(str::to_owned)).collect();
        assert_eq!(pages, names.into_iter().collect());
        for shell in ["bash", "zsh", "fish"] {
            let completions = ask(program, &["docs", "completions", shell]);
            assert!(verbs(&text).iter().all(|verb| completions.contains(verb.as_str())), "{program}, {shell}");
        }
    }
}

#[test]
fn the_settings_that_the_agents_help_tells_are_taken() {
    let help = ask("muster-agent", &["run", "--help"]);
    let told =
        help.lines().skip_while(|line| !line.starts_with("Settings")).skip(1).take_while(|line| !line.is_empty());
    let text: String = told.map(|line| format!("{}\n", line.trim().trim_start_matches("# "))).collect();
    assert!(text.contains("state_dir") && text.contains("proxy"), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("agent.toml");
    std::fs::write(&config, text).expect("written");
    ask("muster-agent", &["probe", "--config", config.to_str().expect("a path")]);
}
