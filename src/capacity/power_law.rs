//! Growth as a power of the number of faces.

/// `scale * faces ^ exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    /// The value at one face.
    pub scale: f64,
    /// How fast it grows: 1 is in proportion, 0 not at all.
    pub exponent: f64,
}

impl PowerLaw {
    /// The law that comes nearest to what was measured, faces and value each, by least squares in
    /// the logarithms; in proportion to the faces where that is all that one size can say. `None`
    /// where no value is above zero: it is nothing at any size.
    pub fn fit(measured: &[(f64, f64)]) -> Option<Self> {
        let logs: Vec<(f64, f64)> = measured
            .iter()
            .filter(|(faces, value)| *faces > 0.0 && *value > 0.0)
            .map(|(faces, value)| (faces.ln(), value.ln()))
            .collect();
        let n = logs.len() as f64;
        let mean = |part: fn(&(f64, f64)) -> f64| logs.iter().map(part).sum::<f64>() / n;
        let (x, y) = (mean(|log| log.0), mean(|log| log.1));
        let spread: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
        let together: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
        let exponent = if spread > 0.0 { together / spread } else { 1.0 };
        (!logs.is_empty()).then(|| Self { scale: (y - exponent * x).exp(), exponent })
    }

    /// The value at a number of faces.
    pub fn at(&self, faces: f64) -> f64 {
        self.scale * faces.powf(self.exponent)
    }
}
