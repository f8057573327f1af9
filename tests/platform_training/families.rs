//! Two workers of each engine family find each other by what the documentation promises them, and add up numbers in a ring.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::bench::{Bench, Folder, job};
use crate::{ONE, PYTORCH, TENSORFLOW, access, start_with};

const MPI: &str = "mindspore_1.3.0-cuda_10.1-py_3.7-ubuntu_1804-x86_64";
const ASCEND: &str = "mindspore_1.8.0-cann_5.1.2-py_3.7-euler_2.8.3-aarch64";
const CARD: &str = "modelarts.kat1.xlarge";

/// A ring all-reduce: each rank sends to the next one and hears from the one before, first until each has the sum of one chunk, then
/// until all have all sums.
const RING: &str = r#"
import argparse, json, os, socket, struct, sys, threading

parser = argparse.ArgumentParser()
for name in ("init_method", "rank", "world_size", "task_index", "ps_hosts", "worker_hosts", "job_name", "port"):
    parser.add_argument("--" + name)
known = parser.parse_args()
env = os.environ

def connect(host, port):
    while True:
        try:
            return socket.create_connection((host, int(port)), source_address=(env["MA_CURRENT_IP"], 0))
        except ConnectionRefusedError:
            pass

def send(to, value):
    data = json.dumps(value).encode()
    to.sendall(struct.pack(">I", len(data)) + data)

def receive(of):
    read = lambda count: b"".join(iter_exactly(of, count))
    return json.loads(read(struct.unpack(">I", read(4))[0]))

def iter_exactly(of, count):
    while count:
        piece = of.recv(count)
        if not piece:
            sys.exit("the peer is gone")
        count -= len(piece)
        yield piece

def meet(host, port, rank, size, own):
    """All ranks tell the first one where they listen, and hear of all others."""
    if rank:
        with connect(host, port) as first:
            send(first, [rank, own])
            return receive(first)
    found, peers = {0: own}, []
    with socket.create_server((socket.gethostbyname(host), int(port))) as server:
        while len(found) < size:
            peer, _ = server.accept()
            other, address = receive(peer)
            found[other] = address
            peers.append(peer)
    everyone = [found[other] for other in range(size)]
    for peer in peers:
        send(peer, everyone)
        peer.close()
    return everyone

first = f"{env['MA_VJ_NAME']}-worker-0.{env['MA_VJ_NAME']}"
ring = None
if known.job_name == "ps":
    sys.exit(0)
elif known.job_name:
    hosts = [host.split(":") for host in known.worker_hosts.split(",")]
    rank, size, ring = int(known.task_index), len(hosts), hosts
    server = socket.create_server((socket.gethostbyname(hosts[rank][0]), int(hosts[rank][1])))
elif known.rank:
    rank, size = int(known.rank), int(known.world_size)
    host, port = known.init_method[len("tcp://"):].split(":")
elif "OMPI_COMM_WORLD_RANK" in env:
    rank, size, host, port = int(env["OMPI_COMM_WORLD_RANK"]), int(env["OMPI_COMM_WORLD_SIZE"]), first, known.port
elif "RANK_ID" in env:
    table = json.load(open(env["RANK_TABLE_FILE"]))
    devices = [device for server in table["server_list"] for device in server["device"]]
    rank, size, port = int(env["RANK_ID"]), int(env["RANK_SIZE"]), known.port
    assert devices[rank]["rank_id"] == str(rank) and devices[rank]["device_id"] == env["ASCEND_DEVICE_ID"]
    host = devices[0]["device_ip"]
    with open(os.path.join(env["MA_MOUNT_PATH"], "../../../user/config/jobstart_hccl.json")) as file:
        assert json.load(file)["status"] == "completed"
else:
    rank, size, host, port = (int(env["RANK"]), int(env["WORLD_SIZE"]), env["MASTER_ADDR"], env["MASTER_PORT"])
if ring is None:
    server = socket.create_server((env["MA_CURRENT_IP"], 0))
    ring = meet(host, port, rank, size, server.getsockname())

before = []
hearing = threading.Thread(target=lambda: before.append(server.accept()[0]))
hearing.start()
after = connect(*ring[(rank + 1) % size])
hearing.join()
chunks = [[(rank + 1) * 10 ** chunk] * 1000 for chunk in range(size)]
for phase, add in (("reduce", True), ("gather", False)):
    for step in range(size - 1):
        out = (rank - step + (not add)) % size
        sending = threading.Thread(target=send, args=(after, chunks[out]))
        sending.start()
        heard, into = receive(before[0]), (out - 1) % size
        chunks[into] = [a + b for a, b in zip(chunks[into], heard)] if add else heard
        sending.join()
total = sum(range(1, size + 1))
assert chunks == [[total * 10 ** chunk] * 1000 for chunk in range(size)], chunks
# In one piece: `print` writes each word by itself when nothing is buffered, and the ranks of one log would mix theirs.
sys.stdout.write(f"rank {rank} of {size} has the sum {total} on {env['MA_CURRENT_IP']}\n")
"#;

/// In the place of Open MPI's launcher: reaches each host of the list by the agent it is told, as the real one does.
const MPIRUN: &str = r#"#!/usr/bin/env python3
import shlex, subprocess, sys
words = sys.argv[1:]
if words == ["--version"]:
    sys.exit(0)
after = lambda word: words.index(word) + 1
hosts = [line.split()[0] for line in open(words[after("-hostfile")])]
count, program = int(words[after("-np")]), words[after("-np") + 1:]
runs = []
for rank in range(count):
    line = f"OMPI_COMM_WORLD_RANK={rank} OMPI_COMM_WORLD_SIZE={count} {shlex.join(program)}"
    runs.append(subprocess.Popen([words[after("plm_rsh_agent")], hosts[rank * len(hosts) // count], line]))
sys.exit(max(run.wait() for run in runs))
"#;

/// In the place of `PyTorch`'s launcher: one process a card, told by the variables that the real one sets.
const TORCHRUN: &str = r#"#!/usr/bin/env python3
import os, subprocess, sys
if sys.argv[1:] == ["--version"]:
    sys.exit(0)
options = dict(word[2:].split("=") for word in sys.argv[1:] if word.startswith("--") and "=" in word and "_" in word or "nnodes" in word)
program = [word for word in sys.argv[1:] if not word.startswith("--")]
cards, node = int(options["nproc_per_node"]), int(options["node_rank"])
runs = []
for card in range(cards):
    told = {"RANK": node * cards + card, "WORLD_SIZE": int(options["nnodes"]) * cards, "LOCAL_RANK": card}
    told |= {"MASTER_ADDR": options["master_addr"], "MASTER_PORT": options["master_port"]}
    runs.append(subprocess.Popen([sys.executable, *program], env=os.environ | {k: str(v) for k, v in told.items()}))
sys.exit(max(run.wait() for run in runs))
"#;

fn program(folder: &Folder, name: &str, text: &str) -> (String, PathBuf) {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (name.to_owned(), path)
}

fn with_port(mut wanted: Value) -> Value {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    wanted["algorithm"]["parameters"] = json!([{"name": "port", "value": port.to_string()}]);
    wanted
}

/// Runs a job and returns what its ranks say at the end, sorted.
async fn sums(bench: &Bench, wanted: &Value, tasks: &[&str]) -> Vec<String> {
    let id = bench.submit(wanted).await;
    bench.wait(&id, &["Completed"]).await;
    let mut logs = String::new();
    for task in tasks {
        logs.push_str(&bench.log(&id, task).await);
    }
    let mut said: Vec<String> = logs.lines().filter(|line| line.starts_with("rank ")).map(str::to_owned).collect();
    said.sort();
    assert!(!said.is_empty(), "no rank said anything: {logs} {:?}", bench.events(&id).await);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_of_every_family_add_up_in_a_ring() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("platform")).unwrap();
    std::fs::write(folder.path().join("platform/capacity.json"), r#"{"npus": 3}"#).unwrap();
    let programs = BTreeMap::from([program(&folder, "mpirun", MPIRUN), program(&folder, "torchrun", TORCHRUN)]);
    let platform = start_with(&folder, 4, programs).await;
    let bench = Bench::new(access(&platform)).await;
    bench.put("ring", &[("main.py", RING)]).await;
    let both = ["rank 0 of 2 has the sum 3 on 127.0.0.1", "rank 1 of 2 has the sum 3 on 127.0.0.2"];
    let workers = ["worker-0", "worker-1"];

    assert_eq!(sums(&bench, &job("torch", "ring", PYTORCH, ONE, 2), &workers).await, both);
    assert_eq!(sums(&bench, &job("flow", "ring", TENSORFLOW, ONE, 2), &workers).await, both);
    assert_eq!(sums(&bench, &with_port(job("mpi", "ring", MPI, ONE, 2)), &["worker-0"]).await, both);

    let mut ascend = with_port(job("ascend", "ring", ASCEND, CARD, 2));
    ascend["spec"]["log_export_path"] = json!({"obs_url": "/lab/ring-logs/"});
    assert_eq!(sums(&bench, &ascend, &workers).await, both);
    let logs = bench.stored("ring-logs").await;
    assert!(logs.keys().any(|name| name.ends_with("-proc-rank-1-device-0.txt") && !name.contains('/')), "{:?}", logs.keys());

    let mut chosen = job("chosen", "ring", ASCEND, CARD, 2);
    chosen["algorithm"]["environments"] = json!({"MA_RUN_METHOD": "torchrun"});
    assert_eq!(sums(&bench, &chosen, &workers).await, both);
    // Two of them side by side, each on a port of its own.
    let mut launched = job("launched", "ring", PYTORCH, ONE, 2);
    launched["algorithm"]["environments"] = json!({"MA_RUN_METHOD": "torchrun"});
    let (one, other) = tokio::join!(sums(&bench, &launched, &workers), sums(&bench, &launched, &workers));
    assert_eq!((one, other), (both.map(str::to_owned).to_vec(), both.map(str::to_owned).to_vec()));
    chosen["algorithm"]["environments"] = json!({"MA_RUN_METHOD": "msrun"});
    let id = bench.submit(&chosen).await;
    let end = bench.wait(&id, &["Abnormal"]).await;
    assert!(end["status"]["task_statuses"][0]["message"].as_str().unwrap().contains("msrun"), "{end:#}");

    // More cards than there are; and two jobs that cannot both have theirs.
    let refused = bench.call(reqwest::Method::POST, "training-jobs", Some(&job("many", "ring", ASCEND, CARD, 4))).await;
    assert!(refused.text.contains("needs 4 cards and the platform has 3"), "{}", refused.text);
    let flavors = bench.get("training-job-flavors?flavor_type=Ascend").await;
    assert_eq!((&flavors["total_count"], &flavors["flavors"][0]["flavor_id"]), (&json!(1), &json!(CARD)));
    let mut holds = job("holds", "ring", ASCEND, CARD, 2);
    holds["algorithm"] =
        json!({"command": "echo cards $ASCEND_VISIBLE_DEVICES of $MA_NUM_GPUS; sleep 600", "engine": {"engine_id": ASCEND}});
    let first = bench.submit(&holds).await;
    let log = bench.wait_log(&first, "worker-1", "cards ").await;
    assert!(log.contains("cards 1 of 1\n"), "{log}");
    let second = bench.submit(&holds).await;
    bench.wait(&second, &["Pending"]).await;
    bench.stop(&first).await;
    let log = bench.wait_log(&second, "worker-0", "cards ").await;
    assert!(log.contains("cards 0 of 1\n"), "{log}");
    bench.stop(&second).await;
    bench.wait(&second, &["Terminated"]).await;
    platform.shutdown().await;
}
