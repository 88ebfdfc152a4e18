//! Unit files of systemd (systemd.unit(5), systemd.service(5), systemd.syntax(7)): what one says of a service.
//!
//! Not a probe: the parser of one. Knows the syntax, drop-ins and instance names; does not know where files
//! are, which of them wins, or what runs.

/// What a unit file, with its drop-ins, says of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// `Description=`
    pub description: Option<String>,
    /// The program of the first `ExecStart=`, without prefixes and arguments.
    pub program: Option<String>,
    /// `User=`
    pub user: Option<String>,
    /// It does its work and ends: `Type=oneshot`.
    pub oneshot: bool,
    /// Its `[Install]` section says what it is to be started by, or under which other name.
    pub installs: bool,
    /// Its `[Install]` section only names other units.
    pub installs_others: bool,
}

impl Unit {
    /// Reads a file over what earlier files said; an empty assignment takes back what they did.
    pub fn read(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut section = String::new();
        let mut lines = text.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            if line.is_empty() || is_comment(line) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                name.trim_end().trim_end_matches(']').clone_into(&mut section);
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let mut value = value.trim().to_owned();
            while let Some(start) = value.strip_suffix('\\') {
                // Comments between the parts of a line are passed over.
                let Some(next) = lines.by_ref().find(|line| !is_comment(line)) else { break };
                value = format!("{} {}", start.trim_end(), next.trim());
            }
            self.assign(&section, key.trim_end(), &value);
        }
    }

    fn assign(&mut self, section: &str, key: &str, value: &str) {
        let text = (!value.is_empty()).then(|| value.to_owned());
        match (section, key) {
            ("Unit", "Description") => self.description = text,
            ("Service", "User") => self.user = text,
            ("Service", "Type") => self.oneshot = value == "oneshot",
            ("Service", "ExecStart") if value.is_empty() => self.program = None,
            ("Service", "ExecStart") if self.program.is_none() => self.program = program(value),
            ("Install", "WantedBy" | "RequiredBy" | "UpheldBy" | "Alias") => self.installs |= !value.is_empty(),
            ("Install", "Also") => self.installs_others |= !value.is_empty(),
            _ => {}
        }
    }

    /// What a template says of one instance.
    #[must_use]
    pub fn of_instance(self, instance: &str) -> Unit {
        let fill = |text: Option<String>| text.map(|text| text.replace("%i", instance).replace("%I", instance));
        Unit { description: fill(self.description), user: fill(self.user), ..self }
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// `-/usr/bin/env "x"` is `/usr/bin/env`.
fn program(command: &str) -> Option<String> {
    let command = command.trim_start_matches(['@', '-', ':', '+', '!', '|']).trim_start();
    let word = match command.chars().next()? {
        quote @ ('"' | '\'') => command.get(1..)?.split(quote).next()?,
        _ => command.split_whitespace().next()?,
    };
    (!word.is_empty()).then(|| word.to_owned())
}

/// Template and instance of `getty@tty1.service`: `("getty@.service", "tty1")`. A template itself has an
/// empty instance.
pub fn instance(name: &str) -> Option<(String, &str)> {
    let (stem, kind) = name.rsplit_once('.')?;
    let (template, instance) = stem.split_once('@')?;
    Some((format!("{template}@.{kind}"), instance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_and_its_drop_ins_make_one_unit() {
        let mut unit = Unit::default();
        unit.read(
            b"# a comment\n[Unit]\nDescription=Serves things \\\n; not this\n  well\n[Service]\n\
              ExecStart=-/usr/bin/first --a\nExecStart=/usr/bin/second\nUser=www\n[Install]\nWantedBy=multi-user.target\n\
              Also=x.socket\n[X-Other]\nUser=nobody\nno assignment\n",
        );
        let expected = Unit {
            description: Some("Serves things well".into()),
            program: Some("/usr/bin/first".into()),
            user: Some("www".into()),
            oneshot: false,
            installs: true,
            installs_others: true,
        };
        assert_eq!(unit, expected);
        unit.read(b"[Service]\nType=oneshot\nExecStart=\nExecStart=@'/opt/my tool' name arg\nUser=\n");
        let expected = Unit { program: Some("/opt/my tool".into()), user: None, oneshot: true, ..expected };
        assert_eq!(unit, expected);
    }

    #[test]
    fn instances_fill_their_templates() {
        assert_eq!(instance("getty@tty1.service"), Some(("getty@.service".to_owned(), "tty1")));
        assert_eq!(instance("pg@15-a.b.service"), Some(("pg@.service".to_owned(), "15-a.b")));
        assert_eq!(instance("ssh.service"), None);
        let unit = Unit { description: Some("Getty on %I".into()), ..Unit::default() };
        assert_eq!(unit.of_instance("tty1").description.as_deref(), Some("Getty on tty1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[\\[=\\\\\n\"'@a# ]{0,60}") {
            Unit::default().read(&bytes);
            Unit::default().read(text.as_bytes());
            program(&text);
            instance(&text);
        }
    }
}
