"""The vendor's OBS SDK against an endpoint: ENDPOINT ACCESS_KEY SECRET_KEY [obs|v4 [HOST]].

With HOST the SDK is given that name in place of the endpoint's address: it then uses virtual hosts, asks for the version of the
service and signs as OBS. Exits non-zero at the first thing that is not as it should be.
"""

import os
import socket
import sys
import tempfile
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from obs import CompletePart, CompleteMultipartUploadRequest, CreateBucketHeader, DeleteObjectsRequest, Object, ObsClient
from obs import PutObjectHeader

endpoint, access_key, secret_key = sys.argv[1:4]
signature = sys.argv[4] if len(sys.argv) > 4 else "obs"
host = sys.argv[5] if len(sys.argv) > 5 else None
server = endpoint
if host:
    port = urlsplit(endpoint).port
    server = f"http://{host}:{port}"
    resolve = socket.getaddrinfo
    # Not every system's resolver knows that names below localhost are this machine.
    socket.getaddrinfo = lambda name, *rest, **more: resolve("127.0.0.1" if name.endswith("localhost") else name, *rest, **more)

client = ObsClient(access_key, secret_key, server=server, signature=signature, path_style=host is None, max_retry_count=0)


def ok(answer, what):
    if answer.status >= 300:
        sys.exit(f"{what}: {answer.status} {answer.errorCode} {answer.errorMessage}")
    return answer


def same(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: {found!r} in place of {wanted!r}")


def read(answer):
    chunks = []
    while chunk := answer.body.response.read(65536):
        chunks.append(chunk)
    return b"".join(chunks)


bucket = "esdk-bucket"
ok(client.createBucket(bucket, CreateBucketHeader(), location="local-1"), "createBucket")
same(client.headBucket(bucket).status, 200, "headBucket")
same(client.headBucket("no-such-bucket").status, 404, "headBucket of none")
names = [entry.name for entry in ok(client.listBuckets(), "listBuckets").body.buckets]
same(names, [bucket], "listBuckets")
if signature == "obs" and host:
    same(ok(client.getBucketLocation(bucket), "getBucketLocation").body.location, "local-1", "location")

key = "data/模型 v1+a~b.txt"
put = ok(
    client.putContent(bucket, key, content="hello", metadata={"owner": "alice"}, headers=PutObjectHeader(contentType="text/plain")),
    "putContent",
)
got = ok(client.getObject(bucket, key, loadStreamInMemory=False), "getObject")
same(read(got), b"hello", "the body")
same(got.body.contentType, "text/plain", "content type")
head = ok(client.getObjectMetadata(bucket, key), "getObjectMetadata")
same(head.body.contentLength, 5, "length")
same(head.body.etag, put.body.etag, "etag")
same(dict(head.header).get("owner"), "alice", "metadata")
same(client.getObjectMetadata(bucket, "none").status, 404, "metadata of none")

for number in range(12):
    ok(client.putContent(bucket, f"many/{number:02}", content=str(number)), "putContent")
seen, marker = [], None
while True:
    page = ok(client.listObjects(bucket, prefix="many/", max_keys=5, marker=marker), "listObjects").body
    seen += [(entry.key, entry.size) for entry in page.contents]
    if not page.is_truncated:
        break
    marker = page.next_marker
same(seen, [(f"many/{number:02}", len(str(number))) for number in range(12)], "listObjects")
page = ok(client.listObjects(bucket, delimiter="/"), "listObjects").body
same([entry.prefix for entry in page.commonPrefixs], ["data/", "many/"], "prefixes")

ok(client.copyObject(bucket, key, bucket, "copy"), "copyObject")
same(read(ok(client.getObject(bucket, "copy", loadStreamInMemory=False), "getObject")), b"hello", "the copy")

with tempfile.TemporaryDirectory() as folder:
    path, back = os.path.join(folder, "large"), os.path.join(folder, "back")
    with open(path, "wb") as file:
        file.write(os.urandom(3 * 1024 * 1024 + 17))
    ok(client.uploadFile(bucket, "large", path, 1024 * 1024, 3, True), "uploadFile")
    ok(client.downloadFile(bucket, "large", back, 700 * 1024, 3, True), "downloadFile")
    with open(path, "rb") as one, open(back, "rb") as two:
        same(one.read() == two.read(), True, "the file that went up and down")

upload = ok(client.initiateMultipartUpload(bucket, "parts"), "initiateMultipartUpload").body.uploadId
parts = []
for number, content in [(1, b"x" * 200_000), (2, b"y")]:
    part = ok(client.uploadPart(bucket, "parts", number, upload, content), "uploadPart")
    parts.append(CompletePart(partNum=number, etag=dict(part.header)["etag"]))
same(len(ok(client.listParts(bucket, "parts", upload), "listParts").body.parts), 2, "listParts")
ok(client.completeMultipartUpload(bucket, "parts", upload, CompleteMultipartUploadRequest(parts)), "completeMultipartUpload")
same(ok(client.getObjectMetadata(bucket, "parts"), "getObjectMetadata").body.contentLength, 200_001, "length of parts")
other = ok(client.initiateMultipartUpload(bucket, "aborted"), "initiateMultipartUpload").body.uploadId
ok(client.abortMultipartUpload(bucket, "aborted", other), "abortMultipartUpload")
same(client.listParts(bucket, "aborted", other).status, 404, "parts of an aborted upload")

ok(client.putContent(bucket, "signed", content="before"), "putContent")
for method, body in (("GET", None), ("PUT", b"by address")):
    signed = client.createSignedUrl(method, bucket, "signed", expires=600)
    # urllib adds a content type of its own to a body, which nobody signed.
    headers = {"Content-Type": ""} if body else {}
    request = Request(signed.signedUrl, data=body, method=method, headers={**headers, **dict(signed.actualSignedRequestHeaders)})
    with urlopen(request) as answer:
        same(answer.read(), b"" if body else b"before", f"signed {method}")
same(read(ok(client.getObject(bucket, "signed", loadStreamInMemory=False), "getObject")), b"by address", "signed PUT")

if signature == "obs":
    ok(client.appendObject(bucket, "log", {"content": "one ", "position": 0}), "appendObject")
    ok(client.appendObject(bucket, "log", {"content": "two", "position": 4}), "appendObject")
    same(read(ok(client.getObject(bucket, "log", loadStreamInMemory=False), "getObject")), b"one two", "appended")

same(client.deleteBucket(bucket).status, 409, "deleteBucket that is not empty")
keys = [entry.key for entry in ok(client.listObjects(bucket), "listObjects").body.contents]
done = ok(client.deleteObjects(bucket, DeleteObjectsRequest(quiet=False, objects=[Object(key=key) for key in keys[1:]])), "deleteObjects")
same(len(done.body.deleted), len(keys) - 1, "deleted")
ok(client.deleteObject(bucket, keys[0]), "deleteObject")
ok(client.deleteBucket(bucket), "deleteBucket")

wrong = ObsClient(access_key, "wrong", server=server, signature=signature, path_style=host is None, max_retry_count=0)
same(wrong.listBuckets().status, 403, "a wrong secret key")
print("ok")
