//! Accelerator cards of a job: which it was given, how its programs learn of them, and the rank table of Ascend.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::platform::runner::Error;
use crate::platform::runner::layout::{Layout, MOUNT};
use crate::platform::runner::plan::{CardKind, JobPlan, Task, node_address};
use crate::platform::runner::spec::replace_json;

/// Where the platform's rank table is looked for, below the task's folder as everything else.
const CONFIG_DIR: &str = "user/config";

/// Name of the rank table, in either place.
const TABLE: &str = "jobstart_hccl.json";

/// The cards of a task, as the machine counts them.
fn devices<'a>(plan: &'a JobPlan, task: &Task) -> &'a [u32] {
    let (cards, node) = (plan.cards as usize, task.index as usize);
    plan.devices.get(node * cards..(node + 1) * cards).unwrap_or_default()
}

/// The variables by which a task's programs see its cards, and no others.
pub fn variables(plan: &JobPlan, task: &Task, layout: &Layout) -> Vec<(String, String)> {
    let list = devices(plan, task).iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let set = |name: &str, value: String| (name.to_owned(), value);
    let mut variables = vec![set("MA_NUM_GPUS", plan.cards.to_string())];
    match plan.card_kind {
        Some(CardKind::Gpu) => {
            variables.push(set("CUDA_VISIBLE_DEVICES", list.clone()));
            variables.push(set("NVIDIA_VISIBLE_DEVICES", list));
        }
        Some(CardKind::Npu) => {
            variables.push(set("ASCEND_VISIBLE_DEVICES", list));
            let folder = layout.folder().join(CONFIG_DIR);
            variables.push(set("RANK_TABLE_FILE", folder.to_string_lossy().into_owned()));
        }
        None => {}
    }
    variables
}

/// The address that stands for a card of a node: 127.1.NODE.1, 127.1.NODE.2, …
fn card_address(node: u32, card: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + (node << 8) + card)
}

/// Writes both rank tables of a task: the platform's (grouped by instance) into its `user/config`, and the one that HCCL reads,
/// which the preset images make of it. Returns the path of the latter. Both are documented in the user guide, "Custom images".
///
/// # Errors
/// They cannot be written.
pub fn write_tables(plan: &JobPlan, layout: &Layout) -> Result<PathBuf, Error> {
    let config = layout.folder().join(CONFIG_DIR);
    let ranks = layout.local(MOUNT).join("rank_table");
    for folder in [&config, &ranks] {
        fs::create_dir_all(folder).map_err(Error::local("cannot create", folder))?;
    }
    let path = ranks.join(TABLE);
    for (path, table) in [(config.join(TABLE), platform_table(plan)), (path.clone(), rank_table(plan))] {
        replace_json(&path, &table).map_err(Error::local("cannot write", &path))?;
    }
    Ok(path)
}

/// Writes the script that runs a program per card, and returns its path.
///
/// # Errors
/// It cannot be written.
pub fn write_script(layout: &Layout) -> Result<PathBuf, Error> {
    let path = layout.folder().join("run-per-card.sh");
    fs::write(&path, RUN_PER_CARD).map_err(Error::local("cannot write", &path))?;
    Ok(path)
}

fn platform_table(plan: &JobPlan) -> Value {
    let instance = |node: u32| {
        let device = |card: u32| json!({"device_id": card.to_string(), "device_ip": card_address(node, card).to_string()});
        json!({
            "devices": (0..plan.cards).map(device).collect::<Vec<_>>(),
            "pod_name": format!("{}-worker-{node}", plan.workload()),
            "server_id": node_address(node).to_string(),
        })
    };
    json!({
        "group_count": "1",
        "group_list": [{
            "device_count": (plan.cards * plan.nodes).to_string(),
            "group_name": "job-trainjob",
            "instance_count": plan.nodes.to_string(),
            "instance_list": (0..plan.nodes).map(instance).collect::<Vec<_>>(),
        }],
        "status": "completed",
    })
}

fn rank_table(plan: &JobPlan) -> Value {
    let server = |node: u32| {
        let device = |card: u32| {
            json!({
                "device_id": card.to_string(),
                "device_ip": card_address(node, card).to_string(),
                "rank_id": (node * plan.cards + card).to_string(),
            })
        };
        json!({"device": (0..plan.cards).map(device).collect::<Vec<_>>(), "server_id": node_address(node).to_string()})
    };
    json!({
        "server_count": plan.nodes.to_string(),
        "server_list": (0..plan.nodes).map(server).collect::<Vec<_>>(),
        "status": "completed",
        "version": "1.0",
    })
}

/// Runs a program once for each card of the node, each with its rank; the first that fails ends the task. What a run prints goes
/// into the task's log and into a file of its own.
const RUN_PER_CARD: &str = r#"# Runs a program once for each card of this node.
cards=$1 first=$2 size=$3 prefix=$4 table=$5; shift 5
export RANK_TABLE_FILE=$table RANK_SIZE=$size
set -o pipefail
for ((card = 0; card < cards; card++)); do
  rank=$((first + card))
  ( export ASCEND_DEVICE_ID=$card DEVICE_ID=$card RANK_ID=$rank
    "$@" 2>&1 | tee -a "$MA_LOG_DIR/$prefix-proc-rank-$rank-device-$card.txt" ) &
done
for ((card = 0; card < cards; card++)); do
  wait -n || exit
done
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{platform_table, rank_table, variables};
    use crate::platform::runner::layout::Layout;
    use crate::platform::runner::plan::{CardKind, Family, JobPlan};

    #[test]
    fn tables_and_variables_number_the_cards() {
        let mut plan = JobPlan { nodes: 2, cards: 2, devices: vec![4, 5, 6, 7], ..JobPlan::example(Family::Ascend) };
        plan.card_kind = Some(CardKind::Npu);
        let table = rank_table(&plan);
        assert_eq!(table["server_list"][1]["device"][1]["rank_id"], "3");
        assert_eq!(table["server_list"][1]["device"][1]["device_ip"], "127.1.1.2");
        assert_eq!((&table["server_count"], &table["server_list"][1]["server_id"]), (&"2".into(), &"127.0.0.2".into()));
        let table = platform_table(&plan);
        assert_eq!(table["group_list"][0]["device_count"], "4");
        assert_eq!(table["group_list"][0]["instance_list"][0]["devices"][1]["device_id"], "1");
        let task = &plan.tasks()[1];
        let layout = Layout::new(Path::new("/j"), &plan, task);
        let of = |plan: &JobPlan| variables(plan, task, &layout);
        let has = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            of(&plan),
            [
                has("MA_NUM_GPUS", "2"),
                has("ASCEND_VISIBLE_DEVICES", "6,7"),
                has("RANK_TABLE_FILE", "/j/1/worker-1/user/config")
            ]
        );
        plan.card_kind = Some(CardKind::Gpu);
        assert_eq!(of(&plan)[1], has("CUDA_VISIBLE_DEVICES", "6,7"));
        plan.card_kind = None;
        plan.cards = 0;
        assert_eq!(of(&plan), [has("MA_NUM_GPUS", "0")]);
    }
}
