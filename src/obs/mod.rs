//! The object store's client: control verbs through `aws-sdk-s3`, bytes through a thin path of our own, over one HTTP stack.
