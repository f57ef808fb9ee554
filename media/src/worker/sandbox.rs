//! How a worker closes itself off: limits, Landlock, seccomp, each where the kernel has it.
//!
//! Called when all libraries are loaded and warmed up, before the first byte from a stranger is read and before any thread is
//! started. What cannot be had is reported and not an error: an operator's choice of kernel is not ours.

// The system calls that have no safe form; a SAFETY comment stands at each.
#![allow(unsafe_code)]

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::messages::Protections;

/// Address space of a worker, bytes: a ladder of 4K takes about one and a half gigabytes of it.
pub const DEFAULT_MEMORY: u64 = 4 << 30;
/// Open files: three pipes, and what the C library needs for a moment.
const MAX_FILES: u64 = 16;
/// Blocks above this go back to the system when they are freed, bytes. Pictures do not pile up in the allocator's arenas.
const MMAP_THRESHOLD: i32 = 64 * 1024;
/// Arenas of the C allocator; more only spread out the memory.
const MAX_ARENAS: i32 = 2;

/// Sets the C allocator up for pictures. First thing in a process that decodes.
pub fn tune_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two integers in the allocator, with no precondition.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_ARENA_MAX, MAX_ARENAS);
    }
}

/// Applies all protections.
pub(super) fn enter(memory: u64) -> Protections {
    Protections { limits: limits(memory), landlock: landlock().unwrap_or(false), seccomp: seccomp().is_ok() }
}

/// Nice value of workers: behind the node, before what runs in the background.
const POLITENESS: i32 = 5;

fn limits(memory: u64) -> bool {
    let set = |resource, value| {
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: `limit` is a valid struct for the duration of the call.
        unsafe { libc::setrlimit(resource, &raw const limit) == 0 }
    };
    let all = [
        set(libc::RLIMIT_CORE, 0),
        set(libc::RLIMIT_FSIZE, 0),
        set(libc::RLIMIT_NOFILE, MAX_FILES),
        set(libc::RLIMIT_AS, memory),
    ];
    all.into_iter().all(|done| done)
}

/// Lets the node, which has to answer at once, run before its workers on a machine that is busy. Not getting it is no harm.
pub(super) fn yield_to_the_node() {
    // SAFETY: takes and returns plain numbers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, POLITENESS) };
}

/// No path may be opened, no TCP port used, no other process signalled.
fn landlock() -> Result<bool, landlock::RulesetError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Every system call but those of computing fails with EPERM.
fn seccomp() -> Result<(), Box<dyn std::error::Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    let only = |arg, value| {
        let condition = SeccompCondition::new(arg, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
        SeccompRule::new(vec![condition])
    };
    // Naming a thread; reading limits but not setting them.
    rules.insert(libc::SYS_prctl, vec![only(0, libc::PR_SET_NAME as u64)?]);
    rules.insert(libc::SYS_prlimit64, vec![only(2, 0)?]);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    // Also sets no_new_privs, as an unprivileged process must.
    Ok(seccompiler::apply_filter(&program)?)
}

/// What decoding, encoding, threads, pipes and an orderly end need.
const ALLOWED: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];
