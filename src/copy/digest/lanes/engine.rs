//! Which registers the blocks of several streams go through, and the one place where that is decided.
//!
//! Measured on one core of a Xeon of the Sapphire Rapids generation, in GB of all streams together for a second of processor
//! time: scalar 0.42, AVX2 2.9, AVX-512 5.7. A vector costs the same however few of its lanes are in use, so two streams side
//! by side are 1.7 times as fast as one after the other, and sixteen 13 times.

use std::cmp::Reverse;

/// 64 bytes of a message.
pub(super) type Block = [u8; 64];

/// The states of several streams: row `i` holds word `i` of every lane's state.
#[cfg(target_arch = "x86_64")]
pub(super) type States<const LANES: usize> = [[u32; LANES]; 4];

/// Streams that go through the registers at the same time at most.
pub(super) const LANES: usize = 16;

/// Blocks of one stream that wait to be taken into its state.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) state: &'a mut [u32; 4],
    pub(super) blocks: &'a [Block],
}

/// A way to compute that this processor has: there is no other way to get one than [`Engine::all`], which asks the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Engine(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Scalar,
}

impl Engine {
    /// The fastest one. Without optimisation, every instruction of the lanes is a call, so that they are far slower than the
    /// scalar code, which its own package has optimised; only unit tests use them even then.
    pub(super) fn best() -> Self {
        if cfg!(debug_assertions) && !cfg!(test) {
            return Self(Kind::Scalar);
        }
        let [best, ..] = Self::all()[..] else { return Self(Kind::Scalar) };
        best
    }

    /// All that this processor has, the fastest first.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("sse4.1");
            if avx2 && is_x86_feature_detected!("avx512f") {
                all.push(Self(Kind::Avx512));
            }
            if avx2 {
                all.push(Self(Kind::Avx2));
            }
        }
        all.push(Self(Kind::Scalar));
        all
    }

    /// Whether streams are faster together than one after the other.
    pub(super) fn joins(self) -> bool {
        self.0 != Kind::Scalar
    }

    /// Takes all blocks of all jobs into their states. Streams run side by side as long as each has blocks; where one ends,
    /// the next takes its lane.
    pub(super) fn run(self, mut jobs: Vec<Job<'_>>) {
        // The longest first: no long one is left to run alone at the end.
        jobs.sort_by_key(|job| Reverse(job.blocks.len()));
        let mut waiting = jobs.into_iter();
        let mut active: Vec<Job<'_>> = Vec::with_capacity(LANES);
        loop {
            active.retain(|job| !job.blocks.is_empty());
            let free = LANES - active.len();
            active.extend(waiting.by_ref().take(free).filter(|job| !job.blocks.is_empty()));
            let Some(blocks) = active.iter().map(|job| job.blocks.len()).min() else { return };
            self.compress(&mut active, blocks);
            for job in &mut active {
                job.blocks = &job.blocks[blocks..];
            }
        }
    }

    fn compress(self, jobs: &mut [Job<'_>], blocks: usize) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if jobs.len() > 1 => in_lanes::<16>(jobs, blocks, avx512),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 if jobs.len() > 1 => jobs.chunks_mut(8).for_each(|jobs| in_lanes::<8>(jobs, blocks, avx2)),
            _ => jobs.iter_mut().for_each(|job| md5::block_api::compress(job.state, &job.blocks[..blocks])),
        }
    }
}

/// Spreads jobs over lanes; lanes without a job repeat the first, and nobody looks at what they give.
#[cfg(target_arch = "x86_64")]
fn in_lanes<const WIDTH: usize>(
    jobs: &mut [Job<'_>],
    blocks: usize,
    compress: fn(&mut States<WIDTH>, &[&[Block]; WIDTH], usize),
) {
    let mut states = [[0; WIDTH]; 4];
    let mut lanes = [jobs[0].blocks; WIDTH];
    for (lane, job) in jobs.iter().enumerate() {
        lanes[lane] = job.blocks;
        for (row, word) in states.iter_mut().zip(job.state.iter()) {
            row[lane] = *word;
        }
    }
    compress(&mut states, &lanes, blocks);
    for (lane, job) in jobs.iter_mut().enumerate() {
        for (row, word) in states.iter().zip(job.state.iter_mut()) {
            *word = row[lane];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the processor was asked")]
fn avx512(states: &mut States<16>, lanes: &[&[Block]; 16], blocks: usize) {
    // SAFETY: only called for `Kind::Avx512`, which exists only where `Engine::all` found every feature that it enables.
    unsafe { super::avx512::compress(states, lanes, blocks) }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the processor was asked")]
fn avx2(states: &mut States<8>, lanes: &[&[Block]; 8], blocks: usize) {
    // SAFETY: only called for `Kind::Avx2`, which exists only where `Engine::all` found the feature.
    unsafe { super::avx2::compress(states, lanes, blocks) }
}
