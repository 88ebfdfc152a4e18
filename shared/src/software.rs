//! Typed facts: software.

use crate::fact::{Attrs, Item};

/// The section of packages that dpkg installed.
pub const SECTION_DPKG: &str = "dpkg";

/// Sections whose items are software. The register keeps these in a layout of their own, for volume.
pub const SECTIONS: &[&str] = &[SECTION_DPKG];

/// One installed package, as it stands in a database of packages. All of it follows from the package file that
/// was installed, so that equal packages are equal rows on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package<'a> {
    /// Who installed it: `dpkg`.
    pub manager: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its version, in the manager's own form.
    pub version: &'a str,
    /// Its architecture.
    pub arch: Option<&'a str>,
    /// Who maintains or publishes it.
    pub publisher: Option<&'a str>,
    /// What it takes on disk when installed, in bytes.
    pub size_bytes: Option<i64>,
    /// The source package it was built from, if named otherwise.
    pub source: Option<&'a str>,
    /// The manager's category.
    pub category: Option<&'a str>,
    /// One line on what it is.
    pub summary: Option<&'a str>,
}

impl From<Package<'_>> for Item {
    /// Key: `manager/name/arch`.
    fn from(package: Package<'_>) -> Item {
        let key = [package.manager, "/", package.name, "/", package.arch.unwrap_or_default()].concat();
        let all = [
            ("arch", package.arch),
            ("category", package.category),
            ("source", package.source),
            ("summary", package.summary),
            ("version", Some(package.version)),
        ];
        let mut attrs = Attrs::new();
        for (name, text) in all {
            if let Some(text) = text {
                attrs.insert(name.into(), text.into());
            }
        }
        Item {
            label: Some(package.name.to_owned()),
            maker: package.publisher.map(str::to_owned),
            size: package.size_bytes,
            attrs,
            ..Item::new("package", key)
        }
    }
}
