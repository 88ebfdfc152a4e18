use super::*;
use crate::source::Ask;
use crate::source::live::Live;
use crate::source::tape::{Recorder, Tape};
use shared::checkin::Why;
use std::process::Command;

const ETC: &str = "/etc/systemd/system";
const LIB: &str = "/usr/lib/systemd/system";

fn folder(tape: Tape, path: &str) -> Tape {
    changed(tape, path, 0)
}

fn changed(tape: Tape, path: &str, at: i64) -> Tape {
    let stat = crate::source::Stat {
        form: 'd',
        size_bytes: 0,
        modified: shared::unit::At(at),
        uid: 0,
        mode: 0o755,
        device: (0, 1),
        inode: 1,
    };
    tape.stat(path, stat)
}

const MOUNTS: &str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /net rw - nfs4 dead:/net rw\n";

fn machine() -> Tape {
    let tape = Tape::new()
        .file("/proc/self/mountinfo", MOUNTS)
        .link("/lib", "usr/lib")
        .dir(
            ETC,
            &[
                "cron.service",
                "multi-user.target.wants",
                "mine.service",
                "off.service",
                "quiet.service",
                "ssh.service.d",
                "sshd.service",
                "twice.service",
            ],
        )
        .dir(&format!("{ETC}/multi-user.target.wants"), &["tty@one.service", "mine.service", "remote-fs.target"])
        .link(&format!("{ETC}/off.service"), "/dev/null")
        .link(&format!("{ETC}/quiet.service"), "../../../dev/null")
        .link(&format!("{ETC}/twice.service"), "../../../usr/lib/systemd/system/twice.service")
        .link(&format!("{LIB}/twice.service"), "/net/dead/twice.service")
        .file(&format!("{ETC}/twice.service"), "[Service]\nUser=nobody\n")
        .link(&format!("{ETC}/sshd.service"), "/lib/systemd/system/ssh.service")
        .link(&format!("{ETC}/mine.service"), "/opt/mine/mine.service")
        .file(&format!("{ETC}/mine.service"), "[Service]\nExecStart=/opt/mine/run --secret x\nUser=mine\n")
        .file(&format!("{ETC}/cron.service"), "[Unit]\nDescription=Mine\n[Install]\nWantedBy=multi-user.target\n")
        .dir(&format!("{ETC}/ssh.service.d"), &["10.conf", "notes.txt"])
        .file(&format!("{ETC}/ssh.service.d/10.conf"), "[Unit]\nDescription=Shell\n")
        .dir(
            LIB,
            &["bus.service", "cron.service", "empty.service", "log.service", "off.service", "ssh.service"]
                .into_iter()
                .chain(["sysinit.target.wants", "tidy.service", "tty@.service", "two.service"])
                .collect::<Vec<_>>(),
        )
        .dir(&format!("{LIB}/sysinit.target.wants"), &["log.service", "tidy.service"])
        .file(&format!("{LIB}/bus.service"), "[Service]\nExecStart=/usr/bin/bus\n")
        .file(&format!("{LIB}/empty.service"), "")
        .file(&format!("{LIB}/log.service"), "[Service]\nExecStart=/usr/bin/log\n")
        .file(&format!("{LIB}/ssh.service"), "[Service]\nExecStart=/usr/sbin/sshd -D\n[Install]\nAlias=sshd.service\n")
        .file(&format!("{LIB}/tidy.service"), "[Service]\nType=oneshot\nExecStart=/usr/bin/tidy\n")
        .file(&format!("{LIB}/tty@.service"), "[Unit]\nDescription=Getty on %I\n[Install]\nWantedBy=getty.target\n")
        .file(&format!("{LIB}/two.service"), "[Install]\nAlso=two.socket\n");
    folder(tape, "/run/systemd/system")
        .dir("/run/systemd/units", &["invocation:bus.service", "invocation:ssh.service", "log:x.service"])
}

fn told(tape: &Tape) -> Vec<(String, String, Option<String>, Option<String>)> {
    let items = run(tape).expect("found").items;
    let now = |item: &Item| item.now.get("state").and_then(|state| state.as_text()).map(str::to_owned);
    items
        .into_iter()
        .map(|item| {
            let text = |name| item.text(name).map(str::to_owned);
            (item.key.clone(), text("start").unwrap_or_default(), text("state"), now(&item))
        })
        .collect()
}

#[test]
fn each_service_starts_as_its_links_say() {
    let row = |name: &str, start: &str, state: &str, now: &str| {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (format!("{name}.service"), start.to_owned(), some(state), some(now))
    };
    assert_eq!(
        told(&machine()),
        [
            row("bus", "static", "", "active"),
            row("cron", "disabled", "", "inactive"),
            row("empty", "masked", "", "inactive"),
            row("log", "static", "inactive", ""),
            row("mine", "enabled", "inactive", ""),
            row("off", "masked", "", ""),
            row("quiet", "masked", "", ""),
            row("ssh", "enabled", "active", ""),
            row("tidy", "static", "", "inactive"),
            row("twice", "static", "", "inactive"),
            row("two", "indirect", "", "inactive"),
            row("tty@one", "enabled", "inactive", ""),
        ]
    );
}

#[test]
fn what_a_service_runs_is_told_without_arguments() {
    let items = run(&machine()).expect("found").items;
    let of = |key: &str| items.iter().find(|item| item.key == key).expect("listed");
    assert_eq!(of("log.service").text("command"), Some("/usr/bin/log"));
    assert_eq!(of("ssh.service").label.as_deref(), Some("Shell"), "the drop-in says so");
    assert_eq!(of("tty@one.service").label.as_deref(), Some("Getty on one"));
    assert_eq!(of("cron.service").label.as_deref(), Some("Mine"), "the administrator's file wins");
}

#[test]
fn a_link_is_opened_unless_its_way_leads_through_what_may_be_dead() {
    let told = |machine: &Tape, name: &str| {
        let recorder = Recorder::new(machine, "linux");
        let found = run(&recorder).expect("found");
        let user = found.items.iter().find(|item| item.key == name).expect("told").text("user").map(str::to_owned);
        let opened = recorder.into_tape().answer(&Ask::File(format!("{ETC}/{name}"))).is_some();
        (opened, user)
    };
    let mine = (true, Some("mine".to_owned()));
    assert_eq!(told(&machine(), "twice.service"), (false, None));
    assert_eq!(told(&machine(), "mine.service"), mine);
    // A folder on the way may be a link too, and there may be no table of mounts.
    assert_eq!(told(&machine().link("/opt", "net/opt"), "mine.service"), (false, None));
    assert_eq!(told(&machine().link("/opt", "./srv/../data"), "mine.service"), mine);
    assert_eq!(told(&machine().link("/opt", "/opt/again"), "mine.service"), (false, None));
    assert_eq!(told(&machine().file("/proc/self/mountinfo", "nonsense"), "mine.service"), (false, None));
}

#[test]
fn an_older_systemd_tells_by_its_cgroups() {
    let tape = folder(Tape::new(), "/run/systemd/system")
        .dir("/sys/fs/cgroup/systemd/system.slice", &["ssh.service", "system-tty.slice", "tasks"])
        .dir("/sys/fs/cgroup/systemd/system.slice/system-tty.slice", &["tty@one.service"]);
    assert_eq!(active(&tape), Some(BTreeSet::from(["ssh.service".to_owned(), "tty@one.service".to_owned()])));
    assert_eq!(active(&Tape::new()), None);
}

#[test]
fn no_systemd_is_no_services_and_a_hidden_folder_is_not() {
    assert_eq!(run(&Tape::new()), Ok(Found::default()));
    assert_eq!(run(&machine().denied(ETC)), Err(Problem::new(Why::Denied, ETC)));
}

/// `systemctl list-unit-files` reads the same files, with or without a running manager.
#[test]
#[expect(clippy::disallowed_methods, reason = "compares with what the system's own tool says")]
fn this_machine_has_the_services_that_systemctl_lists() {
    let output = Command::new("systemctl")
        .args(["list-unit-files", "--type=service", "--no-legend", "--no-pager"])
        .env("LC_ALL", "C")
        .output();
    let Some(text) = output.ok().filter(|output| output.status.success()).map(|output| output.stdout) else {
        println!("SKIP: no systemctl here that answers");
        return;
    };
    let text = String::from_utf8(text).expect("text");
    let theirs: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(name, rest)| (name, rest.split_whitespace().next().unwrap_or_default()))
        .filter(|(name, start)| !name.contains("@.") && !["alias", "transient"].contains(start))
        .collect();
    let found = run(&Live).expect("found");
    let ours: BTreeMap<&str, &str> = found
        .items
        .iter()
        .filter(|item| units::instance(&item.key).is_none())
        .map(|item| (item.key.as_str(), item.text("start").unwrap_or_default()))
        .collect();
    assert_eq!(ours, theirs);
    println!("{} services, as systemctl", ours.len());
}

#[test]
fn the_mark_changes_with_folders_of_units_and_with_what_runs() {
    let wants = format!("{ETC}/multi-user.target.wants");
    assert_eq!(mark(&changed(machine(), ETC, 1)), None, "no file shows what starts and ends");
    let before = changed(changed(changed(machine(), ETC, 1), &wants, 1), ACTIVE, 1);
    let marked = mark(&before);
    assert!(marked.is_some() && marked == mark(&before.clone()));
    for path in [ETC, LIB, &wants, ACTIVE] {
        assert_ne!(mark(&changed(before.clone(), path, 2)), marked, "{path}");
    }
    let led_away = before.link(&wants, "/net/dead/wants");
    assert_eq!(mark(&led_away), mark(&changed(led_away.clone(), &wants, 9)), "a link is not followed");
}
