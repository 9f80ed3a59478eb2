//! What a way of searching takes at a size, on a server.

use super::{Built, Measured, Point, PowerLaw, Server, Way};
use crate::search::Reads;

/// Probes of a batch.
const BATCH: f64 = 64.0;
/// Bytes of a cache line.
const LINE: f64 = 64.0;
/// Bytes of a face's sketch.
const SKETCH: f64 = 16.0;

/// What is asked of a forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked<'a> {
    /// The face model whose embeddings are like those to come: a profile's name.
    pub profile: &'a str,
    /// Whether most people have one photo.
    pub isolated: bool,
    /// Faces, at least one.
    pub faces: u64,
    /// Dimensions of an embedding, stored in single precision.
    pub dims: usize,
    /// How is searched.
    pub way: Way,
}

/// What a way of searching takes. All of it is extrapolated but for sizes that were measured.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Forecast {
    /// Means a probe, half of them mated.
    pub reads: Reads,
    /// Bytes a probe reads.
    pub bytes: f64,
    /// Cache lines of 64 bytes a probe reads.
    pub lines: f64,
    /// Vectors of a probe that come from disk, and after a scan lists of links.
    pub cold: f64,
    /// Milliseconds of one probe at a time.
    pub milliseconds: f64,
    /// Probes a second, each on a core of its own, which waits for the disk with it.
    pub probes: f64,
    /// The same in batches of 64, which a scan of all faces reads its sketches once for.
    pub batched_probes: f64,
    /// Bytes of memory that codes take, and the graph where it is walked; the few links that a scan
    /// follows may stay on disk.
    pub resident: f64,
    /// Bytes on disk, without thumbnails.
    pub disk: f64,
    /// Seconds of reading, coding and linking on all cores.
    pub build: f64,
    /// Seconds of measuring the promise on all cores.
    pub promise: f64,
    /// Faces of the smallest and of the largest gallery that this way was measured on.
    pub measured: (u64, u64),
}

impl Forecast {
    /// What `asked` takes on a server; `None` where nothing like it was measured.
    pub fn new(measured: &Measured, asked: &Asked<'_>, server: &Server) -> Option<Self> {
        let galleries = measured.of(asked.profile, asked.isolated);
        let of_way = |built: &&Built| {
            let point = built.points.iter().find(|point| point.way == asked.way)?;
            Some((built.faces as f64, point.clone()))
        };
        let points: Vec<(f64, Point)> = galleries.iter().filter_map(of_way).collect();
        let ((smallest, _), (most, last)) = (points.first()?, points.last()?);
        let largest = galleries.last()?;
        let faces = asked.faces as f64;
        let reads = reads_at(&points, faces);
        // The time of the largest gallery, carried over by what is read.
        let wider = asked.dims as f64 / largest.dims as f64;
        let cost = |reads: &Reads, faces: u64| match asked.way {
            Way::Walk => reads.microseconds_of_walk(),
            Way::Share => reads.microseconds_of_share(faces),
            Way::Scan => reads.microseconds_of_scan(),
        };
        let then = cost(&Reads { vectors: reads.vectors * wider, ..reads }, asked.faces);
        let growth = then / mean(last, |reads| cost(reads, *most as u64));
        let (alone, batched) = (last.microseconds * growth, last.batched_microseconds * growth);
        let vector = asked.dims as f64 * size_of::<f32>() as f64;
        let (bytes, lines) = traffic(&reads, largest, vector);
        let graph = if reads.hops > 0.0 { largest.graph } else { 0.0 };
        // A scan follows a few links in the end; like vectors, they may stay on disk.
        let (hot, of_disk) = match asked.way {
            Way::Walk => (graph, 0.0),
            _ => (0.0, graph),
        };
        let resident = faces * (largest.codes + hot);
        let left = (server.free() as f64 - resident).max(0.0);
        let missing = 1.0 - (left / (faces * (vector + of_disk))).min(1.0);
        let links = if of_disk > 0.0 { reads.hops } else { 0.0 };
        let cold = (reads.vectors + links) * missing;
        // Links are known one after the other.
        let turns = links * missing + (reads.vectors * missing / Server::TOGETHER).ceil();
        let waiting = turns * server.latency;
        let probes = |microseconds: f64, sharing: f64| {
            let streamed = reads.sketches * SKETCH;
            let read = lines * LINE - streamed + streamed / sharing;
            (server.cores as f64 * 1e6 / (microseconds + waiting * 1e6))
                .min(server.bandwidth / read)
                .min(server.disk_reads / cold)
        };
        let seconds = |of: fn(&Built) -> f64| {
            let values: Vec<_> = galleries.iter().map(|b| (b.faces as f64, of(b))).collect();
            PowerLaw::fit(&values).map_or(0.0, |law| law.at(faces)) / server.cores as f64
        };
        let linking = if graph > 0.0 { seconds(|built| built.graph_seconds) } else { 0.0 };
        Some(Self {
            reads,
            bytes,
            lines,
            cold,
            milliseconds: alone / 1e3 + waiting * 1e3,
            probes: probes(alone, 1.0),
            batched_probes: probes(batched, if asked.way == Way::Scan { BATCH } else { 1.0 }),
            resident,
            disk: faces * (largest.codes + graph + largest.rest + vector),
            build: seconds(|built| built.code_seconds) + linking,
            promise: seconds(|built| built.promise_seconds),
            measured: (*smallest as u64, *most as u64),
        })
    }
}

/// A figure of a probe, half of them mated.
fn mean(point: &Point, of: impl Fn(&Reads) -> f64) -> f64 {
    of(&point.mated).midpoint(of(&point.non_mated))
}

/// What a probe reads at a size, of nothing more than there is.
fn reads_at(points: &[(f64, Point)], faces: f64) -> Reads {
    let at = |of: fn(&Reads) -> f64| {
        let values: Vec<_> = points.iter().map(|(n, point)| (*n, mean(point, of))).collect();
        PowerLaw::fit(&values).map_or(0.0, |law| law.at(faces)).min(faces)
    };
    Reads {
        hops: at(|reads| reads.hops),
        cells: at(|reads| reads.cells),
        sketches: at(|reads| reads.sketches),
        codes: at(|reads| reads.codes),
        vectors: at(|reads| reads.vectors),
    }
}

/// Bytes and cache lines that reads take. What begins anywhere at a multiple of eight bytes touches
/// nearly a line more than it fills; sketches are read in order.
fn traffic(reads: &Reads, gallery: &Built, vector: f64) -> (f64, f64) {
    let scattered = [
        (reads.hops, gallery.graph),
        (reads.cells, gallery.dims as f64),
        (reads.codes, gallery.codes - SKETCH),
        (reads.vectors, vector),
    ];
    let sketches = reads.sketches * SKETCH;
    let bytes: f64 = scattered.iter().map(|(count, size)| count * size).sum();
    let lines: f64 =
        scattered.iter().map(|(count, size)| count * (1.0 + (size - 8.0) / LINE)).sum();
    (bytes + sketches, lines + sketches / LINE)
}
