//! One line that changes on a terminal, and nothing where there is none.

use std::io::{IsTerminal, Write};

/// Shows progress on standard error, so that results on standard output stay clean.
#[derive(Debug)]
pub(crate) struct StatusLine {
    shown: bool,
    terminal: bool,
}

impl StatusLine {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { shown: false, terminal: !quiet && std::io::stderr().is_terminal() }
    }

    /// Replaces the line.
    pub(crate) fn set(&mut self, text: &str) {
        if self.terminal {
            let text: String = text.chars().take(width()).collect();
            let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
            let _ = std::io::stderr().flush();
            self.shown = true;
        }
    }

    /// Leaves the last line standing.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = writeln!(std::io::stderr());
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.end();
    }
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    columns.unwrap_or(100_usize).saturating_sub(1)
}
