//! Every request the program sends and every reply the platform gives agree with the API catalogues.

#[path = "contract/catalogue.rs"]
mod catalogue;
#[path = "contract/exceptions.rs"]
mod exceptions;
#[path = "contract/proxy.rs"]
mod proxy;
