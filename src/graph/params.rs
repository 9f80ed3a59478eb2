//! Settings of a graph's build, checked once.

/// How a graph is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphParams {
    m: usize,
    ef_construction: usize,
    seed: u64,
}

/// Settings that no graph can be built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamsError {
    /// The number of links is out of range.
    #[error("{0} links a face: a graph takes 2 to {MAX_M}")]
    M(usize),
    /// Too few candidates for the links.
    #[error("{ef_construction} candidates a face cannot fill {m} links: give at least as many")]
    EfConstruction {
        /// The candidates given.
        ef_construction: usize,
        /// The links given.
        m: usize,
    },
}

/// The most links a face has on upper layers: the hnsw_rs crate ends the process above 256, and
/// stores the number in a byte.
const MAX_M: usize = 255;

impl Default for GraphParams {
    fn default() -> Self {
        Self { m: 16, ef_construction: 200, seed: 0 }
    }
}

impl GraphParams {
    /// `m` links a face on upper layers and twice as many on layer 0, at most; `ef_construction`
    /// candidates looked for for each face; `seed` of the levels and of the order of insertion.
    ///
    /// # Errors
    /// When `m` is not 2 to 255, or `ef_construction` is less than `m`.
    pub fn new(m: usize, ef_construction: usize, seed: u64) -> Result<Self, ParamsError> {
        if !(2..=MAX_M).contains(&m) {
            return Err(ParamsError::M(m));
        }
        if ef_construction < m {
            return Err(ParamsError::EfConstruction { ef_construction, m });
        }
        Ok(Self { m, ef_construction, seed })
    }

    /// Links a face on upper layers.
    pub fn m(&self) -> usize {
        self.m
    }

    /// Links a face on layer 0.
    pub fn degree(&self) -> usize {
        2 * self.m
    }

    /// Candidates examined for each face.
    pub fn ef_construction(&self) -> usize {
        self.ef_construction
    }

    /// Seed of the levels and of the order in which faces are linked.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_the_process_is_refused() {
        assert_eq!(GraphParams::new(257, 300, 0), Err(ParamsError::M(257)));
        assert_eq!(GraphParams::new(1, 300, 0), Err(ParamsError::M(1)));
        let few = ParamsError::EfConstruction { ef_construction: 8, m: 16 };
        assert_eq!(GraphParams::new(16, 8, 0), Err(few));
        assert!(GraphParams::new(255, 255, 0).is_ok());
    }
}
