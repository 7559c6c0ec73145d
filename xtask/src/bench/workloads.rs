//! The workloads as data: what is asked, over how many connections, and what has to be answered.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// How many files `distinct` asks for, and how long each is.
const DISTINCT_FILES: usize = 10_000;
const DISTINCT_BYTES: usize = 4096;
/// Requests that `pipelined` sends at once.
const PIPELINE: usize = 16;
/// Connections that idle beside those of `idle`.
pub(super) const IDLE: usize = 10_000;

const MIB: u64 = 1 << 20;
const LARGE_BYTES: u64 = 100 * MIB;
const TEXT_BYTES: usize = 20_000;

/// Something to ask for, again and again.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) connections: usize,
    /// Field lines besides `Host`, without their line ends.
    pub(super) fields: &'static [&'static str],
    pub(super) condition: Condition,
    pub(super) order: Order,
    /// Connections that are open and silent meanwhile.
    pub(super) idle: usize,
    pub(super) status: u16,
    /// Octets of the content, where everybody has to send as many.
    pub(super) length: Option<u64>,
    /// Seconds that a round takes at least.
    pub(super) seconds_min: u32,
}

/// A precondition whose value each server is asked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    Tag,
    Date,
}

/// In which order requests go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The same request, each when the one before has been answered.
    Same,
    /// Many files in a random order that is the same for all servers.
    Shuffled,
    /// The same request, many at once.
    Pipelined,
}

/// One file of 1 KiB over 64 connections: what the others differ from.
const ONE_KIB: Workload = Workload {
    name: "1k",
    path: "/1k.bin",
    connections: 64,
    fields: &[],
    condition: Condition::None,
    order: Order::Same,
    idle: 0,
    status: 200,
    length: Some(1024),
    seconds_min: 1,
};

pub(super) const WORKLOADS: [Workload; 14] = [
    ONE_KIB,
    Workload { name: "10k", path: "/10k.bin", length: Some(10 << 10), ..ONE_KIB },
    Workload { name: "100k", path: "/100k.bin", length: Some(100 << 10), ..ONE_KIB },
    Workload {
        name: "100m",
        path: "/100m.bin",
        connections: 8,
        length: Some(LARGE_BYTES),
        seconds_min: 3,
        ..ONE_KIB
    },
    Workload {
        name: "distinct",
        path: "/d/0000.bin",
        order: Order::Shuffled,
        length: Some(DISTINCT_BYTES as u64),
        ..ONE_KIB
    },
    Workload { name: "404", path: "/nowhere.bin", status: 404, length: None, ..ONE_KIB },
    Workload {
        name: "304-tag",
        condition: Condition::Tag,
        status: 304,
        length: Some(0),
        ..ONE_KIB
    },
    Workload {
        name: "304-date",
        condition: Condition::Date,
        status: 304,
        length: Some(0),
        ..ONE_KIB
    },
    Workload {
        name: "range",
        path: "/100m.bin",
        fields: &["Range: bytes=50000000-50001023"],
        status: 206,
        ..ONE_KIB
    },
    Workload { name: "close", fields: &["Connection: close"], ..ONE_KIB },
    Workload { name: "c512", connections: 512, ..ONE_KIB },
    Workload { name: "pipelined", order: Order::Pipelined, ..ONE_KIB },
    Workload { name: "idle", idle: IDLE, ..ONE_KIB },
    Workload {
        name: "gzip",
        path: "/text.txt",
        fields: &["Accept-Encoding: gzip"],
        length: None,
        ..ONE_KIB
    },
];

impl Workload {
    /// The workload of that name.
    pub(super) fn named(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// Whether a content in gzip is wanted.
    pub(super) fn is_gzip(&self) -> bool {
        self.fields.iter().any(|field| field.starts_with("Accept-Encoding"))
    }

    /// Whether so few requests are answered that the octets have to be counted.
    pub(super) fn is_large(&self) -> bool {
        self.status == 200 && self.length.is_some_and(|length| length >= MIB)
    }

    /// Whether the floor, which answers 1 KiB whatever it is asked, says something about it.
    pub(super) fn has_floor(&self) -> bool {
        !self.is_large() && !self.is_gzip()
    }

    /// The script that makes wrk ask so, without its end.
    pub(super) fn script(&self) -> String {
        match self.order {
            Order::Same => String::new(),
            Order::Pipelined => format!(
                "local all\n\
                 init = function(args)\n  \
                   all = string.rep(wrk.format(), {PIPELINE})\n\
                 end\n\
                 request = function() return all end\n"
            ),
            Order::Shuffled => format!(
                "local all, at = {{}}, 0\n\
                 init = function(args)\n  \
                   math.randomseed(1)\n  \
                   for n = 1, {DISTINCT_FILES} do\n    \
                     all[n] = wrk.format(nil, string.format(\"/d/%04d.bin\", n - 1))\n  \
                   end\n  \
                   for n = {DISTINCT_FILES}, 2, -1 do\n    \
                     local other = math.random(n)\n    \
                     all[n], all[other] = all[other], all[n]\n  \
                   end\n\
                 end\n\
                 request = function()\n  \
                   at = at % {DISTINCT_FILES} + 1\n  \
                   return all[at]\n\
                 end\n"
            ),
        }
    }
}

/// Fills the directory that all servers serve.
///
/// # Errors
/// When the disk does not take it.
pub(super) fn fill(root: &Path) -> Result<()> {
    let write = |name: &str, content: &[u8]| {
        let path = root.join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())
    };
    for (name, length) in [("1k.bin", 1 << 10), ("10k.bin", 10 << 10), ("100k.bin", 100 << 10)] {
        write(name, &pattern(length))?;
    }
    let mut large = fs::File::create(root.join("100m.bin"))?;
    let mib = pattern(MIB as usize);
    for _ in 0..LARGE_BYTES / MIB {
        large.write_all(&mib)?;
    }
    fs::create_dir(root.join("d"))?;
    for number in 0..DISTINCT_FILES {
        write(&format!("d/{number:04}.bin"), &pattern(DISTINCT_BYTES))?;
    }
    let mut text = String::new();
    while text.len() < TEXT_BYTES {
        let _ = writeln!(text, "line {} of a text that can be compressed", text.len());
    }
    write("text.txt", text.as_bytes())?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(text.as_bytes())?;
    write("text.txt.gz", &gzip.finish()?)
}

/// Octets of which no two neighbours are alike.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_has_a_name_of_its_own_and_a_file_unless_it_wants_404() {
        let dir = tempfile::TempDir::new().unwrap();
        fill(dir.path()).unwrap();
        for (at, workload) in WORKLOADS.iter().enumerate() {
            assert!(WORKLOADS[..at].iter().all(|other| other.name != workload.name));
            let file = fs::metadata(dir.path().join(&workload.path[1..]));
            assert_eq!(file.is_ok(), workload.status != 404, "{}", workload.name);
            if let (Some(length), 200) = (workload.length, workload.status) {
                assert_eq!(file.unwrap().len(), length, "{}", workload.name);
            }
        }
    }
}
