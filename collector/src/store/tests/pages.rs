//! Lists, their filters and their cursors.

use super::*;
use crate::register::model::*;
use crate::store::page::Page;
use crate::store::read::Text;
use crate::store::read::assets::{self, AssetFilter, Sort};
use crate::store::read::software::{self, Op, SoftwareFilter};
use crate::store::table;
use crate::store::table::software::Dictionary;
use shared::checkin::State;
use shared::digest::Digest;
use shared::id::AssetId;

const MACHINES: u128 = 57;

/// Machines in two makes, each with bash; the version of openssl rises with the machine's number.
fn fleet() -> (TempDir, Sqlite) {
    let (directory, path) = place();
    let mut engine = fresh(&path);
    let mut dictionary = Dictionary::default();
    engine.begin().expect("begin");
    for n in 0..MACHINES {
        let id = AssetId(Uuid::from_u128(n));
        let observed = Observed {
            name: (n > 3).then(|| format!("host-{}", n % 10)),
            maker: Some(if n % 2 == 0 { "Dell Inc." } else { "LENOVO" }.into()),
            serial: Some(format!("S{n}")),
            ..Observed::default()
        };
        let (class, lifecycle, declared) = (Class::Server, Lifecycle::Deployed, Declared::default());
        let asset = Asset { id, rev: 1, created: NOW, updated: NOW, class, lifecycle, agent: None, observed, declared };
        table::asset::put(&mut engine, &asset).expect("an asset");
        table::asset::put_addresses(&mut engine, id, &[format!("192.0.2.{n}")]).expect("addresses");
        let rows = [package("bash", "5.2.15-2+b7"), package("openssl", &format!("3.0.{n}-1~deb12u1"))];
        table::software::put(&mut engine, &mut dictionary, id, "dpkg", &[], &rows).expect("software");
        let head = Section {
            name: "dpkg".into(),
            state: State::Seen,
            digest: Digest::default(),
            rows: 2,
            problems: Vec::new(),
            truncated: false,
            held: None,
            changed: NOW,
        };
        table::section::put(&mut engine, id, &head).expect("a head");
    }
    engine.commit().expect("commit");
    (directory, engine)
}

fn walk(engine: &mut Sqlite, filter: &AssetFilter, sort: Sort) -> Vec<AssetId> {
    let mut page = Page { after: None, limit: Some(10) };
    let mut ids = Vec::new();
    loop {
        let rows = assets::list(engine, filter, sort, &page).expect("a page");
        assert!(rows.rows.len() <= 10);
        ids.extend(rows.rows.iter().map(|row| row.asset.id));
        let Some(next) = rows.next else { return ids };
        page.after = Some(next);
    }
}

#[test]
fn pages_hold_every_row_once() {
    let (_directory, mut engine) = fleet();
    for sort in [Sort::Id, Sort::Name] {
        let mut ids = walk(&mut engine, &AssetFilter::default(), sort);
        assert_eq!(ids.len(), 57);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 57);
    }
    let first = assets::list(&mut engine, &AssetFilter::default(), Sort::Name, &Page { after: None, limit: Some(2) });
    let other = Page { after: first.expect("a page").next, limit: None };
    assert_eq!(assets::list(&mut engine, &AssetFilter::default(), Sort::Id, &other), Err(Error::Cursor));
}

#[test]
fn filters_find_what_they_say() {
    let (_directory, mut engine) = fleet();
    let mut count = |filter: AssetFilter| {
        let listed = walk(&mut engine, &filter, Sort::Name).len();
        assert_eq!(assets::count(&mut engine, &filter), Ok(listed as u64));
        listed
    };
    let text = |text: &str| Some(Text::Has(text.into()));
    assert_eq!(count(AssetFilter { maker: text("dell"), ..Default::default() }), 29);
    assert_eq!(count(AssetFilter { maker: text("d_ll"), ..Default::default() }), 0);
    assert_eq!(count(AssetFilter { name: Some(Text::Is("HOST-4".into())), ..Default::default() }), 6);
    assert_eq!(count(AssetFilter { q: Some("s5".into()), ..Default::default() }), 8);
    assert_eq!(count(AssetFilter { address: Some("192.0.2.9".into()), ..Default::default() }), 1);
    assert_eq!(count(AssetFilter { part_serial: Some("S12".into()), ..Default::default() }), 1);
    assert_eq!(count(AssetFilter { classes: vec!["server".into(), "vm".into()], ..Default::default() }), 57);
    assert_eq!(count(AssetFilter { lifecycles: vec!["x') or true --".into()], ..Default::default() }), 0);
    assert_eq!(count(AssetFilter { heard: Some(true), ..Default::default() }), 0);
    let with = |name: &str, version: Option<(Op, &str)>| AssetFilter {
        software: Some(SoftwareFilter {
            name: name.into(),
            manager: None,
            version: version.map(|(op, version)| (op, version.to_owned())),
        }),
        ..Default::default()
    };
    assert_eq!(count(with("bash", None)), 57);
    assert_eq!((count(with("BASH", None)), count(with("BA*", None)), count(with("*ssl", None))), (0, 57, 57));
    assert_eq!(count(with("open*", Some((Op::Lt, "3.0.9-1~deb12u1")))), 9);
    assert_eq!(count(with("openssl", Some((Op::Lt, "3.0.9-1~deb12u1")))), 9);
    assert_eq!(count(with("openssl", Some((Op::Le, "3.0.9-1~deb12u1")))), 10);
    assert_eq!(count(with("openssl", Some((Op::Ge, "3.0.50")))), 7, "3.0.50-1~deb12u1 is after 3.0.50");
    assert_eq!(count(with("openssl", Some((Op::Eq, "3.0.9-1")))), 0);
    assert_eq!(count(with("nothing", None)), 0);
}

#[test]
fn titles_tell_versions_and_counts() {
    let (_directory, mut engine) = fleet();
    let found =
        software::titles(&mut engine, Some(&Text::Starts("BA".into())), None, &Page::default()).expect("titles");
    let [title] = &found.rows[..] else { panic!("one title: {found:?}") };
    let versions: Vec<_> = title.versions.iter().map(|v| (v.version.as_str(), v.assets)).collect();
    assert_eq!((title.name.as_str(), versions), ("bash", vec![("5.2.15-2+b7", 57)]));
    let found =
        software::titles(&mut engine, Some(&Text::Is("openssl".into())), None, &Page::default()).expect("titles");
    assert_eq!(found.rows[0].versions[10].version, "3.0.10-1~deb12u1", "in the manager's order");
    let page = Page { after: None, limit: Some(1) };
    let first = software::of_asset(&mut engine, AssetId(Uuid::from_u128(1)), None, &page).expect("software");
    let second = Page { after: first.next.clone(), ..page };
    let second = software::of_asset(&mut engine, AssetId(Uuid::from_u128(1)), None, &second).expect("software");
    assert_eq!((first.rows[0].1.label.as_deref(), second.rows[0].1.label.as_deref()), (Some("bash"), Some("openssl")));
    assert_eq!(second.next, None);
}
