//! Which files the laws are read on.

use std::path::{Path, PathBuf};

/// One source file.
pub struct Source {
    /// Path from the top of the checkout, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The top of the checkout.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_owned()
}

/// Every Rust file of the members.
pub fn rust() -> Vec<Source> {
    all("rs")
}

/// Every SQL file.
pub fn sql() -> Vec<Source> {
    all("sql")
}

fn all(extension: &str) -> Vec<Source> {
    let top = top();
    let mut found = Vec::new();
    for member in ["shared", "agent", "collector", "packaging", "tests"] {
        walk(&top.join(member), extension, &mut found);
    }
    found.sort();
    found
        .into_iter()
        .map(|path| Source {
            text: std::fs::read_to_string(&path).expect("a source is text"),
            path: path.strip_prefix(&top).expect("below the top").to_string_lossy().replace('\\', "/"),
        })
        .collect()
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                walk(&path, extension, found);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// What stands at the top and was not agreed.
pub fn top_level_breaches() -> Vec<String> {
    const AGREED: [&str; 11] = [
        "Cargo.toml",
        "Cargo.lock",
        "agent",
        "collector",
        "shared",
        "packaging",
        "tests",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "target",
    ];
    std::fs::read_dir(top())
        .expect("the top")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !AGREED.contains(&name.as_str()))
        .map(|name| format!("{name}: not part of the agreed top level"))
        .collect()
}
