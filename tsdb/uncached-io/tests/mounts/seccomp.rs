//! A seccomp filter, as containers have one.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// In the process of `command`, from its first instruction on, system calls of these numbers fail
/// with these error numbers.
pub(crate) fn refuse(command: &mut Command, calls: &[(libc::c_long, i32)]) {
    let mut program = program(calls);
    #[expect(unsafe_code, reason = "nothing else runs between fork and exec")]
    // SAFETY: between fork and exec the closure makes two system calls; it allocates nothing and
    // takes no lock.
    unsafe {
        command.pre_exec(move || install(&mut program));
    }
}

/// In this thread, from here on, for ever. A call with the error number 0 does nothing, and returns
/// 0.
pub(crate) fn refuse_here(calls: &[(libc::c_long, i32)]) {
    install(&mut program(calls)).unwrap();
}

fn program(calls: &[(libc::c_long, i32)]) -> Vec<libc::sock_filter> {
    const LOAD_NUMBER: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const SKIP_UNLESS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

    let op = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut program = vec![op(LOAD_NUMBER, 0, 0)];
    for &(call, errno) in calls {
        program.push(op(SKIP_UNLESS, 1, u32::try_from(call).unwrap()));
        program.push(op(RETURN, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()));
    }
    program.push(op(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    program
}

fn install(program: &mut [libc::sock_filter]) -> std::io::Result<()> {
    // Some ten instructions.
    let len = program.len() as u16;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    #[expect(unsafe_code, reason = "no crate at hand wraps this")]
    // SAFETY: `filter` points at as many instructions as it says; both outlive the calls, which keep
    // no pointer.
    let results = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter),
        ]
    };
    if results == [0, 0] { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
