use super::*;
use proptest::prelude::*;

fn sample() -> Tape {
    Tape::new()
        .file("/etc/hostname", "web1\n")
        .file("/sys/block/sda/removable", "0")
        .file("/etc/empty", "")
        .file("/etc/blank", "\n\ta\n\n| b\n")
        .file("/bin/x", [0, 255, 10])
        .dir("/sys/class/net", &["lo", "eth0", "a\nb"])
        .dir("/empty", &[])
        .link("/sys/class/net/lo", "../../devices/virtual/net/lo")
        .stat(
            "/etc/passwd",
            Stat { form: 'f', size_bytes: 5, modified: At(-7), uid: 0, mode: 0o644, device: (8, 1), inode: 131 },
        )
        .space("/", Space { total_bytes: 9, free_bytes: 8, available_bytes: 7, inodes: 6, inodes_free: 5 })
        .netlink(Table::Links, [1, 2, 3])
        .command(Command::SystemctlUnits, "a.service loaded\n")
        .clock(At(1_700_000_000_000_000))
        .user(1000)
        .denied("/etc/shadow")
        .failed("/sys/odd\\name", "EIO\nagain")
}

/// What a reader of the format sees; a change of it is a change of every tape that was ever recorded.
const SAMPLE: &str = r"muster-tape 1 linux
file /bin/x
= AP8K
file /etc/blank
|
| 	a
|
| | b
file /etc/empty
file /etc/hostname
| web1
file /etc/shadow
! denied
file /sys/block/sda/removable
> 0
file /sys/odd\\name
! failed EIO\u{a}again
dir /empty
dir /etc/shadow
! denied
dir /sys/class/net
- a\u{a}b
- eth0
- lo
dir /sys/odd\\name
! failed EIO\u{a}again
link /etc/shadow
! denied
link /sys/class/net/lo
@ ../../devices/virtual/net/lo
link /sys/odd\\name
! failed EIO\u{a}again
stat /etc/passwd
@ form=f size=5 modified=-7 uid=0 mode=644 device=8:1 inode=131
space /
@ total=9 free=8 available=7 inodes=6 inodes_free=5
netlink links
= AQID
command systemctl-units
| a.service loaded
clock
@ 1700000000000000
user
@ 1000
";

#[test]
fn the_format_is_the_one_that_is_documented() {
    assert_eq!(sample().to_text(), SAMPLE);
    assert_eq!(Tape::parse(SAMPLE), Ok(sample()));
    let edited = format!("{}\n# the end", SAMPLE.replace('\n', "\r\n"));
    assert_eq!(Tape::parse(&edited), Ok(sample()));
}

#[test]
fn errors_name_their_line() {
    let what = |text: &str| Tape::parse(text).expect_err(text).to_string();
    assert_eq!(what(""), "line 1: a tape begins with \"muster-tape 1 \" and a system's name");
    assert_eq!(Tape::parse("muster-tape 2 linux\n").map_err(|error| error.line), Err(1));
    let body = |text: &str| what(&format!("muster-tape 1 linux\n{text}"));
    assert_eq!(body("\nregistry HKLM\n"), "line 3: there is no such question");
    assert_eq!(body("| stray\n"), "line 2: there is no such question");
    assert_eq!(
        body("file /a\n| a\n> b\n| c\n"),
        "line 4: a line of bytes begins with |, = or, as the last one, with >"
    );
    assert_eq!(body("file /a\n= !!\n"), "line 3: this is no base64");
    assert_eq!(body("file /a\n- name\n"), "line 3: a line of bytes begins with |, = or, as the last one, with >");
    assert_eq!(body("file /a\n! gone\n"), "line 3: what is missing is absent, denied or failed");
    assert_eq!(body("file /a\n| a\nfile /a\n| b\n"), "line 4: this was answered before");
    assert_eq!(body("link /a\n"), "line 2: its answer is one line");
    assert_eq!(body("clock\n@ noon\n"), "line 3: a time is microseconds");
    assert_eq!(body("file /a\\q\n"), "line 2: a backslash is followed by another one or by u{HEX}");
    assert_eq!(body("command rm\n"), "line 2: there is no such command");
}

#[test]
fn what_was_not_recorded_is_absent() {
    let source: &dyn Source = &sample();
    assert_eq!(source.text("/etc/hostname"), Ok("web1".to_owned()));
    assert_eq!(source.text("/etc/issue"), Err(Miss::Absent));
    assert_eq!(source.file("/etc/shadow"), Err(Miss::Denied));
}

#[test]
fn a_recording_holds_the_first_answer_to_what_was_asked() {
    /// Counts what it is asked.
    struct Counter(std::cell::Cell<u32>);
    impl Source for Counter {
        fn get(&self, _: &Ask) -> Result<Answer, Miss> {
            self.0.set(self.0.get() + 1);
            Ok(Answer::User(self.0.get()))
        }
    }
    let counter = Counter(std::cell::Cell::new(0));
    let recorder = Recorder::new(&counter, "linux");
    let source: &dyn Source = &recorder;
    assert_eq!([source.user(), source.user()], [Ok(1), Ok(1)]);
    assert_eq!(recorder.into_tape(), Tape::new().user(1));
}

/// What probes say of a machine they say of its recording, after a trip through text.
#[cfg(unix)]
#[test]
fn a_replay_says_what_the_machine_said() {
    let live = crate::source::live::Live;
    let recorder = Recorder::new(&live, "linux");
    let probes = ["system", "memory"].map(|name| crate::probes::find(name).expect("a probe"));
    let said = probes.map(|probe| (probe.run)(&recorder));
    let tape = Tape::parse(&recorder.into_tape().to_text()).expect("a tape");
    assert_eq!(probes.map(|probe| (probe.run)(&tape)), said);
    assert!(tape.answer(&Ask::File("/proc/meminfo".to_owned())).is_some());
}

fn asks() -> impl Strategy<Value = Ask> {
    let path = "\\PC{0,12}|[a-z/\\\\\n\r\u{85}]{0,6}";
    prop_oneof![
        path.prop_map(Ask::File),
        path.prop_map(Ask::Dir),
        path.prop_map(Ask::Link),
        Just(Ask::Netlink(Table::Routes)),
        Just(Ask::Clock),
    ]
}

fn answer(ask: &Ask) -> BoxedStrategy<Result<Answer, Miss>> {
    let text = "\\PC{0,12}|[a-z\\\\\n\r ]{0,6}";
    let found = match ask {
        Ask::File(_) | Ask::Netlink(_) | Ask::Command(_) => prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200).prop_map(Answer::Bytes),
            "[a-c \t\n|>=]{0,20}".prop_map(|text| Answer::Bytes(text.into_bytes())),
        ]
        .boxed(),
        Ask::Dir(_) => proptest::collection::vec(text, 0..4).prop_map(Answer::Names).boxed(),
        Ask::Link(_) => text.prop_map(Answer::Target).boxed(),
        _ => any::<i64>().prop_map(|at| Answer::Clock(At(at))).boxed(),
    };
    prop_oneof![
        3 => found.prop_map(Ok),
        1 => text.prop_map(|detail| Err(Miss::Failed(detail))),
        1 => Just(Err(Miss::Denied)),
        1 => Just(Err(Miss::Absent)),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn every_tape_survives_its_text(
        answers in proptest::collection::vec(asks().prop_flat_map(|ask| answer(&ask).prop_map(move |a| (ask.clone(), a))), 0..8)
    ) {
        let mut tape = Tape::new();
        for (ask, answer) in answers {
            tape.put(ask, answer);
        }
        prop_assert_eq!(Tape::parse(&tape.to_text()), Ok(tape));
    }

    #[test]
    fn any_text_is_a_tape_or_an_error_in_one_of_its_lines(
        lines in proptest::collection::vec("(file|dir|stat|space|link|clock|user|netlink|\\||>|=|-|@|!)? ?\\PC{0,9}", 0..12)
    ) {
        let text = format!("muster-tape 1 linux\n{}", lines.join("\n"));
        match Tape::parse(&text) {
            Ok(tape) => prop_assert_eq!(Tape::parse(&tape.to_text()), Ok(tape)),
            Err(TapeError { line, .. }) => prop_assert!(line >= 1 && line <= text.split('\n').count()),
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Tape::parse(&String::from_utf8_lossy(&bytes));
    }
}
