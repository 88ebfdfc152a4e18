//! Who may import whom.

use crate::paths;
use crate::sources::Source;

/// One part of the house.
struct Law {
    /// Files below this path …
    part: &'static str,
    /// … but for these.
    except: &'static [&'static str],
    /// Paths they may not name, as prefixes.
    never: &'static [&'static str],
    /// Of their own crate, only these, as prefixes; empty means anything.
    only: &'static [&'static str],
    /// Why.
    why: &'static str,
}

/// Everything by which code reaches the world.
const WORLD: &[&str] = &[
    "std::fs",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::env",
    "tokio",
    "rustix",
    "reqwest",
    "rusqlite",
];

/// What pure code does not know: the world, the clock, randomness, waiting.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::SystemTime",
    "std::time::Instant",
    "tokio",
    "rustix",
    "reqwest",
    "rusqlite",
    "getrandom",
    "axum",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "uuid::Uuid::now_v7",
    "uuid::Uuid::new_v4",
];

const LAWS: &[Law] = &[
    Law { part: "shared/src/", except: &[], never: WORLD, only: &[], why: "the language of both binaries does no I/O" },
    Law {
        part: "shared/src/",
        except: &[],
        never: &["serde_json", "jiff", "thiserror"],
        only: &[],
        why: "shared stands on std, serde, uuid and sha2 alone (serde_json in its tests)",
    },
    Law {
        part: "agent/src/probes/",
        except: &[],
        never: WORLD,
        only: &["crate::source", "crate::probes"],
        why: "a probe sees the machine through a source alone",
    },
    Law {
        part: "agent/src/",
        except: &[
            "agent/src/source/",
            "agent/src/state",
            "agent/src/spool",
            "agent/src/cli",
            "agent/src/config",
            "agent/src/main.rs",
            "agent/src/run",
        ],
        never: &["std::fs", "std::process"],
        only: &[],
        why: "files and processes are touched by the source, the agent's own state and its command line alone",
    },
    Law {
        part: "collector/src/register/",
        except: &[],
        never: IMPURE,
        only: &["crate::register", "crate::event", "crate::work", "crate::net"],
        why: "the register's rules are pure",
    },
    Law {
        part: "collector/src/desk/",
        except: &[],
        never: IMPURE,
        only: &["crate::desk", "crate::register", "crate::event", "crate::work"],
        why: "the desk's rules are pure",
    },
    Law {
        part: "collector/src/decide.rs",
        except: &[],
        never: IMPURE,
        only: &["crate::work", "crate::register", "crate::desk", "crate::event"],
        why: "deciding is pure",
    },
    Law {
        part: "collector/src/work/",
        except: &[],
        never: IMPURE,
        only: &["crate::register::model", "crate::desk::model", "crate::event", "crate::work"],
        why: "what rules know and decide is data",
    },
    Law {
        part: "collector/src/event.rs",
        except: &[],
        never: IMPURE,
        only: &["crate::register::model", "crate::desk::model", "crate::event"],
        why: "an event is data",
    },
    Law {
        part: "collector/src/store/",
        except: &[],
        never: &["crate::api", "crate::jobs", "crate::cli", "crate::pki", "crate::register::report", "axum"],
        only: &[],
        why: "the store knows no rule but that `decide` is called",
    },
    Law {
        part: "collector/src/",
        except: &["collector/src/store/"],
        never: &["rusqlite", "crate::store::sqlite", "crate::store::engine::Sql"],
        only: &[],
        why: "SQL and engines are the store's",
    },
    Law {
        part: "collector/src/api/",
        except: &[],
        never: &["crate::cli", "crate::jobs", "crate::register::report", "crate::desk::triage"],
        only: &[],
        why: "a route submits work, it does not decide",
    },
    Law {
        part: "collector/src/cli/",
        except: &["collector/src/cli/serve.rs"],
        never: &["crate::register", "crate::desk", "crate::event", "crate::work", "crate::work"],
        only: &[],
        why: "the CLI is a client of the public API",
    },
];

/// What a file breaks.
pub fn breaches(source: &Source) -> Vec<String> {
    let named = match paths::all(&source.text, &module(&source.path)) {
        Ok(named) => named,
        Err(why) => return vec![format!("{}: {why}", source.path)],
    };
    let tests_from = source.text.lines().position(|line| line == "mod tests {").map_or(usize::MAX, |i| i + 1);
    let test_file =
        source.path.ends_with("/tests.rs") || source.path.contains("/tests/") || source.path.ends_with("/testing.rs");
    let mut found = Vec::new();
    for law in LAWS.iter().filter(|law| applies(law, &source.path)) {
        for path in named.iter().filter(|path| !test_file && path.line < tests_from) {
            let text = path.segments.join("::");
            let own = path.segments[0] == "crate"
                && !law.only.is_empty()
                && !law.only.iter().any(|allowed| below(&text, allowed));
            if own || law.never.iter().any(|never| below(&text, never)) {
                found.push(format!("{}:{}: {text}: {}", source.path, path.line, law.why));
            }
        }
    }
    found
}

fn applies(law: &Law, path: &str) -> bool {
    path.starts_with(law.part) && !law.except.iter().any(|except| path.starts_with(except))
}

/// Whether `path` is `prefix` or below it.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The module path of a file within its crate: `collector/src/api/assets.rs` is `api::assets`.
fn module(path: &str) -> Vec<String> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let mut parts: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        parts.pop();
    }
    parts
}

#[test]
fn a_breach_is_found() {
    let source = Source {
        path: "agent/src/probes/x.rs".into(),
        text: "use crate::collect::run;\nfn f() { std::fs::read(\"x\") }".into(),
    };
    let found = breaches(&source);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].starts_with("agent/src/probes/x.rs:2: std::fs::read")
            || found[0].starts_with("agent/src/probes/x.rs:1: crate::collect::run"),
        "{found:?}"
    );
}
