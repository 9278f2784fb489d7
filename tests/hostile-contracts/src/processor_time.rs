//! Tell the processor time of this process: what other work on the machine takes does not count.

use std::time::Duration;

/// Processor time of all threads of this process so far, in nanoseconds.
///
/// # Panics
/// Where there is no such clock.
#[must_use]
#[expect(unsafe_code, reason = "the standard library does not have this clock")]
pub fn processor_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes a `timespec` to where one is, and keeps no pointer.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "a machine that counts processor time");
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}
