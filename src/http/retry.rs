//! When a failed request is tried again, and after how long.
