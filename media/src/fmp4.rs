//! Fragmented MP4, written and read (ISO/IEC 14496-12).
