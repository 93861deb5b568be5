//! Facts about this process, read from the system's `/proc`. Where that is missing a fact reads as zero or false:
//! these are for dashboards, and no decision hangs on them but how SIGHUP is treated.

use std::fs;
use std::str::FromStr;

/// Clock ticks a second in `/proc/<pid>/stat`. Linux fixes it at 100 for everything a program can see.
const TICKS_PER_SECOND: f64 = 100.0;

/// True if the signal was set to be ignored when the process started, as `nohup` does with SIGHUP.
pub(crate) fn ignores_signal(signal: i32) -> bool {
    let mask = status_field("SigIgn:").and_then(|hex| u64::from_str_radix(&hex, 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// A seed that differs from call to call and from process to process, from the standard library's own random keys.
pub fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8)
}

/// The machine's name; `localhost` where it has none.
pub fn host_name() -> String {
    let name = read("/proc/sys/kernel/hostname");
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// When the process started, in seconds since the epoch.
pub(crate) fn start_time_seconds() -> f64 {
    let boot =
        read("/proc/stat").lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
    boot.unwrap_or(0.0) + stat_field(22) / TICKS_PER_SECOND
}

/// Processor time used so far, user and system, in seconds.
pub(crate) fn cpu_seconds() -> f64 {
    (stat_field(14) + stat_field(15)) / TICKS_PER_SECOND
}

/// Memory in RAM, in bytes.
pub(crate) fn resident_bytes() -> f64 {
    status_number("VmRSS:") * 1024.0
}

/// Threads of the process.
pub(crate) fn threads() -> f64 {
    status_number("Threads:")
}

/// Open file descriptors.
pub(crate) fn open_files() -> f64 {
    fs::read_dir("/proc/self/fd").map_or(0.0, |entries| entries.count() as f64)
}

/// A field of `/proc/self/stat` by its number in proc(5), counted from 1.
fn stat_field(number: usize) -> f64 {
    let stat = read("/proc/self/stat");
    // The second field is the command's name in parentheses and may hold spaces, so counting starts behind it.
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    behind.split_whitespace().nth(number - 3).and_then(|field| field.parse().ok()).unwrap_or(0.0)
}

fn status_number(field: &str) -> f64 {
    status_field(field).and_then(|value| f64::from_str(&value).ok()).unwrap_or(0.0)
}

/// The first word behind the field's name in `/proc/self/status`.
fn status_field(field: &str) -> Option<String> {
    let status = read("/proc/self/status");
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.split_whitespace().next().map(str::to_owned)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn facts_are_plausible() {
        let now = crate::now_micros() as f64 / 1e6;
        assert!((now - 86_400.0..=now + 2.0).contains(&start_time_seconds()), "{}", start_time_seconds());
        assert!((100_000.0..1e10).contains(&resident_bytes()));
        assert!(threads() >= 1.0 && open_files() >= 3.0 && cpu_seconds() >= 0.0);
    }
}
