//! A floor under in-degrees: every face is linked to by a few others, as far as those have room.
//!
//! Choosing links by diversity leaves faces that hardly anyone links to: outliers, and photos that
//! others of the person stand in for. A walk meets them by luck. Whom such a face links to links
//! back, in place of the least similar face that has links to spare.

use std::collections::HashSet;

use super::Graph;
use crate::Cancel;
use crate::gallery::format::NONE;

/// One part in this many of the degree is the least in-degree.
const PART: usize = 8;
/// Faces between looks at the cancel flag.
const BETWEEN_LOOKS: u32 = 65_536;

/// Links into each face on layer 0; `None` once cancelled.
pub(super) fn in_degrees(graph: &Graph, cancel: &Cancel) -> Option<Vec<u32>> {
    let mut links = vec![0; graph.faces()];
    for lists in graph.layer0.chunks(graph.degree.max(1) * BETWEEN_LOOKS as usize) {
        if cancel.is_cancelled() {
            return None;
        }
        for &to in lists.iter().filter(|&&to| to != NONE) {
            links[to as usize] += 1;
        }
    }
    Some(links)
}

/// The least links into a face.
pub(super) fn least(graph: &Graph) -> u32 {
    (graph.degree / PART).max(1) as u32
}

/// Gives faces on layer 0 that too few link to, but those in `left_out`, more links; `None` once
/// cancelled.
pub(crate) fn lift(graph: &mut Graph, left_out: &HashSet<u32>, cancel: &Cancel) -> Option<()> {
    let (least, mut links) = (least(graph), in_degrees(graph, cancel)?);
    for slot in 0..graph.faces() as u32 {
        if slot.is_multiple_of(BETWEEN_LOOKS) && cancel.is_cancelled() {
            return None;
        }
        if links[slot as usize] >= least || left_out.contains(&slot) {
            continue;
        }
        for host in graph.view().neighbours(slot).to_vec() {
            if links[slot as usize] >= least {
                break;
            }
            let from = host as usize * graph.degree;
            let list = &mut graph.layer0[from..from + graph.degree];
            if list.contains(&slot) {
                continue;
            }
            let free = list.iter().position(|&to| to == NONE);
            let spare = || list.iter().rposition(|&to| links[to as usize] > least);
            let Some(place) = free.or_else(spare) else { continue };
            if list[place] != NONE {
                links[list[place] as usize] -= 1;
            }
            list[place] = slot;
            links[slot as usize] += 1;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_nobody_links_to_gets_links_that_others_can_spare() {
        // All link to 0 and 1; 3 links to both of them and nobody to 3.
        let mut graph = Graph::empty(4, 2, 1);
        graph.layer0 = vec![1, 2, 0, 2, 0, 1, 0, 1];
        lift(&mut graph, &HashSet::new(), &Cancel::new());
        let into = |slot| graph.layer0.iter().filter(|&&to| to == slot).count();
        assert!((0..4).all(|slot| into(slot) >= 1), "{:?}", graph.layer0);
    }

    #[test]
    fn who_is_left_out_stays_out() {
        let mut graph = Graph::empty(3, 2, 1);
        graph.layer0 = vec![1, NONE, 0, NONE, 0, 1];
        let before = graph.clone();
        lift(&mut graph, &HashSet::from([2]), &Cancel::new());
        assert_eq!(graph, before);
    }
}
