//! Ask the system how much memory this process has.

/// Bytes of memory in use, where the system tells (Linux).
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_known() {
        let megabyte = 1_000_000;
        assert!(resident_bytes().is_some_and(|bytes| bytes > megabyte));
    }
}
