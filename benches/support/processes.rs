//! What processes take of the machine, as /proc tells it.

use std::collections::HashMap;
use std::time::Duration;

/// The most memory that a process (`self`, or its number) has had so far, in MB.
pub fn memory_high(process: &str) -> u64 {
    memory(process, "VmHWM:")
}

/// The memory that a process has now, in MB.
pub fn memory_now(process: &str) -> u64 {
    memory(process, "VmRSS:")
}

fn memory(process: &str, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let found = status.lines().find_map(|status| status.strip_prefix(line));
    found.and_then(|kilobytes| kilobytes.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

struct Process {
    parent: u32,
    own: u64,
    /// Of its children that have ended.
    ended: u64,
}

fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, and ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<u64> = fields.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    let sum = |at: usize| Some(fields.get(at)? + fields.get(at + 1)?);
    Some(Process { parent: u32::try_from(*fields.get(1)?).ok()?, own: sum(11)?, ended: sum(13)? })
}

/// Ticks are hundredths of a second to whoever reads them.
fn ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

/// The processor's time that a process alone has taken so far.
pub fn time_of(pid: u32) -> Duration {
    process(pid).map_or(Duration::ZERO, |process| ticks(process.own))
}

/// The same of a process and all that it has started, with those that have ended meanwhile: their parents have waited for them.
pub fn time_of_family(ancestor: u32) -> Duration {
    let pids = std::fs::read_dir("/proc").expect("/proc");
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let all: HashMap<u32, Process> = pids.filter_map(|pid| Some((pid, process(pid)?))).collect();
    let is_of_family = |mut pid: u32| {
        while let Some(process) = all.get(&pid) {
            if pid == ancestor {
                return true;
            }
            pid = process.parent;
        }
        false
    };
    let family = all.iter().filter(|(pid, _)| is_of_family(**pid));
    ticks(family.map(|(_, process)| process.own + process.ended).sum())
}
