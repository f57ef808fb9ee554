//! Where a stream is cut: the segment rules.
