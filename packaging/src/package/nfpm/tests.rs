//! Descriptions, field by field, and that every file that they name is in the checkout.

use super::*;

fn described(what: &What, format: Format, needs: &Needs) -> Value {
    manifest(&Wanted {
        what,
        format,
        arch: Arch::X86_64,
        version: "1.2.3",
        binary: Path::new("/b/program"),
        stage: Path::new("/s"),
        pages: &["a.1.gz".to_owned()],
        linux: &crate::package::linux(),
        needs,
    })
}

const GLIBC: Needs = Needs { glibc: Some((2, 34)), libgcc: true };

#[test]
fn an_agent_for_dpkg() {
    let described = described(&contents::PACKAGES[0], Format::Deb, &GLIBC);
    assert_eq!(described["depends"], json!(["libc6 (>= 2.34)", "libgcc-s1 | libgcc1"]));
    assert_eq!(described["recommends"], json!(["systemd", "dbus"]));
    assert_eq!((&described["arch"], &described["version"]), (&json!("amd64"), &json!("1.2.3")));
    let config = json!({
        "src": "/s/config.toml", "dst": "/etc/muster/agent.toml", "type": "config|noreplace",
        "file_info": { "mode": 0o644, "owner": "root", "group": "root" },
    });
    let contents = described["contents"].as_array().expect("contents");
    assert!(contents.contains(&config), "{contents:#?}");
    let placed = |path: &str| contents.iter().any(|entry| entry["dst"] == path);
    assert!(
        placed("/usr/lib/systemd/system/muster-agent-enroll.path")
            && placed("/usr/share/zsh/vendor-completions/_muster-agent")
    );
}

#[test]
fn a_collector_for_rpm() {
    let described = described(&contents::PACKAGES[1], Format::Rpm, &GLIBC);
    assert_eq!(described["depends"], json!(["libc.so.6(GLIBC_2.34)(64bit)", "libgcc_s.so.1()(64bit)"]));
    let contents = described["contents"].as_array().expect("contents");
    let config = contents.iter().find(|entry| entry["dst"] == "/etc/muster/muster.toml").expect("a configuration");
    assert_eq!(config["file_info"]["mode"], 0o640);
    assert!(contents.iter().any(|entry| entry["dst"] == "/usr/share/zsh/site-functions/_muster"));
}

#[test]
fn a_static_program_depends_on_nothing() {
    let needs = Needs { glibc: None, libgcc: false };
    assert_eq!(described(&contents::PACKAGES[0], Format::Deb, &needs)["depends"], json!([]));
}

#[test]
fn every_file_of_the_checkout_is_there_and_in_a_package() {
    let linux = crate::package::linux();
    let listed: Vec<&str> = contents::PACKAGES.iter().flat_map(|what| what.files).map(|(file, _)| *file).collect();
    for folder in ["units", "users", "tmpfiles", "presets"] {
        for entry in fs::read_dir(linux.join(folder)).expect(folder) {
            let name = format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy());
            assert!(listed.contains(&name.as_str()), "{name} is in no package");
        }
    }
    listed.iter().for_each(|file| assert!(linux.join(file).is_file(), "{file} is not there"));
}
