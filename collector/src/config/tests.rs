use super::*;

fn from(text: &str) -> Result<Config, String> {
    parse(text, "muster.toml", |_| None).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_is_the_shipped_settings() {
    let config = from("").expect("settings");
    assert_eq!(config.policy, Policy::default());
    assert_eq!((config.agent_listen.port(), config.web_listen.port()), (8443, 8444));
    assert_eq!(config.limits.connections, 12_000);
    assert!(config.agent_url.starts_with("https://") && config.agent_url.ends_with(":8443"), "{}", config.agent_url);
}

#[test]
fn the_help_of_serve_tells_every_setting_with_its_default() {
    let told = crate::cli::serve::SETTINGS;
    let parsed: File = toml::from_str(told).expect("a file that may be copied");
    assert_eq!(parsed, File::default());
    for key in file::keys() {
        let last = key.rsplit('.').next().unwrap_or_default();
        let is_told = |line: &str| line.trim_start().trim_start_matches("# ").starts_with(last);
        assert!(told.lines().any(is_told), "{key}");
    }
    for (variable, _) in ENVIRONMENT {
        assert!(told.contains(variable), "{variable}");
    }
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_right_one() {
    for (text, expected) in [
        ("state_dri = \"/x\"", "muster.toml: unknown key `state_dri`; did you mean `state_dir`?"),
        (
            "[limits]\nconections = 5",
            "muster.toml: unknown key `limits.conections`; did you mean `limits.connections`?",
        ),
        ("[agents]\nlimits.x = 5", "muster.toml: unknown key `agents.limits.x`; the keys are "),
    ] {
        let error = from(text).expect_err("refused");
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn a_wrong_value_is_named_with_what_would_be_right() {
    for (text, expected) in [
        ("[agents]\ncheckin_s = 9", "muster.toml: agents.checkin_s: 9 is out of bounds: 10 to 86400"),
        ("state_dir = \"x\"", "muster.toml: state_dir: must be an absolute path"),
        ("log = \"xml\"", "muster.toml: log: must be \"text\" or \"json\""),
        ("names = []", "muster.toml: names: must hold 1 to 64 host names or addresses"),
        (
            "names = [\"*.example.net\"]\nagent_url = \"https://a.example.net:8443\"",
            "muster.toml: enroll_url: must be set where all `names` begin with *.",
        ),
        ("names = [\"a b\"]", "muster.toml: names: \"a b\" is neither a host name nor an address"),
        (
            "agent_url = \"http://x\"",
            "muster.toml: agent_url: must be like https://host:port, without a slash at the end",
        ),
        (
            "[faults.thresholds.disk_spaces]\nraise = 1\nclear = 1",
            "muster.toml: faults.thresholds: there is no check \"disk_spaces\"; did you mean `disk_space`?",
        ),
        (
            "[faults.thresholds.disk_space]\nraise = 80\nclear = 90",
            "muster.toml: faults.thresholds: disk_space: clear must not be above raise",
        ),
    ] {
        assert_eq!(from(text).expect_err("refused"), expected);
    }
    for text in ["state_dir", "agent_listen = \"nowhere\"", "log = 5", "[faults.thresholds.disk_space]\nraise = 1"] {
        let error = from(text).expect_err("refused");
        assert!(error.starts_with("muster.toml: ") && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn no_machine_is_sent_to_a_wildcard() {
    let config = from("names = [\"*.example.net\", \"muster.example.net\"]").expect("settings");
    assert_eq!(config.agent_url, "https://muster.example.net:8443");
    assert_eq!(config.enroll_url, "https://muster.example.net:8444");
}

#[test]
fn thresholds_reach_the_agents_too() {
    let config = from("[faults.thresholds.disk_space]\nraise = 80\nclear = 70").expect("settings");
    assert_eq!(config.policy.thresholds["disk_space"], (80, 70));
    assert_eq!(config.policy.settings.thresholds["disk_space"], 80);
}

#[test]
fn tests_may_shorten_times_by_a_key_of_its_own() {
    let text = "short_times = true\n[agents]\ncheckin_s = 1\nhealth_s = 1\ncertificate_s = 60\n[faults]\nhold_s = 1";
    let config = from(text).expect("settings");
    assert_eq!((config.policy.settings.checkin_s, config.policy.certificate_s), (1, 60));
}

#[test]
fn the_environment_wins_over_the_file() {
    let env = |name: &str| (name == "MUSTER_STATE_DIR").then(|| "/from/env".to_owned());
    let config = parse("state_dir = \"/from/file\"", "muster.toml", env).expect("settings");
    assert_eq!(config.state_dir, Path::new("/from/env"));
}

#[test]
fn only_a_file_that_was_asked_for_must_be_there() {
    let missing = Path::new("/nonexistent/muster.toml");
    let error = read(Some(missing), |_| None).expect_err("refused").to_string();
    assert!(error.starts_with("/nonexistent/muster.toml: No such file"), "{error}");
}
