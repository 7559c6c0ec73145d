//! The calls that a server makes, and the errors that are usual for each.

/// The errors that are usual for each call. Those that the kernel gives only to who asks wrongly
/// are left out, and EAGAIN where something is there: edge-triggered, nobody would tell again.
///
/// A server that serves does not make these calls, so they have no row: `clone3`, of which `start`
/// lets all fail; `brk`, since threads have their memory by `mmap`; `ftruncate`, which takes back a
/// form that could not be kept, so that a call has to fail before. One that it begins to make is
/// missed here.
pub(super) const ERRORS: [(&str, &[&str]); 34] = [
    ("accept4", &["EMFILE", "ENFILE", "ENOMEM", "ECONNABORTED", "EINTR"]),
    ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ("epoll_wait", &["EINTR"]),
    ("fchmod", &["EIO"]),
    ("fcntl", &["EMFILE", "EINTR"]),
    ("flock", &["EINTR", "ENOLCK"]),
    ("fstat", &["EIO", "ENOMEM"]),
    ("fstatfs", &["EIO", "EINTR"]),
    ("fsync", &["EIO", "ENOSPC", "EINTR"]),
    ("getdents64", &["EIO", "ENOMEM"]),
    ("getrandom", &["EINTR"]),
    ("inotify_add_watch", &["ENOSPC", "ENOMEM"]),
    ("ioctl", &["EIO", "ENOTTY"]),
    ("linkat", &["EIO", "ENOSPC", "ENOMEM", "EDQUOT"]),
    ("memfd_create", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("mkdirat", &["EIO", "ENOSPC", "ENOMEM"]),
    ("mmap", &["ENOMEM"]),
    ("mprotect", &["ENOMEM"]),
    ("newfstatat", &["EIO", "ENOMEM"]),
    ("openat", &["EIO", "ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EINTR"]),
    ("openat2", &["EIO", "ENOSPC", "EMFILE", "ENFILE", "ENOMEM", "EINTR", "EAGAIN"]),
    ("pread64", &["EIO", "EINTR"]),
    ("preadv2", &["EIO", "EINTR", "EAGAIN"]),
    ("read", &["EIO", "EINTR"]),
    ("recvfrom", &["ECONNRESET", "ENOMEM", "EINTR"]),
    ("renameat", &["EIO", "ENOSPC", "ENOMEM"]),
    ("renameat2", &["EIO", "ENOSPC", "ENOMEM"]),
    ("sendfile", &["EIO", "ENOMEM", "EPIPE", "EINTR"]),
    ("sendmsg", &["ECONNRESET", "EPIPE", "ENOBUFS", "EINTR"]),
    ("sendto", &["ECONNRESET", "EPIPE", "ENOBUFS", "EINTR"]),
    ("statx", &["EIO", "ENOMEM"]),
    ("unlinkat", &["EIO", "ENOMEM"]),
    ("utimensat", &["EIO", "ENOSPC"]),
    ("write", &["EIO", "ENOSPC", "EINTR"]),
];
/// Calls that do not fail, that only wait, or of which a failure that is made up leaves behind what
/// a real one would not (`close` closes in any case). Or by which a thread names itself and steps
/// back (`prctl`, `setpriority`), as the last ones of the pool may do yet: `start` lets those fail.
pub(super) const LEFT_OUT: &[&str] = &[
    "clock_nanosleep",
    "close",
    "exit",
    "exit_group",
    "futex",
    "getpid",
    "getpriority",
    "getsockopt",
    "getsockname",
    "gettid",
    "inotify_rm_watch",
    "madvise",
    "munmap",
    "ppoll",
    "prctl",
    "restart_syscall",
    "rseq",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "setpriority",
    "setsockopt",
    "shutdown",
    "sigaltstack",
    "tgkill",
];
