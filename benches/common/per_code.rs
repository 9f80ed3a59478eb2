//! Criterion's wall-clock time, shown as nanoseconds a code and bytes a cycle.
//!
//! Cycles are those of the clock rate that the system states for the processor; one that turns up
//! its clock does more a second than this says.

use std::fs;
use std::time::{Duration, Instant};

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};

pub(crate) struct PerCode {
    time: WallTime,
    formatter: Formatter,
}

struct Formatter {
    cycles_a_nanosecond: f64,
}

impl PerCode {
    pub(crate) fn new() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let stated = |line: &str| line.strip_prefix("cpu MHz")?.split_once(": ")?.1.parse().ok();
        let megahertz: f64 = cpus.lines().find_map(stated).unwrap_or(1000.0);
        println!("a cycle is {:.3} ns", 1e3 / megahertz);
        Self { time: WallTime, formatter: Formatter { cycles_a_nanosecond: megahertz / 1e3 } }
    }
}

impl Measurement for PerCode {
    type Intermediate = Instant;
    type Value = Duration;

    fn start(&self) -> Instant {
        self.time.start()
    }

    fn end(&self, begun: Instant) -> Duration {
        self.time.end(begun)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        self.time.add(one, other)
    }

    fn zero(&self) -> Duration {
        self.time.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.time.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &self.formatter
    }
}

impl ValueFormatter for Formatter {
    fn scale_values(&self, _: f64, _: &mut [f64]) -> &'static str {
        "ns"
    }

    fn scale_throughputs(
        &self,
        _: f64,
        throughput: &Throughput,
        nanoseconds: &mut [f64],
    ) -> &'static str {
        match *throughput {
            Throughput::Bytes(bytes) => {
                for value in nanoseconds {
                    *value = bytes as f64 / (*value * self.cycles_a_nanosecond);
                }
                "bytes/cycle"
            }
            Throughput::Elements(codes) => {
                for value in nanoseconds {
                    *value /= codes as f64;
                }
                "ns/code"
            }
            _ => "ns",
        }
    }

    fn scale_for_machines(&self, _: &mut [f64]) -> &'static str {
        "ns"
    }
}
