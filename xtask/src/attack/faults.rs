//! Every system call that the server makes fails, each with every error that is usual for it, early
//! and late: nobody dies, nothing is lost, nobody is told what is not so.
//!
//! `strace` lets them fail. Its count of calls is for each thread, so that a run fails one call in
//! every thread that gets so far.

mod full;
mod log;
mod scenario;
pub(super) mod start;
mod table;
mod tracer;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use crate::trial::{Terms, Verdicts};
use scenario::{Complaint, Expected, SETTINGS, Setting};
use table::{ERRORS, LEFT_OUT};
use tracer::{Fault, Threads, Tracer};

/// How many calls later a fault is tried again when it has hit nothing, or what cannot fail.
const LATER_MAX: usize = 3;

pub(super) fn run(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    if let Some(why) = tracer::missing() {
        println!("  skipped: {why}");
        return Ok(());
    }
    serving(verdicts, terms)?;
    full::run(verdicts)
}

/// What the runs of all servers have come to.
#[derive(Default)]
struct Totals {
    judged: usize,
    unjudged: usize,
    /// Call and error of each fault that was judged.
    seen: BTreeSet<(&'static str, &'static str)>,
    complaints: Vec<Complaint>,
}

fn serving(verdicts: &mut Verdicts, terms: &Terms) -> Result<()> {
    let mut totals = Totals::default();
    for setting in &SETTINGS {
        let flags = setting.args.join(" ");
        let profile = profile(setting)?;
        let (counts, requests) = (&profile.counts, profile.requests);
        let calls: usize = counts.values().sum();
        println!("  httpd {flags}: {requests} requests, {calls} calls of {} kinds", counts.len());
        let untried: Vec<&str> = counts.keys().map(String::as_str).filter(is_unknown).collect();
        verdicts.claim("every call is in the table", untried.is_empty(), &untried.join(" "));
        for fault in plan(setting, &profile, terms) {
            terms.check_time()?;
            try_until_judged(setting, fault, &mut totals)?;
        }
    }
    let Totals { judged, unjudged, seen, complaints } = totals;
    println!("  {judged} runs judged; in {unjudged} the call was not made, or cannot fail");
    let all = ERRORS.iter().flat_map(|(call, errors)| errors.iter().map(move |it| (*call, *it)));
    let never: Vec<_> = all.filter(|fault| !seen.contains(fault)).collect();
    verdicts.claim("every fault of the table was judged", never.is_empty(), &format!("{never:?}"));
    for (name, kind) in scenario::CLAIMS {
        let count = complaints.iter().filter(|complaint| complaint.kind == kind).count();
        verdicts.none(name, count, judged);
    }
    Ok(())
}

/// Tries a fault, and those of later calls as long as it comes to nothing.
fn try_until_judged(setting: &Setting, mut fault: Fault, totals: &mut Totals) -> Result<()> {
    for _ in 0..=LATER_MAX {
        let found = attempt(setting, &fault).with_context(|| format!("with {fault:?}"))?;
        let Some(found) = found else {
            totals.unjudged += 1;
            fault.when += 1;
            continue;
        };
        totals.judged += 1;
        totals.seen.insert((fault.call, fault.error));
        for complaint in &found {
            println!("  {} (httpd {}): {complaint}", fault.inject(), setting.args.join(" "));
        }
        totals.complaints.extend(found);
        break;
    }
    Ok(())
}

/// What a server does when nothing fails.
struct Profile {
    /// How often the busiest thread makes each call.
    counts: BTreeMap<String, usize>,
    requests: usize,
    /// Which of a thread's writes may fail, those of the log's thread apart.
    writes: Vec<usize>,
}

fn profile(setting: &Setting) -> Result<Profile> {
    let server = setting.start()?;
    let tracer = Tracer::attach(&server, None)?;
    let mut expected = Expected::default();
    setting.play(&server, &mut expected);
    let Expected { complaints, answered, .. } = expected;
    anyhow::ensure!(complaints.is_empty(), "without a fault: {complaints:?}");
    anyhow::ensure!(answered.iter().all(|one| *one), "without a fault: not all is answered");
    let log = tracer.detach()?;
    Ok(Profile { counts: log.calls()?, requests: answered.len(), writes: log.possible_writes() })
}

fn is_unknown(call: &&str) -> bool {
    !LEFT_OUT.contains(call) && ERRORS.iter().all(|(known, _)| known != call)
}

fn plan(setting: &Setting, profile: &Profile, terms: &Terms) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (call, errors) in ERRORS {
        let Some(&count) = profile.counts.get(call) else { continue };
        let some = setting.calls.iter().copied().filter(|&number| number < count).chain([count]);
        let in_all = |numbers: Vec<usize>, threads: Threads| {
            numbers.into_iter().map(move |number| (number, threads)).collect::<Vec<_>>()
        };
        let calls = match call {
            // A thread that waits is woken by a write as well, which cannot fail.
            "write" => in_all(profile.writes.clone(), Threads::NotLog),
            // The main thread waits for signals, from a pair of sockets of which a read cannot
            // fail as that of a connection can.
            "recvfrom" => in_all(some.collect(), Threads::NotMain),
            _ => in_all(some.collect(), Threads::All),
        };
        let step = terms.pick(calls.len().div_ceil(2).max(1), 1);
        let mut calls: Vec<_> = calls.into_iter().step_by(step).collect();
        match call {
            // One for each time that the log is flushed.
            "write" => calls.extend(in_all(vec![1, 2], Threads::Log)),
            // Each is for another file, or for the directory that has got its name.
            "fsync" => calls = in_all((1..=count).collect(), Threads::All),
            _ => {}
        }
        for error in errors {
            for &(when, threads) in &calls {
                faults.push(Fault { call, error, when, threads });
            }
        }
    }
    faults
}

/// Plays the scenario with one fault, and says what is wrong with what became of it; `None` when
/// nothing did, or what cannot fail has failed, and the server is alive.
fn attempt(setting: &Setting, fault: &Fault) -> Result<Option<Vec<Complaint>>> {
    let mut server = setting.start()?;
    let tracer = Tracer::attach(&server, Some(fault))?;
    let mut expected = Expected::default();
    expected.syncs_fail = ["fsync", "fdatasync"].contains(&fault.call) && fault.error != "EINTR";
    setting.play(&server, &mut expected);
    if fault.threads == Threads::Log {
        // It writes every half second.
        std::thread::sleep(log::FLUSH_EVERY);
    }
    let log = tracer.detach()?;
    if log.injected() == 0 || log.impossible() > 0 || expected.is_void {
        // What was answered says nothing. That it died, or serves nobody any more, does: but for
        // a run in which all that failed is what cannot.
        let mut after = Expected::default();
        if log.injected() == 0 || log.injected() > log.impossible() {
            setting.judge_alive(&mut server, &mut after)?;
        }
        return Ok((!after.complaints.is_empty()).then_some(after.complaints));
    }
    setting.judge_after(&mut server, &mut expected)?;
    Ok(Some(expected.complaints))
}
