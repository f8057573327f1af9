//! The control planes' REST API: requests out, typed views on the documents that come back.
