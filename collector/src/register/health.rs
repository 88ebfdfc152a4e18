//! Where faults stand: raised and cleared by readings, with hysteresis.
//!
//! A fault is bad from a check's raise value on and good below its clear value; in between it stays as it
//! is. It holds after `fault_reports` bad reports in a row or `fault_s` seconds, and has passed after as
//! many good ones or `clear_s` seconds. A reading that is gone (its filesystem was unmounted, its unit
//! removed) is good. A section that failed proves nothing; a reading without a value neither raises nor clears.
//! A report that does not carry a reading says that it is as before, and so does a beat. A section that the
//! machine has no more is one without readings. A fault that holds and has no incident is a step of every report
//! and beat: why it has none may be over. What a fault means for people is the desk's (`triage`).

use super::model::{Fault, FaultState, Items, Severity, Step};
use crate::work::Policy;
use shared::checkin::State;
use shared::digest;
use shared::health::{self, Reading};
use shared::id::AssetId;
use shared::unit::At;
use std::collections::{BTreeMap, BTreeSet};

/// Faults of one asset that are not cleared; readings beyond them raise none.
pub const FAULTS: usize = 1_024;
/// Faults of one asset that begin or cease to hold by one report, each of them told; the others do so by the
/// reports that follow.
pub const FAULT_EVENTS: usize = 256;

/// A health section after a report.
#[derive(Debug)]
pub enum Told<'a> {
    /// Its rows now.
    Rows(&'a Items),
    /// It is as it was.
    Same,
}

/// The moment and the rules.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// The collector's clock.
    pub at: At,
    /// What admins may set.
    pub policy: &'a Policy,
}

/// The steps of one asset's faults: what the sections in the report tell, and what waits and was not told
/// otherwise. `failed` names sections that cannot be read now.
pub fn steps(
    asset: AssetId,
    faults: &BTreeMap<String, Fault>,
    told: &BTreeMap<&str, Told<'_>>,
    failed: &BTreeSet<&str>,
    now: Now<'_>,
) -> Vec<Step> {
    let mut readings: BTreeMap<String, Reading> = BTreeMap::new();
    let mut unread: BTreeSet<String> = BTreeSet::new();
    for (section, told) in told {
        let Told::Rows(items) = told else { continue };
        for item in items.values() {
            let of_section = |name: &str| health::check(name).is_some_and(|check| check.section == *section);
            let Some((check, resource)) = health::subject(item).filter(|(check, _)| of_section(check)) else {
                continue;
            };
            let print = fingerprint_of(asset, check, resource);
            match Reading::from_item(item) {
                Some(reading) => drop(readings.insert(print, reading)),
                None => drop(unread.insert(print)),
            }
        }
    }
    let mut out = Vec::new();
    for (print, fault) in faults {
        let section = section_of(&fault.check);
        let unclear = failed.contains(section);
        let step = match (readings.remove(print), told.get(section)) {
            (Some(reading), _) => on_reading(fault, &reading, now),
            (None, _) if unclear => None,
            (None, _) if unread.contains(print) => between(fault),
            (None, Some(Told::Rows(_))) => on_good(fault, None, now),
            (None, Some(Told::Same) | None) => unchanged(fault, now),
        };
        out.extend(step.or_else(|| untold(fault).filter(|_| !unclear)));
    }
    let mut left = FAULT_EVENTS;
    pace(&mut out, &mut left);
    // A fault that has passed and whose turn to be told has not come still takes its place.
    let over = out.iter().filter(|step| step.fault.state == FaultState::Cleared).count();
    let room = FAULTS.saturating_sub(faults.len() - over);
    let fresh = readings.into_iter().filter_map(|(print, reading)| first(asset, print, &reading, now));
    let mut fresh: Vec<Step> = fresh.take(room).collect();
    pace(&mut fresh, &mut left);
    out.append(&mut fresh);
    out
}

/// At most so many faults cease or begin to hold, those that cease first; the others wait for the next report.
fn pace(steps: &mut [Step], left: &mut usize) {
    let clears = |step: &Step| step.fault.state == FaultState::Cleared;
    let (over, others): (Vec<&mut Step>, Vec<&mut Step>) = steps.iter_mut().partition(|step| clears(step));
    for step in over.into_iter().chain(others) {
        let held = matches!(step.was, Some(FaultState::Raised | FaultState::Passing));
        let told = match step.fault.state {
            FaultState::Raised => !held,
            FaultState::Cleared => held,
            FaultState::Pending | FaultState::Passing => false,
        };
        if told && *left == 0 {
            step.fault.state = if held { FaultState::Passing } else { FaultState::Pending };
        }
        *left = left.saturating_sub(usize::from(told));
    }
}

/// A fault that holds and has no incident.
fn untold(fault: &Fault) -> Option<Step> {
    let waits = fault.state == FaultState::Raised && fault.ticket.is_none();
    waits.then(|| Step { fault: fault.clone(), was: Some(fault.state) })
}

/// The steps of faults that wait when all is as it was: a beat.
pub fn beat(faults: &BTreeMap<String, Fault>, failed: &BTreeSet<&str>, now: Now<'_>) -> Vec<Step> {
    let told = faults
        .values()
        .filter(|fault| !failed.contains(section_of(&fault.check)))
        .filter_map(|fault| unchanged(fault, now).or_else(|| untold(fault)));
    let mut steps: Vec<Step> = told.collect();
    pace(&mut steps, &mut { FAULT_EVENTS });
    steps
}

/// Whether what is told in these sections may raise a fault at once, or be the first sign of one.
pub fn is_bad<'a>(parts: impl IntoIterator<Item = &'a shared::checkin::Part>, policy: &Policy) -> bool {
    let bad = |item: &shared::fact::Item| {
        let reading = Reading::from_item(item).filter(|reading| health::check(&reading.check).is_some());
        reading.is_some_and(|reading| amount(&reading) >= limits(&reading.check, policy).0)
    };
    let mut health = parts.into_iter().filter(|part| health::is_section(&part.section));
    // Where one report is enough, rows that were there before may raise a fault too: limits may have changed.
    health.any(|part| policy.fault_reports <= 1 || part.put.iter().flatten().any(bad))
}

/// What time alone makes of a fault.
pub fn by_time(fault: &Fault, now: At, policy: &Policy) -> Option<Step> {
    let state = match fault.state {
        FaultState::Pending if now.secs_since(fault.first) >= policy.fault_s => FaultState::Raised,
        FaultState::Passing if fault.good_since.is_some_and(|since| now.secs_since(since) >= policy.clear_s) => {
            FaultState::Cleared
        }
        _ => return None,
    };
    Some(Step { fault: Fault { state, ..fault.clone() }, was: Some(fault.state) })
}

/// Asset, check, and what the resource is by nature (its identity, where its name may be reused). At most
/// one fault and one open incident for each. Begins with the asset's id.
pub fn fingerprint(asset: AssetId, reading: &Reading) -> String {
    fingerprint_of(asset, &reading.check, reading.identity.as_deref().unwrap_or(&reading.resource))
}

fn fingerprint_of(asset: AssetId, check: &str, resource: &str) -> String {
    format!("{asset}:{}", digest::of_bytes(format!("{check}\n{resource}").as_bytes()))
}

/// The section that tells of a check; none for one of another version, which no section tells of.
fn section_of(check: &str) -> &'static str {
    health::check(check).map_or("", |check| check.section)
}

/// Names of sections that cannot be read now.
pub fn failed<'a>(heads: impl IntoIterator<Item = &'a super::model::Section>) -> BTreeSet<&'a str> {
    heads.into_iter().filter(|head| head.state == State::Failed).map(|head| head.name.as_str()).collect()
}

/// The values from which on a check is bad, and below which it is good.
fn limits(check: &str, policy: &Policy) -> (i64, i64) {
    let shipped = || health::check(check).map_or((i64::MAX, i64::MAX), |check| (check.raise, check.clear));
    policy.thresholds.get(check).copied().unwrap_or_else(shipped)
}

/// A clock may be off to either side.
fn amount(reading: &Reading) -> i64 {
    if reading.check == "clock_skew" { reading.value.saturating_abs() } else { reading.value }
}

/// How bad: a full disk stops work, one that fills up does not yet.
fn severity(check: &str, value: i64) -> Severity {
    match (check, value) {
        ("disk_space" | "disk_inodes", 98..) => Severity::Critical,
        ("disk_space" | "disk_inodes", 95..) => Severity::Major,
        ("failed_unit", _) => Severity::Major,
        ("memory_pressure", 80..) => Severity::Critical,
        ("memory_pressure", _) => Severity::Major,
        ("clock_skew", 3600..) => Severity::Major,
        _ => Severity::Minor,
    }
}

/// One line for people; what the machine said comes last.
fn detail(reading: &Reading, raise: i64) -> String {
    let Reading { check, resource, value, detail, .. } = reading;
    let (title, unit) = health::check(check).map_or((check.as_str(), ""), |check| (check.title, check.unit));
    let place = if resource.is_empty() { String::new() } else { format!(" of {resource}") };
    let what = match unit {
        "state" => format!("{title}{}", if resource.is_empty() { String::new() } else { format!(": {resource}") }),
        "percent" => format!("{title}{place}: {value} %, the limit is {raise} %"),
        unit => format!("{title}{place}: {value} {unit}, the limit is {raise}"),
    };
    match detail {
        Some(more) => format!("{what} ({more})"),
        None => what,
    }
}

/// The first bad reading of a resource.
fn first(asset: AssetId, fingerprint: String, reading: &Reading, now: Now<'_>) -> Option<Step> {
    let (raise, _) = limits(&reading.check, now.policy);
    if amount(reading) < raise {
        return None;
    }
    let fault = Fault {
        asset,
        check: reading.check.clone(),
        resource: reading.resource.clone(),
        fingerprint,
        state: if now.policy.fault_reports <= 1 { FaultState::Raised } else { FaultState::Pending },
        severity: severity(&reading.check, amount(reading)),
        value: reading.value,
        detail: detail(reading, raise),
        first: now.at,
        last: now.at,
        reports: 1,
        good_since: None,
        ticket: None,
    };
    Some(Step { fault, was: None })
}

fn on_reading(fault: &Fault, reading: &Reading, now: Now<'_>) -> Option<Step> {
    let (raise, clear) = limits(&reading.check, now.policy);
    let value = amount(reading);
    // Where raise and clear are one value, below it is good.
    if value < clear {
        return on_good(fault, Some(reading), now);
    }
    if value < raise {
        return between(fault);
    }
    let told = fault.value != reading.value || fault.state != FaultState::Raised;
    let fault = Fault {
        severity: fault.severity.max(severity(&reading.check, value)),
        value: reading.value,
        detail: detail(reading, raise),
        resource: reading.resource.clone(),
        ..fault.clone()
    };
    if told { on_bad(&fault, now) } else { None }
}

fn step(fault: &Fault, state: FaultState, change: impl FnOnce(&mut Fault)) -> Option<Step> {
    let mut next = Fault { state, ..fault.clone() };
    change(&mut next);
    Some(Step { fault: next, was: Some(fault.state) })
}

fn on_bad(fault: &Fault, now: Now<'_>) -> Option<Step> {
    let reports = fault.reports.saturating_add(1);
    let holds = reports >= now.policy.fault_reports || now.at.secs_since(fault.first) >= now.policy.fault_s;
    match fault.state {
        FaultState::Pending => {
            let state = if holds { FaultState::Raised } else { FaultState::Pending };
            step(fault, state, |next| (next.reports, next.last) = (reports, now.at))
        }
        FaultState::Raised => step(fault, FaultState::Raised, |next| (next.reports, next.last) = (reports, now.at)),
        FaultState::Passing => step(fault, FaultState::Raised, |next| {
            (next.reports, next.last, next.good_since) = (1, now.at, None);
        }),
        FaultState::Cleared => None,
    }
}

fn on_good(fault: &Fault, reading: Option<&Reading>, now: Now<'_>) -> Option<Step> {
    let value = reading.map(|reading| reading.value);
    let set = |next: &mut Fault| next.value = value.unwrap_or(0);
    match fault.state {
        FaultState::Pending => step(fault, FaultState::Cleared, set),
        FaultState::Raised if now.policy.fault_reports <= 1 => step(fault, FaultState::Cleared, set),
        FaultState::Raised => step(fault, FaultState::Passing, |next| {
            set(next);
            (next.reports, next.good_since) = (1, Some(now.at));
        }),
        FaultState::Passing => {
            let reports = fault.reports.saturating_add(1);
            let since = fault.good_since.unwrap_or(now.at);
            let passed = reports >= now.policy.fault_reports || now.at.secs_since(since) >= now.policy.clear_s;
            step(fault, if passed { FaultState::Cleared } else { FaultState::Passing }, |next| {
                set(next);
                (next.reports, next.good_since) = (reports, Some(since));
            })
        }
        FaultState::Cleared => None,
    }
}

/// Neither bad nor good, or not known: what only waited to hold does not, what waited to pass does not either.
fn between(fault: &Fault) -> Option<Step> {
    match fault.state {
        FaultState::Pending => step(fault, FaultState::Cleared, |_| ()),
        FaultState::Passing => step(fault, FaultState::Raised, |next| next.good_since = None),
        FaultState::Raised | FaultState::Cleared => None,
    }
}

/// The last reading still stands.
fn unchanged(fault: &Fault, now: Now<'_>) -> Option<Step> {
    match fault.state {
        FaultState::Pending => on_bad(fault, now),
        FaultState::Passing => {
            let (value, good) = (fault.value, on_good(fault, None, now)?);
            Some(Step { fault: Fault { value, ..good.fault }, ..good })
        }
        FaultState::Raised | FaultState::Cleared => None,
    }
}

#[cfg(test)]
mod tests;
