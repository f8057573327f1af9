"""boto3 against an endpoint: ENDPOINT ACCESS_KEY SECRET_KEY [s3v4|s3].

`s3` is AWS signature version 2. Exits non-zero at the first thing that is not as it should be.
"""

import io
import os
import sys
from urllib.request import Request, urlopen

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, access_key, secret_key = sys.argv[1:4]
signature = sys.argv[4] if len(sys.argv) > 4 else "s3v4"


def connect(secret):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        region_name="local-1",
        config=Config(signature_version=signature, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def same(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: {found!r} in place of {wanted!r}")


def code(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "no error"


client = connect(secret_key)
bucket = "boto-bucket"
client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "local-1"})
same([entry["Name"] for entry in client.list_buckets()["Buckets"]], [bucket], "list_buckets")
same(client.get_bucket_location(Bucket=bucket)["LocationConstraint"], "local-1", "location")

keys = ["plain", "a b+c%d", "模型/é", "x//y", "dir/", "q?&=", "~tilde"]
for key in keys:
    client.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"key": str(len(key))}, ContentType="text/plain")
for key in keys:
    got = client.get_object(Bucket=bucket, Key=key)
    same(got["Body"].read(), key.encode(), key)
    same((got["ContentType"], got["Metadata"]), ("text/plain", {"key": str(len(key))}), key)
for version in ("list_objects", "list_objects_v2"):
    pages = client.get_paginator(version).paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    found = [entry["Key"] for page in pages for entry in page["Contents"]]
    same(found, sorted(keys, key=str.encode), version)
page = client.list_objects_v2(Bucket=bucket, Prefix="x/", Delimiter="/")
same([entry["Prefix"] for entry in page["CommonPrefixes"]], ["x//"], "prefixes")
same(client.get_object(Bucket=bucket, Key="plain", Range="bytes=1-2")["Body"].read(), b"la", "range")
same(code(client.get_object, Bucket=bucket, Key="plain", Range="bytes=9-"), "InvalidRange", "range")
same(code(client.get_object, Bucket=bucket, Key="none"), "NoSuchKey", "none")
same(code(client.put_object, Bucket=bucket, Key="plain", IfNoneMatch="*"), "PreconditionFailed", "put if none match")
same(code(client.head_object, Bucket=bucket, Key="plain", IfNoneMatch=client.head_object(Bucket=bucket, Key="plain")["ETag"]),
     "304", "head if none match")

client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b+c%d"})
same(client.get_object(Bucket=bucket, Key="copy")["Body"].read(), b"a b+c%d", "copy")

large = os.urandom(20 * 1024 * 1024 + 3)
small_parts = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024, max_concurrency=4)
client.upload_fileobj(io.BytesIO(large), bucket, "large", Config=small_parts)
back = io.BytesIO()
client.download_fileobj(bucket, "large", back, Config=small_parts)
same(back.getvalue() == large, True, "the file that went up and down")
client.copy({"Bucket": bucket, "Key": "large"}, bucket, "large copy", Config=small_parts)
same(client.get_object(Bucket=bucket, Key="large copy")["Body"].read() == large, True, "the copy in parts")

for verb, method, body in (("put_object", "PUT", b"by address"), ("get_object", "GET", None)):
    url = client.generate_presigned_url(verb, Params={"Bucket": bucket, "Key": "a signed+one"}, ExpiresIn=60)
    with urlopen(Request(url, data=body, method=method, headers={"Content-Type": ""} if body else {})) as answer:
        same(answer.read(), b"by address" if method == "GET" else b"", f"signed {method}")

for algorithm in ("CRC32", "SHA1", "SHA256"):
    client.put_object(Bucket=bucket, Key="sum", Body=b"sum", ChecksumAlgorithm=algorithm)
    same(client.get_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")["Body"].read(), b"sum", algorithm)

same(code(client.delete_bucket, Bucket=bucket), "BucketNotEmpty", "delete_bucket")
found = client.list_objects_v2(Bucket=bucket)["Contents"]
done = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": entry["Key"]} for entry in found]})
same(len(done["Deleted"]), len(found), "deleted")
client.delete_bucket(Bucket=bucket)

same(code(connect("wrong").list_buckets), "SignatureDoesNotMatch", "a wrong secret key")
print("ok")
