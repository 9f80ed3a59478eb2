//! What is said about figures, in the table and in the report alike.

use lookalike::evaluate::{Group, Identification, Operating};

use crate::cli::grouped;

/// People below which an interval is rough.
const FEW: usize = 30;

/// `: 100 mated probes of 100 people, 20 non-mated of 20`.
pub(crate) fn sample(figures: &Identification) -> String {
    let (mated, others) = (figures.mated, figures.non_mated);
    if mated.probes + others.probes == 0 {
        return String::new();
    }
    let number = |number: usize| grouped(number as u64);
    format!(
        ": {} mated probes of {} people, {} non-mated of {}",
        number(mated.probes),
        number(mated.people),
        number(others.probes),
        number(others.people)
    )
}

/// The ranks of a CMC that are worth a line: 1, 5, 10, 50, and the last.
pub(crate) fn ranks(figures: &Identification) -> Vec<usize> {
    let last = figures.cmc.len();
    let mut ranks: Vec<usize> = [1, 5, 10, 50].into_iter().filter(|&rank| rank < last).collect();
    ranks.extend((last > 0).then_some(last));
    ranks
}

/// Which threshold is meant.
pub(crate) fn operating(at: &Operating) -> String {
    match at.asked_fpir {
        Some(fpir) => format!("at FPIR {fpir}"),
        None => "at no false positive".to_owned(),
    }
}

/// The same as a label in a picture.
pub(crate) fn short(at: &Operating) -> String {
    at.asked_fpir.map_or_else(|| "no false positive".to_owned(), |fpir| format!("FPIR {fpir}"))
}

/// What the sample is too small to show.
pub(crate) fn cautions(figures: &Identification, groups: &[Group]) -> Vec<String> {
    let mut cautions = Vec::new();
    let (mated, others) = (figures.mated, figures.non_mated);
    if mated.probes + others.probes == 0 {
        return cautions;
    }
    let number = |number: usize| grouped(number as u64);
    let without = figures.open_set.iter().filter(|at| at.threshold.is_none());
    let too_few: Vec<String> = without
        .filter_map(|at| {
            Some(format!("{} (which takes about {})", at.asked_fpir?, number(at.people_needed)))
        })
        .collect();
    if !too_few.is_empty() {
        let people = number(others.people);
        cautions.push(format!(
            "{people} non-mated people are too few for FNIR at an FPIR of {}. If none of them is \
             answered with somebody, FPIR is below {} with a probability of 95 % (rule of three): \
             more cannot be said.",
            too_few.join(", "),
            rate((3.0 / others.people.max(1) as f64).min(1.0))
        ));
    }
    if others.probes == 0 {
        cautions.push("No non-mated probes: nothing can be said about FPIR and FNIR.".to_owned());
    } else if others.people < FEW {
        cautions.push(few("non-mated", others.people));
    }
    if mated.probes == 0 {
        cautions.push("No mated probes: nothing can be said about who is found.".to_owned());
    } else if mated.people < FEW {
        cautions.push(few("mated", mated.people));
    }
    let small: Vec<String> = groups
        .iter()
        .filter(|group| {
            let of = &group.identification;
            of.mated.people.min(of.non_mated.people) < FEW
        })
        .map(|group| value(group).to_owned())
        .collect();
    if !small.is_empty() {
        cautions.push(format!(
            "Groups with fewer than {FEW} mated or {FEW} non-mated people, whose intervals are rough: {}.",
            small.join(", ")
        ));
    }
    cautions
}

/// What a group has in common.
pub(crate) fn value(group: &Group) -> &str {
    group.value.as_deref().unwrap_or("not known")
}

fn few(kind: &str, people: usize) -> String {
    let people = grouped(people as u64);
    format!("Fewer than {FEW} {kind} people ({people}): intervals are rough.")
}

/// A rate with as many digits as it takes.
pub(crate) fn rate(rate: f64) -> String {
    if rate >= 0.01 { format!("{rate:.3}") } else { format!("{rate:.2e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rates_are_not_nought() {
        assert_eq!([0.15, 0.00123].map(rate), ["0.150", "1.23e-3"]);
    }
}
