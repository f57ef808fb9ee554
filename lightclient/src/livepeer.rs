//! Livepeer's contracts as typed reads over proven slots.
