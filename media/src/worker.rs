//! The worker process: bytes from strangers are parsed and decoded here, and nowhere else.
