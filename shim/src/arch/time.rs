//! Times of `struct stat`.

/// In nanoseconds since 1970.
pub(super) const fn nanos(seconds: u64, nanoseconds: u64) -> i64 {
    let nanos = (seconds as i64).saturating_mul(1_000_000_000);
    nanos.saturating_add(nanoseconds as i64)
}
