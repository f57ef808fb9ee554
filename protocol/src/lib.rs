//! The nouns and rules of the mesh: segment, rendition, record, offer, receipt. Pure: no I/O, no clock.
