//! Makes the layers' settings of the flags.

use std::num::NonZeroU32;
use std::sync::Arc;

use fileserve::{Access, CacheLimits, Forms, Hosts, Options, Uploads};
use http_proto::server::Config;
use tcp_core::{Limits, Pace};

use crate::args::Args;

/// What is served and how, by so many threads, where so many file descriptors may be had.
pub(crate) fn options(
    args: &Args,
    access: Option<Arc<Access>>,
    limits: &Limits,
    descriptors: u64,
) -> Options {
    Options {
        access,
        writable: args.writable,
        uploads: uploads(args),
        forms: args
            .writing
            .forms
            .clone()
            .map(|dir| Forms { dir, address: args.writing.forms_address }),
        hosts: hosts(args),
        listing: !args.no_listing,
        hidden: args.hidden,
        precompressed: !args.no_precompressed,
        gzip: args.gzip,
        cache_control: (args.cache_control != "off").then(|| args.cache_control.clone().into()),
        cache: CacheLimits {
            bytes: usize::try_from(args.limits.cache).unwrap_or(usize::MAX),
            files: files_kept(args, descriptors),
            ..CacheLimits::default()
        },
        workers: limits.workers,
    }
}

/// The limits of connections and threads, where so many file descriptors may be had.
pub(crate) fn limits(args: &Args, descriptors: u64) -> Limits {
    let default = Limits::default();
    let connections =
        Limits::connections_within(descriptors - files_kept(args, descriptors) as u64);
    let flags = &args.limits;
    if let Some(asked) = flags.max_connections.filter(|&asked| asked > connections) {
        log::warn!(
            "the file descriptors allowed may do for {connections} connections only, not {asked} \
             (ulimit -n)"
        );
    }
    Limits {
        workers: flags.workers.unwrap_or(default.workers),
        pool: flags.pool.unwrap_or(default.pool),
        connections: flags.max_connections.unwrap_or(connections),
        per_address: flags.max_per_address,
        pace: pace(args),
        drain: flags.drain,
        ..default
    }
}

pub(crate) fn config(args: &Args) -> Config {
    let flags = &args.limits;
    Config {
        limits: http_proto::Limits {
            // A line is part of the head.
            request_line_bytes: flags.request_line_max.min(flags.head_max),
            head_bytes: flags.head_max,
            field_lines: flags.fields_max,
            content_bytes: flags.body_max,
        },
        head_timeout: flags.head_timeout,
        rate_per_address: flags.rate_per_address.and_then(NonZeroU32::new),
        idle_timeout: flags.idle_timeout,
        content_pace: pace(args),
        ..Config::default()
    }
}

/// The names that were said, and this machine's own, which may lead to a loopback address. Nobody
/// else can have a name like that lead here: it has no domain, or one that means this network.
pub(crate) fn hosts(args: &Args) -> Hosts {
    let mut names = args.host.clone();
    names.retain(|name| name != "*");
    let any = names.len() < args.host.len();
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if !own.is_empty() {
        names.extend([format!("{own}.local"), own]);
    }
    Hosts { any, names }
}

fn uploads(args: &Args) -> Uploads {
    let flags = &args.writing;
    Uploads {
        on_conflict: flags.on_conflict,
        directories: flags.directories,
        trusted: flags.trust_uploads,
        quota: flags.quota,
        keep_free: flags.keep_free,
        at_once: flags.uploads_max,
    }
}

fn pace(args: &Args) -> Pace {
    let flags = &args.limits;
    Pace { stall: flags.stall_timeout, rate: flags.min_rate, grace: flags.rate_grace }
}

/// How many files the cache may keep open of so many descriptors: as many as is customary, as long
/// as that is a small part.
pub(crate) fn files_kept(args: &Args, descriptors: u64) -> usize {
    const PART: u64 = 16;
    if args.limits.cache == 0 {
        return 0;
    }
    usize::try_from(descriptors / PART).unwrap_or(usize::MAX).min(CacheLimits::default().files)
}
