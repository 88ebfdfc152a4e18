//! Typed facts: software.

use crate::fact::{Item, Value};

/// The section of packages that dpkg installed.
pub const SECTION_DPKG: &str = "dpkg";

/// Sections whose items are software. The register keeps these in a layout of their own, for volume.
pub const SECTIONS: &[&str] = &[SECTION_DPKG];

/// One installed package. All of it follows from the package file that was installed, so that equal
/// packages are equal rows on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// Who installed it: `dpkg`.
    pub manager: String,
    /// Its name.
    pub name: String,
    /// Its version, in the manager's own form.
    pub version: String,
    /// Its architecture.
    pub arch: Option<String>,
    /// Who maintains or publishes it.
    pub publisher: Option<String>,
    /// What it takes on disk when installed, in bytes.
    pub size_bytes: Option<i64>,
    /// The source package it was built from, if named otherwise.
    pub source: Option<String>,
    /// The manager's category.
    pub category: Option<String>,
    /// One line on what it is.
    pub summary: Option<String>,
}

impl From<Package> for Item {
    /// Key: `manager/name/arch`.
    fn from(package: Package) -> Item {
        let key = [&package.manager, "/", &package.name, "/", package.arch.as_deref().unwrap_or("")].concat();
        // There are thousands of packages: the names come sorted and the list is long enough, so that the map is
        // built in one go.
        let mut attrs = Vec::with_capacity(5);
        let all = [
            ("arch", package.arch),
            ("category", package.category),
            ("source", package.source),
            ("summary", package.summary),
            ("version", Some(package.version)),
        ];
        attrs.extend(all.into_iter().filter_map(|(name, text)| Some((name.into(), Value::Text(text?)))));
        Item {
            label: Some(package.name),
            maker: package.publisher,
            size: package.size_bytes,
            attrs: attrs.into_iter().collect(),
            ..Item::new("package", key)
        }
    }
}
