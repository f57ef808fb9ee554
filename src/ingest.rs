//! Protocol servers: RTMP, HTTP push, files.
//!
//! In: a publisher's bytes. Out: packets into the channel that the ingest actor opens. Here are the sockets that the actor
//! does not know; nothing here decides who may publish, but for asking the operator's webhook.

pub(crate) mod file;
pub(crate) mod gate;
pub(crate) mod presets;
pub(crate) mod push;
pub(crate) mod rtmp;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod webhook;
