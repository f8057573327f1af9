"""What ma-cli copied, read by the vendor's SDK; or written by it, for ma-cli to copy.

ENDPOINT ACCESS_KEY SECRET_KEY read|write BUCKET PREFIX FOLDER. Metadata is `owner: alice`, the content type of `*.json` its own.
Exits non-zero at the first thing that is not as it should be.
"""

import os
import sys

from obs import ObsClient, PutObjectHeader

endpoint, access_key, secret_key, mode, bucket, prefix, folder = sys.argv[1:8]
client = ObsClient(access_key, secret_key, server=endpoint, signature="v4", path_style=True, max_retry_count=0)


def ok(answer, what):
    if answer.status >= 300:
        sys.exit(f"{what}: {answer.status} {answer.errorCode} {answer.errorMessage}")
    return answer


def same(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: {found!r} in place of {wanted!r}")


def files():
    for path, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(path, name)
            yield full, prefix + os.path.relpath(full, folder)


def fetch(key):
    answer = ok(client.getObject(bucket, key, loadStreamInMemory=False), f"getObject {key}")
    chunks = []
    while chunk := answer.body.response.read(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def read(full):
    with open(full, "rb") as file:
        return file.read()


if mode == "write":
    for full, key in files():
        kind = "application/json" if key.endswith(".json") else "application/x-of-the-sdk"
        if os.path.getsize(full) > 5 * 1024 * 1024:
            headers = {"metadata": {"owner": "alice"}}
            ok(client.uploadFile(bucket, key, full, 5 * 1024 * 1024, 2, False, **headers), f"uploadFile {key}")
        else:
            headers = PutObjectHeader(contentType=kind)
            ok(client.putFile(bucket, key, full, metadata={"owner": "alice"}, headers=headers), f"putFile {key}")
else:
    wanted = sorted(key for _, key in files())
    found = [entry.key for entry in ok(client.listObjects(bucket, prefix=prefix), "listObjects").body.contents]
    same([key for key in found if not key.endswith("/")], wanted, "keys")
    for full, key in files():
        same(fetch(key) == read(full), True, f"the content of {key}")
        head = ok(client.getObjectMetadata(bucket, key), f"getObjectMetadata {key}")
        same(head.body.contentLength, os.path.getsize(full), f"the length of {key}")
        if len(sys.argv) > 8:
            same(dict(head.header).get("owner"), "alice", f"the metadata of {key}")
            if key.endswith(".json"):
                same(head.body.contentType, "application/json", f"the content type of {key}")
print("ok")
