//! Sixteen lanes in the 512-bit registers of AVX-512.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_extract_epi32, _mm512_add_epi32, _mm512_extracti32x4_epi32, _mm512_rol_epi32, _mm512_set_epi32,
    _mm512_set_epi64, _mm512_set1_epi32, _mm512_shuffle_i32x4, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::constants::{SINES, TURNS};
use super::engine::{Block, States};

// The four functions of RFC 1321 as tables of their values for the bits of b, c and d.
const F: i32 = 0xca; // b ? c : d
const G: i32 = 0xe4; // d ? b : c
const H: i32 = 0x96; // b ^ c ^ d
const I: i32 = 0x39; // c ^ (b | !d)

macro_rules! step {
    ($function:ident, $a:ident, $b:ident, $c:ident, $d:ident, $word:expr, $step:expr) => {{
        // What does not depend on the step before is added first.
        let sum = _mm512_add_epi32($a, _mm512_add_epi32($word, _mm512_set1_epi32(SINES[$step])));
        let sum = _mm512_add_epi32(sum, _mm512_ternarylogic_epi32::<$function>($b, $c, $d));
        $a = _mm512_add_epi32($b, _mm512_rol_epi32::<{ TURNS[$step].cast_signed() }>(sum));
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
#[target_feature(enable = "avx512f,avx2,sse4.1")]
pub(super) fn compress(states: &mut States<16>, lanes: &[&[Block]; 16], blocks: usize) {
    let [mut a, mut b, mut c, mut d] = [gather(&states[0]), gather(&states[1]), gather(&states[2]), gather(&states[3])];
    // Cut to the same length here, so that no index is checked in the loop.
    let [l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14, l15] = lanes.map(|lane| &lane[..blocks]);
    for n in 0..blocks {
        let words = transpose([
            load(&l0[n]),
            load(&l1[n]),
            load(&l2[n]),
            load(&l3[n]),
            load(&l4[n]),
            load(&l5[n]),
            load(&l6[n]),
            load(&l7[n]),
            load(&l8[n]),
            load(&l9[n]),
            load(&l10[n]),
            load(&l11[n]),
            load(&l12[n]),
            load(&l13[n]),
            load(&l14[n]),
            load(&l15[n]),
        ]);
        let before = (a, b, c, d);
        round!(F, 1, 0, words, 0, a, b, c, d);
        round!(G, 5, 1, words, 16, a, b, c, d);
        round!(H, 3, 5, words, 32, a, b, c, d);
        round!(I, 7, 0, words, 48, a, b, c, d);
        a = _mm512_add_epi32(a, before.0);
        b = _mm512_add_epi32(b, before.1);
        c = _mm512_add_epi32(c, before.2);
        d = _mm512_add_epi32(d, before.3);
    }
    *states = [scatter(a), scatter(b), scatter(c), scatter(d)];
}

/// One block of one lane; the compiler makes one load of it.
#[target_feature(enable = "avx512f")]
#[inline]
fn load(block: &Block) -> __m512i {
    let (words, _) = block.as_chunks::<8>();
    let word = |at: usize| i64::from_le_bytes(words[at]);
    _mm512_set_epi64(word(7), word(6), word(5), word(4), word(3), word(2), word(1), word(0))
}

/// From rows of lanes to rows of words: row `i` of the result holds word `i` of every lane.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut pairs = rows;
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // Quarter q of `fours[4 * g + w]` holds word 4q + w of lanes 4g to 4g + 3.
    let mut fours = pairs;
    for i in 0..4 {
        fours[4 * i] = _mm512_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
        fours[4 * i + 1] = _mm512_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
        fours[4 * i + 2] = _mm512_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
        fours[4 * i + 3] = _mm512_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    }
    let mut words = fours;
    for i in 0..4 {
        let even_low = _mm512_shuffle_i32x4::<0x88>(fours[i], fours[4 + i]);
        let even_high = _mm512_shuffle_i32x4::<0x88>(fours[8 + i], fours[12 + i]);
        let odd_low = _mm512_shuffle_i32x4::<0xdd>(fours[i], fours[4 + i]);
        let odd_high = _mm512_shuffle_i32x4::<0xdd>(fours[8 + i], fours[12 + i]);
        words[i] = _mm512_shuffle_i32x4::<0x88>(even_low, even_high);
        words[4 + i] = _mm512_shuffle_i32x4::<0x88>(odd_low, odd_high);
        words[8 + i] = _mm512_shuffle_i32x4::<0xdd>(even_low, even_high);
        words[12 + i] = _mm512_shuffle_i32x4::<0xdd>(odd_low, odd_high);
    }
    words
}

#[target_feature(enable = "avx512f")]
#[inline]
fn gather(words: &[u32; 16]) -> __m512i {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = words.map(u32::cast_signed);
    _mm512_set_epi32(p, o, n, m, l, k, j, i, h, g, f, e, d, c, b, a)
}

#[target_feature(enable = "avx512f,sse4.1")]
#[inline]
fn scatter(vector: __m512i) -> [u32; 16] {
    let quarters = [
        quarter(_mm512_extracti32x4_epi32::<0>(vector)),
        quarter(_mm512_extracti32x4_epi32::<1>(vector)),
        quarter(_mm512_extracti32x4_epi32::<2>(vector)),
        quarter(_mm512_extracti32x4_epi32::<3>(vector)),
    ];
    std::array::from_fn(|lane| quarters[lane / 4][lane % 4].cast_unsigned())
}

#[target_feature(enable = "sse4.1")]
#[inline]
fn quarter(vector: __m128i) -> [i32; 4] {
    [
        _mm_extract_epi32::<0>(vector),
        _mm_extract_epi32::<1>(vector),
        _mm_extract_epi32::<2>(vector),
        _mm_extract_epi32::<3>(vector),
    ]
}
