//! Progress as bars on a terminal, and as nothing elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use lookalike::Progress;

/// Draws a bar a step on standard error, where that is a terminal.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    bar: Mutex<Option<ProgressBar>>,
}

const COUNTED: &str =
    "{prefix:>8} {wide_bar:.cyan/dim} {human_pos}/{human_len}  {per_sec}  {eta} left";
const UNCOUNTED: &str = "{prefix:>8} {spinner} {elapsed}";

impl Bars {
    fn with(&self, work: impl FnOnce(&mut Option<ProgressBar>)) {
        work(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Bars {
    fn begin(&self, step: &str, total: Option<u64>) {
        if !stderr().is_terminal() {
            return;
        }
        self.with(|running| {
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let template = if total.is_some() { COUNTED } else { UNCOUNTED };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(step.to_owned());
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
            *running = Some(bar);
        });
    }

    fn advance(&self, done: u64) {
        self.with(|running| {
            if let Some(bar) = running {
                bar.inc(done);
            }
        });
    }

    fn end(&self) {
        self.with(|running| {
            if let Some(bar) = running.take() {
                bar.finish_and_clear();
            }
        });
    }

    fn note(&self, message: &str) {
        self.with(|running| match running {
            Some(bar) => bar.println(message),
            None => {
                // Where standard error is closed there is nobody to tell.
                let _ = writeln!(stderr(), "{message}");
            }
        });
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // A step that ended with an error leaves its bar; the message needs a clear line.
        self.end();
    }
}
