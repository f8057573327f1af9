//! What RFC 1321 fixes.

/// The state before the first block.
pub(super) const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// By how many bits each step rotates.
#[cfg(target_arch = "x86_64")]
pub(super) const TURNS: [u32; 64] = {
    let rounds = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut turns = [0; 64];
    let mut step = 0;
    while step < 64 {
        turns[step] = rounds[step / 16][step % 4];
        step += 1;
    }
    turns
};

/// What each step adds: the whole part of `2^32 x |sin(step + 1)|`.
#[cfg(target_arch = "x86_64")]
pub(super) const SINES: [i32; 64] = [
    0xd76a_a478_u32.cast_signed(),
    0xe8c7_b756_u32.cast_signed(),
    0x2420_70db_u32.cast_signed(),
    0xc1bd_ceee_u32.cast_signed(),
    0xf57c_0faf_u32.cast_signed(),
    0x4787_c62a_u32.cast_signed(),
    0xa830_4613_u32.cast_signed(),
    0xfd46_9501_u32.cast_signed(),
    0x6980_98d8_u32.cast_signed(),
    0x8b44_f7af_u32.cast_signed(),
    0xffff_5bb1_u32.cast_signed(),
    0x895c_d7be_u32.cast_signed(),
    0x6b90_1122_u32.cast_signed(),
    0xfd98_7193_u32.cast_signed(),
    0xa679_438e_u32.cast_signed(),
    0x49b4_0821_u32.cast_signed(),
    0xf61e_2562_u32.cast_signed(),
    0xc040_b340_u32.cast_signed(),
    0x265e_5a51_u32.cast_signed(),
    0xe9b6_c7aa_u32.cast_signed(),
    0xd62f_105d_u32.cast_signed(),
    0x0244_1453_u32.cast_signed(),
    0xd8a1_e681_u32.cast_signed(),
    0xe7d3_fbc8_u32.cast_signed(),
    0x21e1_cde6_u32.cast_signed(),
    0xc337_07d6_u32.cast_signed(),
    0xf4d5_0d87_u32.cast_signed(),
    0x455a_14ed_u32.cast_signed(),
    0xa9e3_e905_u32.cast_signed(),
    0xfcef_a3f8_u32.cast_signed(),
    0x676f_02d9_u32.cast_signed(),
    0x8d2a_4c8a_u32.cast_signed(),
    0xfffa_3942_u32.cast_signed(),
    0x8771_f681_u32.cast_signed(),
    0x6d9d_6122_u32.cast_signed(),
    0xfde5_380c_u32.cast_signed(),
    0xa4be_ea44_u32.cast_signed(),
    0x4bde_cfa9_u32.cast_signed(),
    0xf6bb_4b60_u32.cast_signed(),
    0xbebf_bc70_u32.cast_signed(),
    0x289b_7ec6_u32.cast_signed(),
    0xeaa1_27fa_u32.cast_signed(),
    0xd4ef_3085_u32.cast_signed(),
    0x0488_1d05_u32.cast_signed(),
    0xd9d4_d039_u32.cast_signed(),
    0xe6db_99e5_u32.cast_signed(),
    0x1fa2_7cf8_u32.cast_signed(),
    0xc4ac_5665_u32.cast_signed(),
    0xf429_2244_u32.cast_signed(),
    0x432a_ff97_u32.cast_signed(),
    0xab94_23a7_u32.cast_signed(),
    0xfc93_a039_u32.cast_signed(),
    0x655b_59c3_u32.cast_signed(),
    0x8f0c_cc92_u32.cast_signed(),
    0xffef_f47d_u32.cast_signed(),
    0x8584_5dd1_u32.cast_signed(),
    0x6fa8_7e4f_u32.cast_signed(),
    0xfe2c_e6e0_u32.cast_signed(),
    0xa301_4314_u32.cast_signed(),
    0x4e08_11a1_u32.cast_signed(),
    0xf753_7e82_u32.cast_signed(),
    0xbd3a_f235_u32.cast_signed(),
    0x2ad7_d2bb_u32.cast_signed(),
    0xeb86_d391_u32.cast_signed(),
];
