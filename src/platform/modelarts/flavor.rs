//! The flavors: sizes of a node, in cores of this machine.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::modelarts::Training;
use crate::platform::modelarts::error::ApiError;
use crate::platform::runner::plan::CardKind;

/// A size of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavor {
    /// Flavor id.
    pub(crate) id: &'static str,
    /// What lists show.
    pub(crate) name: &'static str,
    /// Cores, and with them slots.
    pub(crate) cores: u32,
    /// Memory in GiB; usage is told in percent of it, and nothing enforces it.
    pub(crate) memory: u32,
    /// Accelerator cards, and their kind.
    pub(crate) cards: u32,
    pub(crate) card_kind: Option<CardKind>,
}

/// Most nodes a job may ask for.
pub(crate) const MOST_NODES: u32 = 16;

const fn cpu(id: &'static str, name: &'static str, cores: u32, memory: u32) -> Flavor {
    Flavor { id, name, cores, memory, cards: 0, card_kind: None }
}

/// A card brings a core and 8 GiB with it: what the cloud gives with one would be more than most machines have.
const fn card(id: &'static str, name: &'static str, kind: CardKind, cards: u32) -> Flavor {
    Flavor { id, name, cores: cards, memory: 8 * cards, cards, card_kind: Some(kind) }
}

const FLAVORS: &[Flavor] = &[
    cpu("modelarts.vm.cpu.1u", "Computing CPU(1U) instance", 1, 4),
    cpu("modelarts.vm.cpu.2u", "Computing CPU(2U) instance", 2, 8),
    cpu("modelarts.vm.cpu.8u", "Computing CPU(8U) instance", 8, 32),
    cpu("modelarts.vm.cpu.8u16g.119", "Computing CPU(8U) instance", 8, 16),
    card("modelarts.vm.v100.large", "Computing GPU(V100) instance", CardKind::Gpu, 1),
    card("modelarts.kat1.xlarge", "Computing NPU(Ascend) instance", CardKind::Npu, 1),
    card("modelarts.kat1.8xlarge", "Computing NPU(8*Ascend) instance", CardKind::Npu, 8),
];

impl Flavor {
    /// The flavor of that id.
    pub(crate) fn find(id: &str) -> Option<Self> {
        FLAVORS.iter().copied().find(|flavor| flavor.id == id)
    }

    /// Slots that one node takes of a platform with `slots`.
    pub(crate) fn slots(self, slots: u32) -> u32 {
        self.cores.min(slots)
    }

    /// Memory in bytes.
    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.memory) << 30
    }

    /// The API's word for what it computes with.
    fn kind(self) -> &'static str {
        match self.card_kind {
            None => "CPU",
            Some(CardKind::Gpu) => "GPU",
            Some(CardKind::Npu) => "Ascend",
        }
    }

    /// What a job's `spec.resource.flavor_detail` says of it.
    pub(crate) fn detail(self) -> Value {
        let mut detail = json!({
            "flavor_type": self.kind(),
            "billing": {"code": self.id, "unit_num": 1},
            "flavor_info": {
                "max_num": MOST_NODES,
                "cpu": {"arch": "x86", "core_num": self.cores},
                "memory": {"size": self.memory, "unit": "GB"},
            },
        });
        let info = &mut detail["flavor_info"];
        match self.card_kind {
            None => {}
            Some(CardKind::Gpu) => {
                info["gpu"] = json!({"unit_num": self.cards, "product_name": "NVIDIA-V100", "memory": "32GB"});
            }
            Some(CardKind::Npu) => {
                info["npu"] = json!({"unit_num": self.cards.to_string(), "product_name": "Ascend", "memory": "32GB"});
            }
        }
        detail
    }
}

/// The query of a list of flavors.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    flavor_type: Option<String>,
}

/// `GET /v2/{project_id}/training-job-flavors`: those that an idle platform could give.
pub(crate) async fn list(State(training): State<Arc<Training>>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, ApiError> {
    let kind = wanted.flavor_type.as_deref().unwrap_or_default();
    if !["", "CPU", "GPU", "Ascend"].contains(&kind) {
        return Err(ApiError::parameter("flavor_type", "it is CPU, GPU or Ascend"));
    }
    let capacity = training.options().capacity;
    let has_cards = |flavor: &Flavor| flavor.card_kind.is_none_or(|kind| capacity.cards(kind) >= flavor.cards);
    let asked = FLAVORS.iter().filter(|flavor| kind.is_empty() || flavor.kind() == kind).filter(|flavor| has_cards(flavor));
    let flavors: Vec<Value> = asked.map(|&flavor| document(flavor)).collect();
    Ok(Json(json!({"total_count": flavors.len(), "flavors": flavors})))
}

fn document(flavor: Flavor) -> Value {
    let mut document = flavor.detail();
    document["flavor_id"] = json!(flavor.id);
    document["flavor_name"] = json!(flavor.name);
    document["max_num"] = json!(MOST_NODES);
    document["attributes"] = json!({});
    document
}
