//! RSA moduli whose primes can be guessed.

/// Primes that the primes of a guessable modulus leave few remainders by; all odd ones up to 167.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149,
    151, 157, 163, 167,
];

/// Whether the modulus `n`, big-endian, is of the kind that Infineon's chips made until 2017, which can be factored (ROCA, CVE-2017-15361).
///
/// Their primes are `k·M + (65537^a mod M)` with `M` a product of the first primes, so that the modulus is a power of 65537 by each of them; of other moduli
/// fewer than one in a hundred million are (Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, section 2.2).
pub(super) fn is_guessable(n: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| is_power(remainder(n, prime), prime))
}

fn remainder(n: &[u8], prime: u32) -> u32 {
    n.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime)
}

/// Whether `rest` is a power of 65537 by `prime`.
fn is_power(rest: u32, prime: u32) -> bool {
    let generator = 65537 % prime;
    std::iter::successors(Some(1), |power| Some(power * generator % prime)).take(prime as usize).any(|power| power == rest)
}
