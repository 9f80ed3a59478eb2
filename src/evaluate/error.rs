//! Why nothing can be measured.

/// Why a measurement cannot be made, or would mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// There is nothing to search for.
    #[error("there are no probes to measure with")]
    NoProbes,
    /// The truth is about another number of probes.
    #[error("the truth is about {rows} probes and there are {probes}: they must agree")]
    Rows {
        /// Number of probes.
        probes: usize,
        /// Number of probes the truth is about.
        rows: usize,
    },
    /// The listed answers are too short.
    #[error(
        "the truth lists {columns} faces a probe where k is {k}: measure with a smaller k or list \
         more"
    )]
    Columns {
        /// Faces listed a probe.
        columns: usize,
        /// Faces needed.
        k: usize,
    },
    /// A listed number cannot be a face id.
    #[error("the truth of probe {probe} lists {id}, which is no face id")]
    NotAFaceId {
        /// The probe, from 0.
        probe: usize,
        /// The number.
        id: i64,
    },
    /// A face is listed twice.
    #[error("the truth of probe {probe} lists face {id} twice")]
    Twice {
        /// The probe, from 0.
        probe: usize,
        /// The face.
        id: u64,
    },
    /// Of the listed faces too few are in the gallery.
    #[error(
        "of the faces the truth lists for probe {probe}, {known} are in this gallery where k is \
         {k}: it is the truth of another gallery, or lists too few to make up for faces that were \
         rejected"
    )]
    TooFewKnown {
        /// The probe, from 0.
        probe: usize,
        /// Listed faces that the gallery has.
        known: usize,
        /// Faces needed.
        k: usize,
    },
    /// The listed faces are not in order of similarity.
    #[error(
        "the truth of probe {probe} lists face {id} after one that is less similar by {by:.4}: it \
         is the truth of another gallery or of other probes, or not by cosine similarity",
        by = f64::from(*millionths) / 1e6
    )]
    Order {
        /// The probe, from 0.
        probe: usize,
        /// The face that comes too late.
        id: u64,
        /// By how much it is more similar than one before it, in millionths.
        millionths: u32,
    },
    /// The truth was found for a query that lets other faces pass.
    #[error(
        "the truth was found with other filters, another threshold or other grouping than the \
         query has: find it anew with this query"
    )]
    OtherQuery,
    /// The probes fall into too many groups.
    #[error("the probes fall into more than {most} groups: group them by what more have in common")]
    Groups {
        /// Groups there may be.
        most: usize,
    },
    /// The threads cannot be started.
    #[error("cannot start the threads: {0}")]
    Threads(String),
}
