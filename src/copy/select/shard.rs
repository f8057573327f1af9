//! A share of the names for each of several workers, without a word between them.

use std::str::FromStr;

use crate::copy::select::hash::hash;

/// Share `index` of `count`. Whether a name belongs to it depends on the name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to `count`.
    pub index: u32,
    /// Number of shares.
    pub count: u32,
}

impl Shard {
    /// Whether a name, relative to the source, belongs to this share.
    pub fn takes(&self, name: &str) -> bool {
        // The hash as a fraction of its range, times the number of shares.
        let share = (u128::from(hash(name.as_bytes())) * u128::from(self.count)) >> 64;
        share == u128::from(self.index - 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parsed {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("a share is written I/N, such as 1/4, with I from 1 to N".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Shard;

    #[test]
    fn reads_shares() {
        assert_eq!("2/4".parse(), Ok(Shard { index: 2, count: 4 }));
        for wrong in ["", "1", "0/4", "5/4", "a/b", "1/0", "-1/2", "1/4/2", "1 / 4"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn stays_the_same_everywhere() {
        let share = |name: &str| (1..=7).find(|index| Shard { index: *index, count: 7 }.takes(name)).unwrap();
        let shares: Vec<u32> = ["", "a", "b", "train/000001.jpg", "train/000002.jpg", "ünïcødé"].map(share).into();
        assert_eq!(shares, SHARES, "workers of different versions must agree");
    }

    const SHARES: [u32; 6] = [7, 1, 2, 1, 7, 6];

    #[test]
    fn shares_are_of_similar_size() {
        let mut sizes = [0_u32; 10];
        for number in 0..10_000 {
            let name = format!("train/{number:06}.jpg");
            let index = (1..=10).find(|index| Shard { index: *index, count: 10 }.takes(&name)).unwrap();
            sizes[index as usize - 1] += 1;
        }
        assert!(sizes.iter().all(|size| (850..1150).contains(size)), "{sizes:?}");
    }

    proptest! {
        #[test]
        fn every_name_is_in_one_share(name in "\\PC{0,40}", count in 1_u32..50) {
            let takers = (1..=count).filter(|index| Shard { index: *index, count }.takes(&name)).count();
            prop_assert_eq!(takers, 1);
        }
    }
}
