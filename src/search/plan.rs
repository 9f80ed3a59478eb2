//! Choosing how to carry out a search.
//!
//! Few faces (or few that pass the filters) are answered exactly. Otherwise the query's own wish
//! decides, or else the cheapest plan that keeps the promised hit rate, as measured when the
//! gallery was built. Where a plan leaves the question open (a threshold below all it found), it is
//! widened, and every face scored once that costs no more.

use super::matches::Basis;
use super::promise::{MOST_PROMISED, passing_microseconds};
use super::query::{DEFAULT_HIT_RATE, Plan};
use super::scan::Sieve;
use super::searcher::Searcher;

/// Faces that are answered exactly rather than by codes: it takes a fraction of a millisecond.
pub const FEW: usize = 4096;
/// A walk among few that pass a filter may miss some: it must read this much less than all of them.
const WORTH_MISSING: usize = 3;
/// By how much a plan that left the question open is widened.
pub(super) const WIDEN: usize = 4;
/// A walk by codes of one bit a dimension is so many times as wide, and so many faces more: among
/// those that a walk by vectors would keep, it takes some for others.
const ROUGH: (usize, usize) = (2, 16);
/// Standard deviations of a sketch's error that a scan allows for which was asked for by its share.
const SHARE_CONFIDENCE: f32 = 0.0;
/// The same of a scan for every face that matches, or for more than were measured.
const SCAN_CONFIDENCE: f32 = 4.0;
/// The hit rate up to which that confidence is trusted without having been measured.
const SCAN_HOLDS: f64 = 0.999;
/// Standard deviations of error that are allowed for at least where a vector or a threshold decides:
/// 19 faces of 20 lie within.
const LEAST_SURE: f32 = 2.0;
/// The same where the nearest are cut off at a threshold: their plans were measured without one, and
/// a mate barely above it must not be lost to it.
const CUT_SURE: f32 = 3.0;
/// Candidates a scan keeps for each face wanted, where nothing was measured.
const SCAN_KEEP: usize = 10;

impl Searcher<'_, '_> {
    /// Settles how to begin, and what the answers will be worth.
    pub(super) fn choose(&mut self) {
        let query = self.request.query;
        let told = self.told();
        (self.plan, self.microseconds) =
            told.map_or_else(|| self.cheapest(), |plan| (plan, f64::INFINITY));
        self.basis = match self.plan {
            Plan::Exhaustive => Basis::Complete,
            _ if told.is_some() || !self.is_measured() => Basis::Unmeasured,
            _ => Basis::Planned { hit_rate: query.hit_rate.unwrap_or(DEFAULT_HIT_RATE) },
        };
        if let (Basis::Planned { .. }, Some(promise)) =
            (self.basis, &self.gallery.catalogue().promise)
        {
            self.measured = promise.measured_at(self.wanted).unwrap_or(self.wanted);
        }
    }

    /// The plan that the query itself asks for.
    fn told(&self) -> Option<Plan> {
        let query = self.request.query;
        if query.plan.is_some() {
            return query.plan;
        }
        if query.exhaustive {
            return Some(Plan::Exhaustive);
        }
        if let Some(beam) = query.beam {
            // A beam that was asked for is walked in any gallery, but never where fewer pass a
            // filter than it would read: scoring those is exact and cheaper.
            let degree = self.graph.as_ref().map_or(0, |graph| graph.degree);
            let width = self.slack(self.width(self.keep(beam)));
            let few = width.saturating_mul(degree / 2).saturating_mul(WORTH_MISSING);
            let is_few = self.selection.is_some() && self.passing <= few;
            return Some(if is_few { Plan::Exhaustive } else { Plan::Walk { beam } });
        }
        query.share.map(|share| self.scan(share, SHARE_CONFIDENCE))
    }

    /// A scan that nothing was measured for.
    fn scan(&self, share: f64, confidence: f32) -> Plan {
        let keep = SCAN_KEEP.saturating_mul(self.wanted).min(self.faces);
        Plan::Scan { share, keep, confidence }
    }

    /// The cheapest plan that keeps the hit rate, and what it takes, about, where that is known.
    fn cheapest(&self) -> (Plan, f64) {
        let query = self.request.query;
        let by_vectors = (Plan::Exhaustive, passing_microseconds(self.passing));
        let hit_rate = query.hit_rate.unwrap_or(DEFAULT_HIT_RATE);
        if self.passing <= FEW || hit_rate >= 1.0 {
            return by_vectors;
        }
        // Nothing was measured for so many; a scan that allows for nearly any error serves them.
        if !self.is_measured() {
            let scan = (self.scan(1.0, SCAN_CONFIDENCE), f64::INFINITY);
            return if hit_rate <= SCAN_HOLDS { scan } else { by_vectors };
        }
        let Some(promise) = &self.gallery.catalogue().promise else { return by_vectors };
        let (filtered, faces) = (self.selection.is_some(), self.faces as u64);
        let rung = match (query.at_least, self.wanted) {
            (Some(at_least), usize::MAX) => promise.range(at_least, hit_rate, filtered, faces),
            (_, wanted) => promise.plan(wanted, hit_rate, filtered, faces),
        };
        let rung = rung.map(|rung| (rung.plan, rung.microseconds(faces)));
        // Where few of many pass, their vectors cost less than the sketches of all.
        rung.filter(|(_, cost)| !filtered || *cost < by_vectors.1).unwrap_or(by_vectors)
    }

    /// Whether plans were measured for so many faces, or for such a threshold. A gallery that was
    /// never measured scores every face, which needs no measuring.
    fn is_measured(&self) -> bool {
        let promise = self.gallery.catalogue().promise.as_ref();
        match (self.request.query.at_least, self.wanted) {
            (Some(at_least), usize::MAX) => promise.is_none_or(|known| known.covers(at_least)),
            (_, wanted) => wanted <= MOST_PROMISED,
        }
    }

    /// Candidates to end with: no fewer than are wanted, or were where the plan was measured, and one
    /// more where the face searched for is among them.
    pub(super) fn keep(&self, least: usize) -> usize {
        let wanted = if self.wanted == usize::MAX { 0 } else { self.measured };
        least.max(wanted.saturating_add(self.itself())).min(self.faces.max(1))
    }

    /// The beam it takes to keep this many that pass.
    pub(super) fn width(&self, keep: usize) -> usize {
        let share = self.passing.max(1) as f64 / self.faces.max(1) as f64;
        ((keep as f64 / share) as usize).clamp(keep, self.faces.max(keep))
    }

    /// The width by codes that finds what this width would by vectors.
    pub(super) fn slack(&self, width: usize) -> usize {
        let rough = self.codes.shape.bits() == 1;
        let wide = width.saturating_mul(ROUGH.0).saturating_add(ROUGH.1);
        if rough { wide.min(self.faces.max(width)) } else { width }
    }

    /// The plan after one that left the question open.
    pub(super) fn wider(&self, plan: Plan) -> Plan {
        match plan {
            // Links led to ever more matches: so many are cheaper found by a scan.
            Plan::Walk { .. } | Plan::Scan { .. }
                if self.range(0).is_some() && !plan.is_whole_scan() =>
            {
                Plan::Scan { share: 1.0, keep: self.faces, confidence: SCAN_CONFIDENCE }
            }
            Plan::Walk { beam } => {
                let beam = self.keep(beam).saturating_mul(WIDEN);
                if self.width(beam) < self.faces / WIDEN {
                    Plan::Walk { beam }
                } else {
                    Plan::Exhaustive
                }
            }
            Plan::Scan { share, keep, confidence } => {
                let share = (share * WIDEN as f64).min(1.0);
                let keep = keep.saturating_mul(WIDEN * WIDEN);
                if keep < self.faces / WIDEN {
                    Plan::Scan { share, keep, confidence }
                } else {
                    Plan::Exhaustive
                }
            }
            Plan::WalkThenScan { keep, confidence, .. } => {
                self.wider(Plan::Scan { share: 1.0, keep, confidence })
            }
            Plan::Exhaustive => Plan::Exhaustive,
        }
    }

    /// What a scan keeps.
    pub(super) fn sieve(&self, plan: Plan) -> Sieve {
        let (keep, confidence) = match plan {
            Plan::Scan { keep, confidence, .. } | Plan::WalkThenScan { keep, confidence, .. } => {
                (keep, confidence)
            }
            _ => (SCAN_KEEP, SCAN_CONFIDENCE),
        };
        let at_least = self.request.query.at_least.unwrap_or(f32::NEG_INFINITY);
        let keep = match self.wanted {
            usize::MAX => usize::MAX,
            _ => self.keep(keep),
        };
        let is_cut = self.request.query.at_least.is_some() && self.wanted != usize::MAX;
        let sure = confidence.max(if is_cut { CUT_SURE } else { LEAST_SURE });
        Sieve { keep, at_least, confidence, sure }
    }

    /// How many to keep of a first pass over all faces.
    pub(super) fn first_keep(&self) -> usize {
        self.wanted.saturating_add(self.itself())
    }
}
