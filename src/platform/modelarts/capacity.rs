//! What this machine lends to running jobs, and what of it a job holds.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::modelarts::error::Error;
use crate::platform::modelarts::flavor::Flavor;
use crate::platform::modelarts::restart::HIDDEN;
use crate::platform::runner::plan::CardKind;

/// Name of the file in the data directory that says so; without it, cores only count.
const FILE: &str = "capacity.json";

/// What the file says. It is read when the platform starts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Capacity {
    /// Cores that jobs share, where the command line does not say.
    pub cores: Option<u32>,
    /// Memory that jobs share, in GiB; without it memory is not counted.
    pub memory_gb: Option<u32>,
    /// NVIDIA cards.
    pub gpus: u32,
    /// Ascend cards.
    pub npus: u32,
}

impl Capacity {
    /// Reads the file of a data directory.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn read(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(FILE);
        let wrong = |reason: String| Error::Capacity { path: path.clone(), reason };
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Cards of a kind.
    pub(crate) fn cards(self, kind: CardKind) -> u32 {
        match kind {
            CardKind::Gpu => self.gpus,
            CardKind::Npu => self.npus,
        }
    }
}

/// What a job wants or holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) slots: u32,
    /// GiB; 0 where memory is not counted.
    pub(crate) memory: u32,
    pub(crate) card_kind: Option<CardKind>,
    pub(crate) cards: u32,
    /// Which cards, once it holds them.
    pub(crate) devices: Vec<u32>,
}

impl Share {
    /// What a job with this document wants of a platform with so many slots and this capacity.
    pub(crate) fn wanted(job: &Value, slots: u32, capacity: Capacity) -> Self {
        let resource = &job["spec"]["resource"];
        let nodes = resource["node_count"].as_u64().and_then(|nodes| u32::try_from(nodes).ok()).unwrap_or(1);
        match Flavor::find(resource["flavor_id"].as_str().unwrap_or_default()) {
            Some(flavor) => Self::of(flavor, nodes, slots, capacity),
            None => Self { slots: nodes, ..Self::default() },
        }
    }

    /// What that many nodes of a flavor take. A node never takes more slots or memory than there are: it would never run.
    pub(crate) fn of(flavor: Flavor, nodes: u32, slots: u32, capacity: Capacity) -> Self {
        Self {
            slots: flavor.slots(slots) * nodes,
            memory: capacity.memory_gb.map_or(0, |all| flavor.memory.min(all) * nodes),
            card_kind: flavor.card_kind,
            cards: flavor.cards * nodes,
            devices: Vec::new(),
        }
    }

    /// What of all there is the share goes beyond; `None` when it could be had on an idle platform.
    pub(crate) fn excess(&self, slots: u32, capacity: Capacity) -> Option<String> {
        if self.slots > slots {
            return Some(format!("needs {} slots and the platform has {slots}", self.slots));
        }
        if let Some(all) = capacity.memory_gb.filter(|&all| self.memory > all) {
            return Some(format!("needs {} GiB of memory and the platform has {all}", self.memory));
        }
        let cards = self.card_kind.map_or(0, |kind| capacity.cards(kind));
        (self.cards > cards).then(|| format!("needs {} cards and the platform has {cards} of that kind ({FILE})", self.cards))
    }

    /// The share with cards, when it can be had beside what others hold.
    pub(crate) fn take(mut self, held: &[Self], slots: u32, capacity: Capacity) -> Option<Self> {
        let sum = |of: fn(&Self) -> u32| held.iter().map(of).sum::<u32>();
        if sum(|share| share.slots) + self.slots > slots {
            return None;
        }
        if capacity.memory_gb.is_some_and(|all| sum(|share| share.memory) + self.memory > all) {
            return None;
        }
        if let Some(kind) = self.card_kind {
            let same = held.iter().filter(|share| share.card_kind == Some(kind));
            let taken: BTreeSet<u32> = same.flat_map(|share| share.devices.iter().copied()).collect();
            let free = (0..capacity.cards(kind)).filter(|device| !taken.contains(device));
            self.devices = free.take(self.cards as usize).collect();
            if self.devices.len() < self.cards as usize {
                return None;
            }
        }
        Some(self)
    }

    /// Writes the cards into the job's document.
    pub(crate) fn store(&self, job: &mut Value) {
        if !self.devices.is_empty() {
            job[HIDDEN]["devices"] = json!(self.devices);
        }
    }
}

/// The cards in a job's document.
pub(crate) fn devices(job: &Value) -> Vec<u32> {
    let list = job[HIDDEN]["devices"].as_array().into_iter().flatten();
    list.filter_map(|device| u32::try_from(device.as_u64()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Capacity, FILE, Flavor, Share};

    const ALL: Capacity = Capacity { cores: None, memory_gb: Some(16), gpus: 0, npus: 3 };

    fn share(flavor: &str, nodes: u32) -> Share {
        Share::of(Flavor::find(flavor).unwrap(), nodes, 4, ALL)
    }

    #[test]
    fn shares_are_taken_beside_others() {
        let two = share("modelarts.kat1.xlarge", 2).take(&[], 4, ALL).unwrap();
        assert_eq!(two.devices, [0, 1]);
        let one = share("modelarts.kat1.xlarge", 1);
        assert_eq!(one.clone().take(std::slice::from_ref(&two), 4, Capacity { memory_gb: None, ..ALL }).unwrap().devices, [2]);
        let held = [two.clone()];
        assert_eq!(share("modelarts.kat1.xlarge", 2).take(&held, 4, Capacity { memory_gb: None, ..ALL }), None);
        assert!(share("modelarts.kat1.8xlarge", 1).excess(4, ALL).unwrap().contains("8 cards"));
        assert!(share("modelarts.vm.v100.large", 1).excess(4, ALL).unwrap().contains("has 0 of that kind"));
        assert_eq!(share("modelarts.vm.cpu.2u", 2).excess(4, ALL), None);
        assert!(share("modelarts.vm.cpu.2u", 3).excess(8, ALL).unwrap().contains("24 GiB"));
        let small = share("modelarts.vm.cpu.2u", 1).take(&[], 4, ALL).unwrap();
        assert_eq!(share("modelarts.vm.cpu.8u", 1).take(&[small], 64, ALL), None, "its memory");
    }

    #[test]
    fn the_file_is_read_strictly() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Capacity::read(folder.path()).unwrap(), Capacity::default());
        std::fs::write(folder.path().join(FILE), r#"{"npus": 3, "memory_gb": 16}"#).unwrap();
        assert_eq!(Capacity::read(folder.path()).unwrap(), ALL);
        std::fs::write(folder.path().join(FILE), r#"{"npu": 3}"#).unwrap();
        assert!(Capacity::read(folder.path()).unwrap_err().to_string().contains("npu"));
    }
}
