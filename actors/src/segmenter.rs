//! Cuts a publisher's packets into segments.
