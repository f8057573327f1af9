//! Part-size arithmetic: pure.

/// Size of a part unless the file is so large that it would have too many.
///
/// Source: between the 8 and 64 MiB that other copiers use; sending one again after a broken connection costs little.
pub const PART_SIZE: u64 = 16 * 1024 * 1024;

/// Smallest part that OBS takes.
pub const SMALLEST_PART: u64 = 100 * 1024;

/// Largest part that OBS takes.
pub const LARGEST_PART: u64 = 5 * 1024 * 1024 * 1024;

/// A store takes at most this many parts.
pub const MOST_PARTS: u64 = 10_000;

const MIB: u64 = 1024 * 1024;

/// One part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// 1 to [`MOST_PARTS`].
    pub number: u32,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// How a file is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    size: u64,
    part_size: u64,
}

impl Division {
    /// Divides a file; `wanted` is raised where it would give too many parts, and kept within what stores take.
    pub fn new(size: u64, wanted: Option<u64>) -> Self {
        let wanted = wanted.unwrap_or(PART_SIZE).clamp(SMALLEST_PART, LARGEST_PART);
        let needed = size.div_ceil(MOST_PARTS);
        let part_size = if needed > wanted { needed.div_ceil(MIB) * MIB } else { wanted };
        Self { size, part_size }
    }

    /// Whether there is more than one part; else the file goes in one request.
    pub fn is_divided(&self) -> bool {
        self.size > self.part_size
    }

    /// Bytes of the whole.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of every part but the last.
    pub fn part_size(&self) -> u64 {
        self.part_size
    }

    /// Number of parts; an empty file has one.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(self.part_size).max(1)
    }

    /// The parts in order.
    pub fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        let Self { size, part_size } = *self;
        (0..self.count()).map(move |index| {
            let offset = index * part_size;
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            Part { number, offset, length: part_size.min(size - offset) }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Division, LARGEST_PART, MIB, MOST_PARTS, PART_SIZE, SMALLEST_PART};

    #[test]
    fn divides() {
        let gib = 1024 * MIB;
        let table = [
            (0, None, 1, 0),
            (1, None, 1, 1),
            (PART_SIZE, None, 1, PART_SIZE),
            (PART_SIZE + 1, None, 2, 1),
            (gib, None, 64, PART_SIZE),
            (gib, Some(1), 1024, MIB),
            (60 * gib, None, 3840, PART_SIZE),
            (1024 * gib, None, 9987, 46 * MIB),
        ];
        for (size, wanted, count, last) in table {
            let division = Division::new(size, wanted);
            assert_eq!(division.is_divided(), division.count() > 1);
            assert_eq!(division.count(), count, "{size}");
            assert_eq!(division.parts().last().unwrap().length, last, "{size}");
        }
    }

    proptest! {
        #[test]
        fn parts_cover_the_file_exactly(size in 0u64..200 * 1024 * MIB, wanted in proptest::option::of(0u64..8 * 1024 * MIB)) {
            let division = Division::new(size, wanted);
            let mut next = 0;
            let mut number = 0;
            for part in division.parts() {
                number += 1;
                prop_assert_eq!(part.number, number);
                prop_assert_eq!(part.offset, next);
                prop_assert!(part.length > 0 || size == 0);
                prop_assert!(part.length <= LARGEST_PART);
                next += part.length;
                prop_assert!(part.length >= SMALLEST_PART || next == size);
            }
            prop_assert_eq!(next, size);
            prop_assert!(u64::from(number) <= MOST_PARTS);
        }
    }
}
