//! Numbers that look random and are a function of where they stand.

/// A well-mixed number for `n` under `seed` (the finalizer of SplitMix64).
#[inline]
pub(super) fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `hash` as a number of `[0, 1)`.
#[inline]
pub(super) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A number of `[low, high)` such that each factor of two is as likely as any other.
#[inline]
pub(super) fn log_uniform(hash: u64, low: f64, high: f64) -> f64 {
    low * (high / low).powf(unit(hash))
}

/// A hash of `text`, the same on every machine (FNV-1a, then mixed).
pub(super) fn hash_text(seed: u64, text: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(seed, text.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}
