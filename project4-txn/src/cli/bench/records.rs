//! Records: their keys and values, and which one is asked for next.

use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Zipf};

/// YCSB's constant: the larger, the fewer records get most of the questions.
const SKEW: f64 = 0.99;

/// The key of the `n`th record. Numbers that are close, and so the popular ones, are far apart as keys: they meet in no
/// region by accident.
pub(super) fn key(n: u64) -> Vec<u8> {
    format!("user{:016x}", scramble(n)).into_bytes()
}

/// FNV-1a, as in YCSB.
fn scramble(n: u64) -> u64 {
    n.to_le_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A value that does not compress.
pub(super) fn value(rng: &mut ChaCha8Rng, bytes: u32) -> Vec<u8> {
    let mut value = vec![0; bytes as usize];
    rng.fill_bytes(&mut value);
    value
}

/// A number below `n`: 0 is asked for most often, 1 half as often, and so on.
pub(super) fn zipfian(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // A rank is between 1 and n, and n is far below 2^52.
    match Zipf::new(n as f64, SKEW) {
        Ok(zipf) => (zipf.sample(rng) as u64).clamp(1, n) - 1,
        Err(_) => 0,
    }
}

/// A number below `n`: the last one most often.
pub(super) fn latest(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    n - 1 - zipfian(rng, n)
}

/// A number below `n`: each as often as the others.
pub(super) fn uniform(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    rng.random_range(0..n)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    /// How often each of ten records is asked for, of 100,000 questions.
    fn counts(draw: fn(&mut ChaCha8Rng, u64) -> u64) -> [u32; 10] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0; 10];
        for _ in 0..100_000 {
            counts[usize::try_from(draw(&mut rng, 10)).expect("below ten")] += 1;
        }
        counts
    }

    #[test]
    fn the_first_is_popular_and_the_second_half_as_much() {
        let counts = counts(zipfian);
        assert!(counts.is_sorted_by(|a, b| a > b), "{counts:?}");
        // The sum of 1/k^0.99 for k to 10 is 2.95: a third of all.
        assert!((32_000..36_000).contains(&counts[0]), "{counts:?}");
        assert!((16_000..18_500).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn the_latest_is_the_mirror_and_uniform_is_flat() {
        let mut mirrored = counts(latest);
        mirrored.reverse();
        assert_eq!(mirrored, counts(zipfian));
        assert!(counts(uniform).iter().all(|count| (9_500..10_500).contains(count)));
    }

    #[test]
    fn keys_are_all_different() {
        let keys: std::collections::BTreeSet<_> = (0..10_000).map(key).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
