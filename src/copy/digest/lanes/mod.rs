//! MD5 of several independent streams at once, each in a lane of the processor's widest registers.
//!
//! MD5 cannot be computed in parallel within a stream, and takes longer than everything else about an upload. But there are
//! always several parts or files under way.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod constants;
mod engine;

use constants::START;
use engine::{Block, Engine, Job};

/// The MD5 of a message that comes in pieces.
#[derive(Clone, Debug)]
pub struct Md5 {
    state: [u32; 4],
    // The beginning of a block that is not full yet; `length` says how much of it counts.
    tail: Block,
    length: u64,
}

impl Default for Md5 {
    fn default() -> Self {
        Self { state: START, tail: [0; 64], length: 0 }
    }
}

/// Whether this processor digests several streams faster together than one after the other.
pub(in crate::copy) fn joins_streams() -> bool {
    Engine::best().joins()
}

/// The MD5 of each message.
pub(in crate::copy) fn md5_many(messages: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut digests = vec![Md5::default(); messages.len()];
    update_with(Engine::best(), digests.iter_mut().zip(messages.iter().copied()));
    finish_with(Engine::best(), digests)
}

/// Takes the next bytes of several messages.
pub(in crate::copy) fn update_many<'a>(pieces: impl Iterator<Item = (&'a mut Md5, &'a [u8])>) {
    update_with(Engine::best(), pieces);
}

impl Md5 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.fill_tail(bytes);
        let (blocks, tail) = rest.as_chunks();
        md5::block_api::compress(&mut self.state, blocks);
        self.tail[..tail.len()].copy_from_slice(tail);
    }

    /// Ends the message.
    pub fn finish(mut self) -> [u8; 16] {
        let (padding, blocks) = self.padding();
        md5::block_api::compress(&mut self.state, &padding[..blocks]);
        self.bytes()
    }

    /// Counts the bytes, completes a block that was begun, and gives what is left of them: nothing unless the tail is empty.
    fn fill_tail<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let begun = self.begun();
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if begun == 0 {
            return bytes;
        }
        let (more, rest) = bytes.split_at(bytes.len().min(64 - begun));
        self.tail[begun..begun + more.len()].copy_from_slice(more);
        if begun + more.len() == 64 {
            md5::block_api::compress(&mut self.state, &[self.tail]);
        }
        rest
    }

    /// Bytes of the block that is not full yet.
    fn begun(&self) -> usize {
        (self.length % 64) as usize
    }

    /// The blocks that end the message, and how many they are.
    fn padding(&self) -> ([Block; 2], usize) {
        let begun = self.begun();
        let mut padding = [[0; 64]; 2];
        padding[0][..begun].copy_from_slice(&self.tail[..begun]);
        padding[0][begun] = 0x80;
        let blocks = if begun < 56 { 1 } else { 2 };
        padding[blocks - 1][56..].copy_from_slice(&self.length.wrapping_mul(8).to_le_bytes());
        (padding, blocks)
    }

    fn bytes(&self) -> [u8; 16] {
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }
}

fn update_with<'a>(engine: Engine, pieces: impl Iterator<Item = (&'a mut Md5, &'a [u8])>) {
    let jobs = pieces.map(|(digest, bytes)| {
        let (blocks, tail) = digest.fill_tail(bytes).as_chunks();
        digest.tail[..tail.len()].copy_from_slice(tail);
        Job { state: &mut digest.state, blocks }
    });
    engine.run(jobs.collect());
}

fn finish_with(engine: Engine, mut digests: Vec<Md5>) -> Vec<[u8; 16]> {
    let paddings: Vec<_> = digests.iter().map(Md5::padding).collect();
    let jobs = digests
        .iter_mut()
        .zip(&paddings)
        .map(|(digest, (padding, blocks))| Job { state: &mut digest.state, blocks: &padding[..*blocks] });
    engine.run(jobs.collect());
    digests.iter().map(Md5::bytes).collect()
}

#[cfg(test)]
mod tests {
    use md5::Digest as _;
    use proptest::prelude::*;

    use super::engine::Engine;
    use super::{Md5, finish_with, md5_many, update_with};

    fn reference(message: &[u8]) -> [u8; 16] {
        md5::Md5::digest(message).into()
    }

    // Bytes that differ from stream to stream and from place to place.
    fn message(seed: usize, length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        std::iter::repeat_with(|| random.u8(..)).take(length).collect()
    }

    #[test]
    fn knows_the_vectors_of_the_standard() {
        let digests: Vec<_> = md5_many(&[b"", b"abc", b"message digest"]).iter().map(hex::encode).collect();
        let expected =
            ["d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72", "f96b697d7cb7938d525a2f31aaf161d0"];
        assert_eq!(digests, expected);
    }

    #[test]
    fn all_lengths_around_block_borders_agree_in_every_lane() {
        let messages: Vec<Vec<u8>> = (0..=260).map(|length| message(length, length)).collect();
        let expected: Vec<_> = messages.iter().map(|message| reference(message)).collect();
        for engine in Engine::all() {
            for together in [1, 2, 7, 8, 9, 15, 16, 17, 33] {
                for (messages, expected) in messages.chunks(together).zip(expected.chunks(together)) {
                    let mut digests = vec![Md5::default(); messages.len()];
                    update_with(engine, digests.iter_mut().zip(messages.iter().map(Vec::as_slice)));
                    assert_eq!(finish_with(engine, digests), expected, "{engine:?}, {together} together");
                }
            }
        }
    }

    #[test]
    fn an_engine_without_lanes_is_always_there() {
        let all = Engine::all();
        assert!(!all[all.len() - 1].joins());
        assert_eq!(Engine::best(), all[0]);
    }

    // A length, near a border of blocks more often than not.
    fn length() -> impl Strategy<Value = usize> {
        prop_oneof![0..200_usize, (0..8_usize, 0..5_usize).prop_map(|(blocks, off)| (blocks * 64 + off).saturating_sub(2))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn streams_in_pieces_agree(streams in proptest::collection::vec(proptest::collection::vec(length(), 0..6), 1..40)) {
            let messages: Vec<Vec<u8>> =
                streams.iter().enumerate().map(|(seed, lengths)| message(seed, lengths.iter().sum())).collect();
            for engine in Engine::all() {
                let mut digests = vec![Md5::default(); messages.len()];
                let mut places = vec![0; messages.len()];
                for turn in 0..streams.iter().map(Vec::len).max().unwrap_or(0) {
                    let pieces = digests.iter_mut().zip(&messages).zip(&mut places).zip(&streams);
                    update_with(engine, pieces.filter_map(|(((digest, message), place), lengths)| {
                        let from = *place;
                        *place += lengths.get(turn)?;
                        Some((digest, &message[from..*place]))
                    }));
                }
                let alone: Vec<_> = digests.iter().map(|digest| digest.clone().finish()).collect();
                prop_assert_eq!(&finish_with(engine, digests), &alone);
                for (message, digest) in messages.iter().zip(alone) {
                    prop_assert_eq!(reference(message), digest);
                }
            }
        }

        #[test]
        fn one_stream_in_pieces_agrees(lengths in proptest::collection::vec(length(), 0..8)) {
            let message = message(1, lengths.iter().sum());
            let (mut digest, mut rest) = (Md5::default(), message.as_slice());
            for length in lengths {
                let (piece, left) = rest.split_at(length);
                digest.update(piece);
                rest = left;
            }
            prop_assert_eq!(digest.finish(), reference(&message));
        }
    }
}
