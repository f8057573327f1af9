"""The software bill of materials, CycloneDX 1.5: every crate that is linked in, with licence and digest."""

import datetime
import json
import os
import re
import subprocess
from pathlib import Path


def bill(metadata: dict, lock: Path, epoch: int) -> bytes:
    """What is linked in, of what `cargo metadata` knows; crates of tests and of build scripts are not part of the program."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    own = metadata["resolve"]["root"]
    links = {}
    pending = [own]
    while pending:
        name = pending.pop()
        if name not in links:
            links[name] = linked(nodes[name])
            pending += links[name]
    digests = checksums(lock)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component(packages[own], digests, "application"),
        },
        "components": [component(packages[name], digests, "library") for name in sorted(links, key=lambda name: reference(packages[name])) if name != own],
        "dependencies": [
            {"ref": reference(packages[name]), "dependsOn": sorted({reference(packages[other]) for other in links[name]})}
            for name in sorted(links, key=lambda name: reference(packages[name]))
        ],
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def resolved(root: Path, triple: str) -> dict:
    """The crates that the lock file names, for that target."""
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version", "1", "--locked", "--filter-platform", triple]
    # Without the network where everything is there already.
    for words in (command + ["--offline"], command):
        run = subprocess.run(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if run.returncode == 0:
            return json.loads(run.stdout)
    raise SystemExit("release: " + run.stderr.decode())


def linked(node: dict) -> list:
    """Ids of the crates that this one is linked with; macros and build scripts run only while it is compiled."""
    return [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]


def reference(package: dict) -> str:
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package: dict, digests: dict, kind: str) -> dict:
    found = {"type": kind, "bom-ref": reference(package), "name": package["name"], "version": package["version"], "purl": reference(package)}
    if package.get("license"):
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    digest = digests.get((package["name"], package["version"]))
    if digest:
        found["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return found


def checksums(lock: Path) -> dict:
    """SHA-256 of each crate's archive, as the lock file has them."""
    pattern = r'\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"'
    return {(name, version): digest for name, version, digest in re.findall(pattern, lock.read_text())}
