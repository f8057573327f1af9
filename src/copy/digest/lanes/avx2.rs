//! Eight lanes in the 256-bit registers of AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_extract_epi32, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set_epi32, _mm256_set_epi64x, _mm256_set1_epi32, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::constants::{SINES, TURNS};
use super::engine::{Block, States};

macro_rules! step {
    // `(b & d) | (c & !d)`: the halves exclude each other, so they can be added, the one that is known early first.
    (g, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        _mm256_add_epi32(_mm256_add_epi32($sum, _mm256_andnot_si256($d, $c)), _mm256_and_si256($b, $d))
    };
    (f, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        _mm256_add_epi32($sum, _mm256_xor_si256($d, _mm256_and_si256($b, _mm256_xor_si256($c, $d))))
    };
    (h, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        _mm256_add_epi32($sum, _mm256_xor_si256($b, _mm256_xor_si256($c, $d)))
    };
    (i, $sum:expr, $b:ident, $c:ident, $d:ident) => {
        _mm256_add_epi32($sum, _mm256_xor_si256($c, _mm256_or_si256($b, _mm256_xor_si256($d, _mm256_set1_epi32(-1)))))
    };
    ($function:ident, $a:ident, $b:ident, $c:ident, $d:ident, $word:expr, $step:expr) => {{
        let sum = _mm256_add_epi32($a, _mm256_add_epi32($word, _mm256_set1_epi32(SINES[$step])));
        let sum = step!($function, sum, $b, $c, $d);
        let left = _mm256_slli_epi32::<{ TURNS[$step].cast_signed() }>(sum);
        let right = _mm256_srli_epi32::<{ 32 - TURNS[$step].cast_signed() }>(sum);
        $a = _mm256_add_epi32($b, _mm256_or_si256(left, right));
    }};
}

// Four steps; step n takes the word `(factor * n + first) % 16`.
macro_rules! four {
    ($function:ident, $factor:literal, $first:literal, $words:ident, $step:expr, $a:ident, $b:ident, $c:ident, $d:ident) => {
        step!($function, $a, $b, $c, $d, $words[($factor * $step + $first) % 16], $step);
        step!($function, $d, $a, $b, $c, $words[($factor * ($step + 1) + $first) % 16], $step + 1);
        step!($function, $c, $d, $a, $b, $words[($factor * ($step + 2) + $first) % 16], $step + 2);
        step!($function, $b, $c, $d, $a, $words[($factor * ($step + 3) + $first) % 16], $step + 3);
    };
}

macro_rules! round {
    ($function:ident, $factor:literal, $first:literal, $words:ident, $step:literal, $($state:ident),+) => {
        four!($function, $factor, $first, $words, $step, $($state),+);
        four!($function, $factor, $first, $words, $step + 4, $($state),+);
        four!($function, $factor, $first, $words, $step + 8, $($state),+);
        four!($function, $factor, $first, $words, $step + 12, $($state),+);
    };
}

/// Takes the first blocks of every lane.
#[target_feature(enable = "avx2")]
pub(super) fn compress(states: &mut States<8>, lanes: &[&[Block]; 8], blocks: usize) {
    let [mut a, mut b, mut c, mut d] = [gather(&states[0]), gather(&states[1]), gather(&states[2]), gather(&states[3])];
    // Cut to the same length here, so that no index is checked in the loop.
    let lanes = lanes.map(|lane| &lane[..blocks]);
    for n in 0..blocks {
        let words = words(&lanes, n);
        let before = (a, b, c, d);
        round!(f, 1, 0, words, 0, a, b, c, d);
        round!(g, 5, 1, words, 16, a, b, c, d);
        round!(h, 3, 5, words, 32, a, b, c, d);
        round!(i, 7, 0, words, 48, a, b, c, d);
        a = _mm256_add_epi32(a, before.0);
        b = _mm256_add_epi32(b, before.1);
        c = _mm256_add_epi32(c, before.2);
        d = _mm256_add_epi32(d, before.3);
    }
    *states = [scatter(a), scatter(b), scatter(c), scatter(d)];
}

/// Row `i` of the result holds word `i` of every lane's block.
#[target_feature(enable = "avx2")]
#[inline]
fn words(lanes: &[&[Block]; 8], n: usize) -> [__m256i; 16] {
    let [l0, l1, l2, l3, l4, l5, l6, l7] = lanes;
    let [s, t, u, v, w, x, y, z] =
        [load(&l0[n]), load(&l1[n]), load(&l2[n]), load(&l3[n]), load(&l4[n]), load(&l5[n]), load(&l6[n]), load(&l7[n])];
    let [a, b, c, d, e, f, g, h] = transpose([s[0], t[0], u[0], v[0], w[0], x[0], y[0], z[0]]);
    let [i, j, k, l, m, o, p, q] = transpose([s[1], t[1], u[1], v[1], w[1], x[1], y[1], z[1]]);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q]
}

/// The halves of a block; the compiler makes two loads of it.
#[target_feature(enable = "avx2")]
#[inline]
fn load(block: &Block) -> [__m256i; 2] {
    let (words, _) = block.as_chunks::<8>();
    let word = |at: usize| i64::from_le_bytes(words[at]);
    [_mm256_set_epi64x(word(3), word(2), word(1), word(0)), _mm256_set_epi64x(word(7), word(6), word(5), word(4))]
}

#[target_feature(enable = "avx2")]
#[inline]
fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut pairs = rows;
    for i in 0..4 {
        pairs[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // Half h of `fours[4 * g + w]` holds word 4h + w of lanes 4g to 4g + 3.
    let mut fours = pairs;
    for i in 0..2 {
        fours[4 * i] = _mm256_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
        fours[4 * i + 1] = _mm256_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
        fours[4 * i + 2] = _mm256_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
        fours[4 * i + 3] = _mm256_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    }
    let mut words = fours;
    for i in 0..4 {
        words[i] = _mm256_permute2x128_si256::<0x20>(fours[i], fours[4 + i]);
        words[4 + i] = _mm256_permute2x128_si256::<0x31>(fours[i], fours[4 + i]);
    }
    words
}

#[target_feature(enable = "avx2")]
#[inline]
fn gather(words: &[u32; 8]) -> __m256i {
    let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
    _mm256_set_epi32(h, g, f, e, d, c, b, a)
}

#[target_feature(enable = "avx2")]
#[inline]
fn scatter(vector: __m256i) -> [u32; 8] {
    [
        _mm256_extract_epi32::<0>(vector),
        _mm256_extract_epi32::<1>(vector),
        _mm256_extract_epi32::<2>(vector),
        _mm256_extract_epi32::<3>(vector),
        _mm256_extract_epi32::<4>(vector),
        _mm256_extract_epi32::<5>(vector),
        _mm256_extract_epi32::<6>(vector),
        _mm256_extract_epi32::<7>(vector),
    ]
    .map(i32::cast_unsigned)
}
