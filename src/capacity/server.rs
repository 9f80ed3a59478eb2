//! The machine that a forecast is for.

/// A server. What is not said is assumed as of a rack server of 2025.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Server {
    /// Cores, each as fast as that of the machine measured on.
    pub cores: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes a second that all cores together read from memory.
    pub bandwidth: f64,
    /// Seconds that a vector takes from disk.
    pub latency: f64,
    /// Vectors that the disk gives in a second.
    pub disk_reads: f64,
}

impl Server {
    /// Vectors of one probe that are on their way from disk together.
    pub const TOGETHER: f64 = 32.0;
    /// Memory that the system and programs keep for themselves: one part in so many.
    pub const KEPT: u64 = 16;

    /// A server of which cores and memory are known: 10 GB/s of memory a core, up to the 400 GB/s
    /// that two processors read together; 100 us and a million reads a second from NVMe disks.
    pub fn new(cores: usize, memory: u64) -> Self {
        const A_CORE: f64 = 10e9;
        const MOST: f64 = 400e9;
        let cores = cores.max(1);
        let bandwidth = (A_CORE * cores as f64).min(MOST);
        Self { cores, memory, bandwidth, latency: 1e-4, disk_reads: 1e6 }
    }

    /// Bytes of memory for galleries.
    pub fn free(&self) -> u64 {
        self.memory - self.memory / Self::KEPT
    }
}
