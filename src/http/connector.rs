//! The connector under the object store's client: TCP, proxy tunnel, TLS.
