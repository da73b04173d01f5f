//! Hidden seeds: the same for a whole class, unknown until the results are published.
//!
//! An instructor names them, or lets them be drawn from a secret. Drawing is SHA-256 over the secret and a number, so
//! that who knows the secret afterwards can check that nobody chose seeds to anybody's harm.

use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// How many are drawn, if nobody says so.
pub const DRAWN: usize = 3;

/// Draws seeds. They are never among the small numbers that the public seeds are.
pub fn draw(secret: &[u8], count: usize) -> Vec<u64> {
    (0..count as u64)
        .map(|n| {
            let hash = Sha256::new().chain_update(secret).chain_update(n.to_le_bytes()).finalize();
            let mut seed = [0; 8];
            seed.copy_from_slice(&hash[..8]);
            // Short enough to be typed, far above any public seed.
            1_000_000 + u64::from_le_bytes(seed) % 1_000_000_000_000
        })
        .collect()
}

/// The secret in a file.
///
/// # Errors
/// It cannot be read, or is too short to be one.
pub fn secret(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("the secret {} cannot be read", path.display()))?;
    let secret = bytes.trim_ascii().to_vec();
    if secret.len() < 8 {
        bail!("the secret in {} is shorter than 8 bytes, so it can be guessed", path.display());
    }
    Ok(secret)
}

/// A hash as text.
pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
