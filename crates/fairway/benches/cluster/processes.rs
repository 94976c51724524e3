//! What the programs of a lab use, read from /proc. Only one lab runs at a time on a machine that is measured.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks a second in /proc/PID/stat: USER_HZ, which is 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Seconds of processor time by program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu(BTreeMap<String, f64>);

impl Cpu {
    /// Gives what all have used so far.
    pub(crate) fn now() -> Self {
        let mut all = BTreeMap::new();
        for (process, name) in processes() {
            *all.entry(name).or_default() += seconds(&process).unwrap_or_default();
        }
        Self(all)
    }

    /// Gives what was used since, in words: those that used most first.
    pub(crate) fn since(&self, before: &Self) -> String {
        let used = |(name, now): (&String, &f64)| {
            let before = before.0.get(name).copied().unwrap_or_default();
            (name.clone(), now - before)
        };
        let mut all: Vec<(String, f64)> = self.0.iter().map(used).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let all = all.iter().filter(|(_, seconds)| *seconds >= 0.05);
        all.map(|(name, seconds)| format!("{name} {seconds:.1} s")).collect::<Vec<_>>().join(", ")
    }

    /// Gives the seconds of all.
    pub(crate) fn total(&self) -> f64 {
        self.0.values().sum()
    }
}

/// Gives the resident memory of each process of a program, in MiB, with the most there ever was.
pub(crate) fn memory(program: &str) -> Vec<(f64, f64)> {
    let found = processes().into_iter().filter(|(_, name)| name == program);
    found.filter_map(|(process, _)| resident(&process)).collect()
}

/// Gives all processes of interest with the names of their programs.
fn processes() -> Vec<(String, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().into_string().ok());
    numbers.filter_map(|number| Some((number.clone(), program(&number)?))).collect()
}

fn program(process: &str) -> Option<String> {
    if process.parse() == Ok(std::process::id()) {
        return Some("benchmark with the lab's node".to_owned());
    }
    let line = fs::read_to_string(format!("/proc/{process}/cmdline")).ok()?;
    let mut words = line.split('\0');
    match words.next()?.rsplit('/').next()? {
        "fairway" => Some(words.next()?.to_owned()),
        known @ ("etcd" | "kube-apiserver" | "kube-controller-manager") => Some(known.to_owned()),
        _ => None,
    }
}

fn seconds(process: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in field 2 may hold anything; utime and stime are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn resident(process: &str) -> Option<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}
