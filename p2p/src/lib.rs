//! How nodes talk: libp2p for control, raw QUIC with the same identity for segments. Knows no actor and no codec.
