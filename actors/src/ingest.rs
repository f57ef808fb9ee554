//! Who may publish which stream, and what becomes of it when the publisher leaves and comes back.
