//! The execution layer below a proven block hash: headers by raw RLP, account and storage tries, proof bundles.
