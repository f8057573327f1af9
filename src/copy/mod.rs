//! The copier: files and folders between disk and object store, in parallel, verified, and resumable.
