//! The SMBIOS parser and its probes against real machines: tables are encoded from recorded dmidecode texts
//! (`smbios/builder.rs`) and what we read from them is compared with what another agent's authors expect of
//! the same texts. Every difference needs a rule that says why ours is right, or what we leave out on purpose.

#[path = "smbios/builder.rs"]
mod builder;

use agent::probes::{jedec, memory, placeholder, smbios, system};
use serde_json::Value;
use shared::hardware::{Module, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

const DATA: &str = "../../shared/data";

/// Says that a test does nothing, and why: past the harness, which keeps what a test prints that passes.
fn skip(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "SKIP: {DATA} is missing: {what}");
}
/// The differences that are known, with their reasons.
const LIST: &str = "tests/smbios/differences.tsv";
const UNEXPLAINED: &str = "UNEXPLAINED";

/// One fact: where, which, what they expect, what we say.
struct Fact {
    file: String,
    /// The whole recording.
    text: Rc<str>,
    field: String,
    theirs: Option<String>,
    ours: Option<String>,
}

/// What we read from one recording.
struct Machine {
    smbios: smbios::Smbios,
    parts: Vec<Part>,
    modules: Vec<Module>,
}

impl Machine {
    fn of(text: &str) -> Machine {
        let recording = builder::read(text);
        let smbios = smbios::parse(&recording.table(), Some(recording.version));
        assert_eq!(smbios.broken, None);
        let (parts, modules) = (system::parts(smbios.clone()), memory::modules(&smbios.slots));
        Machine { smbios, parts, modules }
    }

    fn part(&self, kind: &str) -> Part {
        self.parts.iter().find(|part| part.kind == kind).cloned().unwrap_or_default()
    }
}

/// A recording is text that may hold Latin-1.
fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("a recording")).into_owned()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.split_whitespace().collect::<Vec<_>>().join(" ")),
        other => Some(other.to_string()),
    }
}

#[test]
fn facts_of_recorded_tables_are_those_that_others_expect() {
    let root = Path::new(DATA);
    if !root.exists() {
        skip("nothing is compared");
        return;
    }
    let mut facts = Vec::new();
    let mut files = BTreeSet::new();
    let mut names: Vec<_> = std::fs::read_dir(root.join("expected/raw"))
        .expect("expectations")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.starts_with("generic-dmidecode"))
        .collect();
    names.sort();
    for name in names {
        let json = read(&root.join("expected/raw").join(name));
        let tests: Vec<Value> = serde_json::from_str(&json).expect("a list of tests");
        for test in tests {
            let Some(file) =
                test["files"].as_array().filter(|files| files.len() == 1).and_then(|files| files[0].as_str())
            else {
                continue;
            };
            let recording: Rc<str> = read(&root.join(file)).into();
            let machine = Machine::of(&recording);
            let before = facts.len();
            let mut add = |field: String, theirs: &Value, ours: Option<String>| {
                facts.push(Fact {
                    text: Rc::clone(&recording),
                    file: file.replace("raw/generic/dmidecode/", ""),
                    field,
                    theirs: text(theirs),
                    ours,
                });
            };
            match test["test"].as_str() {
                Some("generic_dmidecode_bios") => compare_bios(&machine, &test["expected"], &mut add),
                Some("generic_dmidecode_hardware") => compare_hardware(&machine, &test["expected"], &mut add),
                Some("generic_dmidecode_memory") => compare_memory(&machine, &test["expected"], &mut add),
                Some("tools_generic") if test["expected"].is_object() => {
                    compare_structures(&machine, &test["expected"], &mut add)
                }
                _ => {}
            }
            if facts.len() > before {
                files.insert(file.to_owned());
            }
        }
    }
    judge(files.len(), &facts);
}

#[test]
fn recordings_without_expectations_give_sane_facts() {
    let root = Path::new(DATA).join("raw/generic/dmidecode");
    if !root.exists() {
        skip("nothing is read");
        return;
    }
    let mut folders = vec![root];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("recordings") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let machine = Machine::of(&read(&path));
            count += 1;
            let keys: BTreeSet<&str> = machine.modules.iter().map(|module| module.slot.as_str()).collect();
            assert_eq!(keys.len(), machine.modules.len(), "{}: keys are unique", path.display());
            for module in &machine.modules {
                let bytes = module.size_bytes.unwrap_or(1 << 20);
                assert!((1 << 10..1 << 44).contains(&bytes), "{}: {module:?}", path.display());
            }
            for part in &machine.parts {
                assert!(part.serial.as_deref().is_none_or(|serial| serial.len() > 1), "{}: {part:?}", path.display());
            }
        }
    }
    println!("{count} recordings read");
}

type Add<'a> = &'a mut dyn FnMut(String, &Value, Option<String>);

fn compare_bios(machine: &Machine, expected: &Value, add: Add<'_>) {
    let (system, board, chassis, firmware) =
        (machine.part("system"), machine.part("board"), machine.part("chassis"), machine.part("firmware"));
    for (field, ours) in [
        ("ASSETTAG", chassis.asset_tag),
        ("BDATE", firmware.date),
        ("BMANUFACTURER", firmware.maker),
        ("BVERSION", firmware.model),
        ("MMANUFACTURER", board.maker),
        ("MMODEL", board.model),
        ("MSN", board.serial),
        ("SKUNUMBER", system.sku),
        ("SMANUFACTURER", system.maker),
        ("SMODEL", system.model),
        ("SSN", system.serial),
    ] {
        add(field.to_owned(), &expected[field], ours);
    }
}

fn compare_hardware(machine: &Machine, expected: &Value, add: Add<'_>) {
    add("CHASSIS_TYPE".to_owned(), &expected["CHASSIS_TYPE"], machine.part("chassis").form);
    add("UUID".to_owned(), &expected["UUID"], machine.part("system").uuid);
}

fn compare_memory(machine: &Machine, expected: &Value, add: Add<'_>) {
    let ecc = machine.smbios.arrays.iter().find_map(|array| array.ecc);
    // They list empty slots too, we list modules alone: both in the table's order.
    let installed = expected.as_array().into_iter().flatten().filter(|slot| slot.get("CAPACITY").is_some());
    let sized: Vec<&Module> = machine.modules.iter().filter(|module| module.size_bytes.is_some()).collect();
    let mut modules = sized.iter().copied();
    let mut count = 0;
    for (i, slot) in installed.enumerate() {
        let module = modules.next().cloned().unwrap_or_default();
        count += 1;
        for (field, ours) in [
            ("CAPACITY", module.size_bytes.map(|bytes| (bytes >> 20).to_string())),
            ("CAPTION", Some(module.slot).filter(|slot| !slot.is_empty())),
            ("DESCRIPTION", module.form),
            ("MANUFACTURER", module.maker),
            ("MEMORYCORRECTION", ecc.map(str::to_owned)),
            ("MODEL", module.model),
            ("SERIALNUMBER", module.serial),
            ("SPEED", module.speed_mts.map(|speed| speed.to_string())),
            ("TYPE", module.technology),
        ] {
            add(format!("module {i} {field}"), &slot[field], ours);
        }
    }
    add("modules".to_owned(), &Value::from(count.to_string()), Some(sized.len().to_string()));
}

/// Their plain reading of the texts: type number -> structures -> fields.
fn compare_structures(machine: &Machine, expected: &Value, add: Add<'_>) {
    let part = |kind| machine.part(kind);
    let (system, board, chassis, firmware) = (part("system"), part("board"), part("chassis"), part("firmware"));
    let array = machine.smbios.arrays.first().cloned().unwrap_or_default();
    let number = |number: u16| (number > 0).then(|| number.to_string());
    for (kind, name, ours) in [
        ("0", "Vendor", firmware.maker),
        ("0", "Version", firmware.model),
        ("0", "Release Date", firmware.date),
        ("1", "Manufacturer", system.maker),
        ("1", "Product Name", system.model),
        ("1", "Version", system.version),
        ("1", "Serial Number", system.serial),
        ("1", "UUID", system.uuid),
        ("1", "SKU Number", system.sku),
        ("1", "Family", system.family),
        ("2", "Manufacturer", board.maker),
        ("2", "Product Name", board.model),
        ("2", "Version", board.version),
        ("2", "Serial Number", board.serial),
        ("2", "Asset Tag", board.asset_tag),
        ("3", "Manufacturer", chassis.maker),
        ("3", "Type", chassis.form),
        ("3", "Version", chassis.version),
        ("3", "Serial Number", chassis.serial),
        ("3", "Asset Tag", chassis.asset_tag),
        ("16", "Maximum Capacity", array.max_bytes.map(|bytes| bytes.to_string())),
        ("16", "Number Of Devices", number(array.slots)),
        ("16", "Error Correction Type", array.ecc.map(str::to_owned)),
    ] {
        let theirs = &expected[kind][0][name];
        if theirs.is_null() && ours.is_none() {
            continue;
        }
        let in_bytes = theirs.as_str().filter(|_| name == "Maximum Capacity").and_then(builder::amount);
        add(format!("type {kind} {name}"), &in_bytes.map_or(theirs.clone(), |bytes| bytes.to_string().into()), ours);
    }
}

/// Counts, prints, demands a reason for each difference, and that those of recordings that the list names are
/// the ones that it lists.
#[expect(clippy::disallowed_methods, reason = "whoever runs the test may ask for more of it")]
fn judge(files: usize, facts: &[Fact]) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for fact in facts.iter().filter(|fact| !same(fact)) {
        let reason = explain(fact).unwrap_or(UNEXPLAINED);
        *reasons.entry(reason).or_default() += 1;
        let (theirs, ours) = (fact.theirs.as_deref().unwrap_or("-"), fact.ours.as_deref().unwrap_or("-"));
        lines.push(format!("{}\t{}\t{theirs}\t{ours}\t{reason}", fact.file, fact.field));
    }
    lines.sort();
    println!("{}", lines.join("\n"));
    let unexplained = reasons.get(UNEXPLAINED).copied().unwrap_or(0);
    println!(
        "recordings: glpi: SMBIOS tables: {files} files, {} facts compared, {} equal, {} explained, \
         {unexplained} unexplained",
        facts.len(),
        facts.len() - lines.len(),
        lines.len() - unexplained
    );
    for (reason, count) in &reasons {
        println!("{count:5} {reason}");
    }
    assert_eq!(reasons.get(UNEXPLAINED), None, "differences without a reason are listed above");
    assert!(facts.is_empty() || lines.len() < facts.len(), "nothing is equal");

    if std::env::var_os("REWRITE_GOLDEN").is_some() {
        std::fs::write(LIST, lines.join("\n") + "\n").expect("the list is written");
    }
    let list = std::fs::read_to_string(LIST).expect("the list");
    let file = |line: &str| line.split('\t').next().unwrap_or("").to_owned();
    let named: BTreeSet<String> = list.lines().map(file).collect();
    let compared: BTreeSet<&str> = facts.iter().map(|fact| fact.file.as_str()).collect();
    let found: Vec<&str> = lines.iter().map(String::as_str).filter(|line| named.contains(&file(line))).collect();
    let listed: Vec<&str> = list.lines().filter(|line| compared.contains(file(line).as_str())).collect();
    assert_eq!(found, listed, "{LIST} is made anew by REWRITE_GOLDEN=1");
}

/// Equal but for what is only writing: white space, case of a UUID, order of a date.
fn same(fact: &Fact) -> bool {
    let (Some(theirs), Some(ours)) = (&fact.theirs, &fact.ours) else { return fact.theirs == fact.ours };
    *theirs == ours.split_whitespace().collect::<Vec<_>>().join(" ")
        || theirs.eq_ignore_ascii_case(ours) && fact.field.ends_with("UUID")
        || iso(theirs).as_ref() == Some(ours)
}

fn iso(american: &str) -> Option<String> {
    let [month, day, year] = american.split('/').collect::<Vec<_>>().try_into().ok()?;
    let century = if year.len() == 2 { "19" } else { "" };
    Some(format!("{century}{year}-{month}-{day}"))
}

/// Why ours differs. What is compared is a value that two programs make of one text, so each reason can be
/// seen in that text; none names a file.
fn explain(fact: &Fact) -> Option<&'static str> {
    let field = fact.field.rsplit(' ').next().unwrap_or("");
    let recorded = |name: &str, value: &str| fact.text.contains(&format!("{name}: {value}"));
    let recorded_as = |value: &str| NAMES.iter().any(|(of, name)| *of == field && recorded(name, value));
    match (fact.theirs.as_deref(), fact.ours.as_deref()) {
        (Some("Other"), None) => Some("\"Other\" says nothing"),
        (Some(theirs), None) if field == "UUID" && theirs.chars().filter(char::is_ascii_hexdigit).count() != 32 => {
            Some("a UUID has 32 digits")
        }
        (Some(theirs), None) if is_placeholder(field, theirs) => Some("a placeholder, left out"),
        (Some(_), ours)
            if !fact.text.contains("Locator: ")
                && (ours.is_none() && fact.field.starts_with("module ") || ours == Some("0") && field == "modules") =>
        {
            Some("memory told by type 6 alone, which is obsolete since SMBIOS 2.1 (1998)")
        }
        (Some(_), None) if field == "TYPE" && recorded("Type", "<OUT OF SPEC>") => {
            Some("dmidecode did not know the number, and the builder cannot")
        }
        (Some("2199023255552"), None) => Some("exactly 2 TiB points to a field that this structure is too short for"),
        (Some(_), None) if field == "DESCRIPTION" && recorded("Form Factor", "Unknown") => {
            Some("an unknown form is not another field's text")
        }
        (Some(theirs), None) if field == "SSN" && recorded("Serial Number", theirs) => {
            Some("the chassis' serial is not the system's")
        }
        (Some(theirs), Some(ours))
            if field == "SMODEL" && recorded("Version", theirs) && recorded("Product Name", ours) =>
        {
            Some("the product's name is the model, its version is beside it")
        }
        (Some(theirs), Some(ours)) if field == "MANUFACTURER" && names_one_maker(theirs, ours) => {
            Some("one maker, written in another way")
        }
        (Some(theirs), Some(ours)) if is_chassis_form(&fact.field) && theirs.get(..6) == ours.get(..6) => {
            Some("the specification's words for a form")
        }
        (None, Some("None")) if ["MEMORYCORRECTION", "Type"].contains(&field) => {
            Some("no error correction is a fact, not an unknown")
        }
        (theirs, Some(ours))
            if field == "MANUFACTURER"
                && (is_number(ours) && recorded("Manufacturer", ours)
                    || theirs.is_none() && numbers_a_maker(&fact.text, ours)) =>
        {
            Some("the maker's number, by name where our short list has it")
        }
        (Some(theirs), Some(ours)) if field == "CAPTION" && (ours.ends_with(theirs) || ours.starts_with(theirs)) => {
            Some("slots that share a label get names of their own")
        }
        (None, Some(ours)) if field == "CAPTION" && ours.starts_with("slot") => {
            Some("a slot without a label gets a name")
        }
        (Some(theirs), Some(ours)) if theirs.replace(not_ascii, "") == ours.replace(not_ascii, "") => {
            Some("letters beyond ASCII, which no specification gave a coding until 3.0")
        }
        (Some(_), Some(ours))
            if fact.text.matches("DMI type 2,").count() > 1 && is_of_board(fact) && recorded_as(ours) =>
        {
            Some("of several boards the mainboard comes first")
        }
        (None, Some(ours)) if OLD_NAMES.iter().any(|name| recorded(name, ours) || recorded(name, &american(ours))) => {
            Some("an old dmidecode's name of the field, which theirs does not know")
        }
        (None, Some(ours)) if recorded_as(ours) => Some("recorded, and left out by theirs"),
        _ => None,
    }
}

/// Their names of facts, and dmidecode's.
const NAMES: [(&str, &str); 14] = [
    ("ASSETTAG", "Asset Tag"),
    ("BDATE", "Release Date"),
    ("BMANUFACTURER", "Vendor"),
    ("BVERSION", "Version"),
    ("DESCRIPTION", "Form Factor"),
    ("MANUFACTURER", "Manufacturer"),
    ("MMANUFACTURER", "Manufacturer"),
    ("MMODEL", "Product Name"),
    ("MODEL", "Part Number"),
    ("MSN", "Serial Number"),
    ("SERIALNUMBER", "Serial Number"),
    ("SKUNUMBER", "SKU Number"),
    ("SPEED", "Speed"),
    ("TYPE", "Type"),
];

fn not_ascii(c: char) -> bool {
    !c.is_ascii()
}

fn is_number(maker: &str) -> bool {
    let digits = maker.strip_prefix("0x").unwrap_or(maker);
    digits.len() >= 4 && digits.chars().all(|c| c.is_ascii_hexdigit())
}

/// Some module's maker is told by a number, which stands for this name.
fn numbers_a_maker(text: &str, name: &str) -> bool {
    let makers = text.lines().filter_map(|line| line.trim().strip_prefix("Manufacturer: "));
    makers.into_iter().any(|maker| is_number(maker) && (maker == name || jedec::maker(maker) == Some(name)))
}

fn is_chassis_form(field: &str) -> bool {
    ["CHASSIS_TYPE", "type 3 Type"].contains(&field)
}

fn is_of_board(fact: &Fact) -> bool {
    ["MMANUFACTURER", "MMODEL", "MSN"].contains(&fact.field.as_str()) || fact.field.starts_with("type 2 ")
}

/// Field names of dmidecode 1.8 that later ones renamed.
const OLD_NAMES: [&str; 4] = ["Vendor", "Product", "Release", "Chassis Type"];

fn american(date: &str) -> String {
    let mut fields = date.split('-');
    let (year, month, day) = (fields.next(), fields.next(), fields.next());
    [month, day, year].map(Option::unwrap_or_default).join("/")
}

fn is_placeholder(field: &str, value: &str) -> bool {
    let clean = match field {
        "UUID" => placeholder::uuid(value),
        "ASSETTAG" | "SSN" | "MSN" | "SERIALNUMBER" | "Number" | "Tag" => placeholder::serial(value),
        _ => placeholder::text(value),
    };
    clean.is_none()
}

/// Words of one name in the other, without accents and what a wrong encoding makes of them.
fn names_one_maker(theirs: &str, ours: &str) -> bool {
    let letters = |text: &str| text.to_lowercase().chars().filter(char::is_ascii_alphabetic).collect::<String>();
    let (theirs, ours) = (letters(theirs), letters(ours));
    let start = theirs.chars().zip(ours.chars()).take_while(|(a, b)| a == b).count();
    !theirs.is_empty() && ours.contains(&theirs) || !ours.is_empty() && theirs.contains(&ours) || start >= 8
}
