//! The flavors: sizes of a node, in cores of this machine.

use axum::Json;
use axum::extract::Query;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::modelarts::error::ApiError;

/// A size of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavor {
    /// Flavor id.
    pub(crate) id: &'static str,
    /// What lists show.
    pub(crate) name: &'static str,
    /// Cores, and with them slots.
    pub(crate) cores: u32,
    /// Memory in GiB; usage is told in percent of it, nothing enforces it.
    pub(crate) memory: u32,
}

/// Most nodes a job may ask for.
pub(crate) const MOST_NODES: u32 = 16;

const FLAVORS: &[Flavor] = &[
    Flavor { id: "modelarts.vm.cpu.1u", name: "Computing CPU(1U) instance", cores: 1, memory: 4 },
    Flavor { id: "modelarts.vm.cpu.2u", name: "Computing CPU(2U) instance", cores: 2, memory: 8 },
    Flavor { id: "modelarts.vm.cpu.8u", name: "Computing CPU(8U) instance", cores: 8, memory: 32 },
    Flavor { id: "modelarts.vm.cpu.8u16g.119", name: "Computing CPU(8U) instance", cores: 8, memory: 16 },
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

    /// What a job's `spec.resource.flavor_detail` says of it.
    pub(crate) fn detail(self) -> Value {
        json!({
            "flavor_type": "CPU",
            "billing": {"code": self.id, "unit_num": 1},
            "flavor_info": {
                "max_num": MOST_NODES,
                "cpu": {"arch": "x86", "core_num": self.cores},
                "memory": {"size": self.memory, "unit": "GB"},
            },
        })
    }
}

/// The query of a list of flavors.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    flavor_type: Option<String>,
}

/// `GET /v2/{project_id}/training-job-flavors`.
pub(crate) async fn list(Query(wanted): Query<Wanted>) -> Result<Json<Value>, ApiError> {
    let kind = wanted.flavor_type.as_deref().unwrap_or_default();
    let flavors: Vec<Value> = match kind {
        "" | "CPU" => FLAVORS.iter().map(|&flavor| document(flavor)).collect(),
        "GPU" | "Ascend" => Vec::new(),
        _ => return Err(ApiError::parameter("flavor_type", "it is CPU, GPU or Ascend")),
    };
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
