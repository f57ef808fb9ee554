//! What a node does: ingest, segmenter, dispatcher, transcoder, verifier, publisher. Knows no socket, chain or database.
