//! Decides which system calls the kernel refuses to a thread, whatever it may open (seccomp).
//!
//! A list of what is refused, and no list of what is allowed: a server that runs has no use for any
//! of these, and nothing else can break by it, be it with another C library or kernel.

use std::env::consts::ARCH;
use std::io::ErrorKind;

use nix::libc::*;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::Jailed;

/// Refused whatever they are called with.
const REFUSED: &[c_long] = &[
    // What is listened at is bound already, and `accept4` needs none of these.
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    // Programs. Landlock keeps from those in files, but a file in memory is on no file system.
    SYS_execve,
    SYS_execveat,
    // Other processes, whose memory and descriptors are as good as their rights.
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    // Calls that are made by the kernel on one's behalf, past this list.
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    // Where the holes of kernels have been.
    SYS_userfaultfd,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    // What root alone may do, and a server that root has started.
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_open_by_handle_at,
    SYS_unshare,
    SYS_setns,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    // The libc crate has no name for it on RISC-V, nor on ARM64 with musl.
    #[cfg(not(any(target_arch = "riscv64", all(target_arch = "aarch64", target_env = "musl"))))]
    SYS_kexec_file_load,
    SYS_quotactl,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
];

/// Refused if the argument at this place (from 0) has all of these bits.
const REFUSED_WITH: &[(c_long, u8, c_int)] = &[
    // A socket that listens no more can be connected by what it sends first.
    (SYS_sendto, 3, MSG_FASTOPEN),
    (SYS_sendmsg, 2, MSG_FASTOPEN),
    (SYS_sendmmsg, 3, MSG_FASTOPEN),
];

/// Refused if the argument at this place is this: what is "typed" into the terminal that the
/// server was started from is obeyed by a shell. (Not by name: C libraries have different types
/// for it.)
const REFUSED_IF: &[(c_long, u8, u64)] = &[
    (SYS_ioctl, 1, 0x5412), // TIOCSTI
    (SYS_ioctl, 1, 0x541c), // TIOCLINUX, which pastes
];

/// Numbers from here on are those of x32, the other way to call a kernel for x86-64.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Has the kernel refuse, from now on, what is on the list to this thread and to those that it
/// starts.
pub(super) fn refuse() -> Jailed<()> {
    match program().and_then(|program| seccompiler::apply_filter(&program)) {
        Ok(()) => Jailed::Inside(()),
        // Without CONFIG_SECCOMP, or without its filters.
        Err(Error::Seccomp(error))
            if error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(EINVAL) =>
        {
            Jailed::Unavailable("this kernel has no seccomp filters")
        }
        Err(error) => Jailed::Failed(error.to_string()),
    }
}

/// What the kernel is to run at each call. One by the numbers of another architecture, as those
/// of 32-bit programs, ends the process.
fn program() -> Result<BpfProgram, Error> {
    let when = |place, how, value| {
        let condition = SeccompCondition::new(place, SeccompCmpArgLen::Dword, how, value)?;
        SeccompRule::new(vec![condition])
    };
    let mut rules: std::collections::BTreeMap<_, Vec<_>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for &(call, place, bits) in REFUSED_WITH {
        let bits = u64::from(bits.cast_unsigned());
        let rule = when(place, SeccompCmpOp::MaskedEq(bits), bits)?;
        rules.entry(call).or_default().push(rule);
    }
    for &(call, place, value) in REFUSED_IF {
        rules.entry(call).or_default().push(when(place, SeccompCmpOp::Eq, value)?);
    }
    let refused = SeccompAction::Errno(EPERM.cast_unsigned());
    let target: TargetArch = ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, target)?;
    let program = BpfProgram::try_from(filter)?;
    Ok(without_x32(program))
}

#[cfg(target_arch = "x86_64")]
fn without_x32(program: BpfProgram) -> BpfProgram {
    let step = |code: u32, jf, k| seccompiler::sock_filter { code: code as u16, jt: 0, jf, k };
    let refused = SECCOMP_RET_ERRNO | EPERM.cast_unsigned();
    // The number is the first that a filter is told, at 0.
    let guard = [
        step(BPF_LD | BPF_W | BPF_ABS, 0, 0),
        step(BPF_JMP | BPF_JGE | BPF_K, 1, X32),
        step(BPF_RET | BPF_K, 0, refused),
    ];
    guard.into_iter().chain(program).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn without_x32(program: BpfProgram) -> BpfProgram {
    program
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// What the kernel would answer to this call; `None` is none of the answers we give.
    fn answer(call: c_long, arguments: [u64; 6], architecture: u32) -> Option<&'static str> {
        let program = program().expect("the list is sound");
        let word = |at: u32| match at {
            0 => u32::try_from(call).expect("a number"),
            4 => architecture,
            // Little-endian: the lower half first.
            at => (arguments[(at as usize - 16) / 8] >> ((at % 8) * 8)) as u32,
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            let code = u32::from(step.code);
            at += 1;
            let jump = |is_so| usize::from(if is_so { step.jt } else { step.jf });
            at += match (code & 0x07, code & 0xf0) {
                (BPF_LD, _) => {
                    value = word(step.k);
                    0
                }
                (BPF_ALU, BPF_AND) => {
                    value &= step.k;
                    0
                }
                (BPF_JMP, BPF_JA) => step.k as usize,
                (BPF_JMP, BPF_JEQ) => jump(value == step.k),
                (BPF_JMP, BPF_JGE) => jump(value >= step.k),
                (BPF_RET, _) if step.k == SECCOMP_RET_ALLOW => return Some("allowed"),
                (BPF_RET, _) if step.k == SECCOMP_RET_ERRNO | 1 => return Some("refused"),
                (BPF_RET, _) if step.k == SECCOMP_RET_KILL_PROCESS => return Some("ended"),
                _ => return None,
            };
        }
    }

    #[test]
    fn what_no_running_server_asks_for_is_refused_and_nothing_else() {
        let (here, i386) = (0xc000_003e, 0x4000_0003);
        let fast = 0x2000_0000;
        for (call, arguments, architecture, expected) in [
            (SYS_accept4, [0; 6], here, "allowed"),
            (SYS_openat, [0; 6], here, "allowed"),
            (SYS_clone3, [0; 6], here, "allowed"),
            (SYS_memfd_create, [0; 6], here, "allowed"),
            (SYS_socket, [0; 6], here, "refused"),
            (SYS_execve, [u64::MAX; 6], here, "refused"),
            (SYS_socket | 0x4000_0000, [0; 6], here, "refused"),
            (520 | 0x4000_0000, [0; 6], here, "refused"),
            (SYS_read, [0; 6], i386, "ended"),
            (SYS_sendto, [3, 0, 0, 0x4000, 0, 0], here, "allowed"),
            (SYS_sendto, [3, 0, 0, 0x4000 | fast, 0, 0], here, "refused"),
            (SYS_sendto, [3, 0, fast, 0x4000, fast, 0], here, "allowed"),
            (SYS_sendmsg, [3, 0, fast, 0, 0, 0], here, "refused"),
            (SYS_sendmsg, [3, 0, 0, fast, 0, 0], here, "allowed"),
            (SYS_sendmmsg, [3, 0, 0, fast, 0, 0], here, "refused"),
            (SYS_ioctl, [0, 0x5412, 0, 0, 0, 0], here, "refused"),
            (SYS_ioctl, [0, 0x541c | 1 << 32, 0, 0, 0, 0], here, "refused"),
            (SYS_ioctl, [0, 0x5413, 0, 0, 0, 0], here, "allowed"),
        ] {
            let found = answer(call, arguments, architecture);
            assert_eq!(found, Some(expected), "{call} {arguments:x?}");
        }
        for call in REFUSED {
            assert_eq!(answer(*call, [0; 6], here), Some("refused"), "{call}");
        }
    }
}
