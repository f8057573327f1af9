//! The platform's object store: S3 and OBS dialects over plain files and an index in the state file.
