//! Any text as a filter: what is understood is shown in a form that is understood alike.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lookalike::Filter;

fuzz_target!(|text: &str| {
    if let Ok(filter) = text.parse::<Filter>() {
        let shown = filter.to_string();
        assert_eq!(shown.parse::<Filter>().as_ref(), Ok(&filter), "{text:?} is shown as {shown:?}");
    }
});
