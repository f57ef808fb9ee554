//! Hostile timestamps in, a steady 90 kHz timeline out.
