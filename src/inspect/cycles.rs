//! Cycles among the sleeps of a report.
//!
//! The wait-for graph refuses a wait that closes a cycle of waits without a limit. A wait with a token is not
//! in it, since the token may end it; if nobody uses the token, the cycle hangs all the same. So a report
//! looks for cycles among all sleeps that no time ends.
//!
//! The rules are those of the [graph](crate::wait::graph): all waits start as stuck, and a wait that needs
//! any one of several threads is not stuck if one of them is not, a wait that needs all of them only if none
//! is. A program with a hang may have ten thousand sleepers, so each wait is looked at again only when a
//! thread that it waits for has turned out not to be stuck.

use std::collections::HashMap;

use crate::wait::graph::Needs;

/// A sleep, as the search sees it.
pub(super) struct Node<'a> {
    /// The thread that sleeps, by its number in the wait-for graph.
    pub(super) thread: usize,
    pub(super) needs: Needs,
    /// The threads that can bring what it waits for.
    pub(super) providers: &'a [usize],
}

/// Returns cycles among the nodes: in each, a node waits for the next, and the last for the first. No node is
/// in two of them; of cycles that share a node, one is found.
pub(super) fn find(nodes: &[Node<'_>]) -> Vec<Vec<usize>> {
    let at: HashMap<usize, usize> =
        nodes.iter().enumerate().map(|(index, node)| (node.thread, index)).collect();
    let stuck = stuck(nodes, &at);
    let mut visited = vec![false; nodes.len()];
    let mut cycles = Vec::new();
    for start in 0..nodes.len() {
        let mut path = Vec::new();
        let mut next = stuck[start].then_some(start);
        // Follows one stuck provider of each node. Every stuck node has one, so the path ends only where it
        // meets itself, which is a cycle, or an earlier path.
        while let Some(node) = next.filter(|node| !visited[*node]) {
            visited[node] = true;
            path.push(node);
            let mut providers = nodes[node].providers.iter().filter_map(|thread| at.get(thread).copied());
            next = providers.find(|provider| stuck[*provider]);
        }
        if let Some(first) = path.iter().position(|node| Some(*node) == next) {
            cycles.push(path.split_off(first));
        }
    }
    cycles
}

/// Says of each node whether it could never continue.
fn stuck(nodes: &[Node<'_>], at: &HashMap<usize, usize>) -> Vec<bool> {
    let mut stuck = vec![true; nodes.len()];
    // The nodes that wait for each node.
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for provider in node.providers.iter().filter_map(|thread| at.get(thread)) {
            waiting[*provider].push(index);
        }
    }
    let mut unsure: Vec<usize> = (0..nodes.len()).collect();
    while let Some(index) = unsure.pop() {
        // A thread without a node is awake, or wakes up by itself.
        let is_stuck = |thread: &usize| at.get(thread).is_some_and(|provider| stuck[*provider]);
        let node = &nodes[index];
        let stays = match node.needs {
            Needs::Nobody => false,
            Needs::One => !node.providers.is_empty() && node.providers.iter().all(is_stuck),
            Needs::All => node.providers.iter().any(is_stuck),
        };
        if stuck[index] && !stays {
            stuck[index] = false;
            unsure.extend(&waiting[index]);
        }
    }
    stuck
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles_of(waits: &[(usize, Needs, &[usize])]) -> Vec<Vec<usize>> {
        let node = |(thread, needs, providers): &(usize, Needs, &'static [usize])| Node {
            thread: *thread,
            needs: *needs,
            providers,
        };
        let waits: Vec<(usize, Needs, &'static [usize])> = waits
            .iter()
            .map(|(thread, needs, providers)| (*thread, *needs, &*Vec::leak(providers.to_vec())))
            .collect();
        find(&waits.iter().map(node).collect::<Vec<_>>())
    }

    #[test]
    fn wait_for_any_of_several_is_stuck_only_if_all_of_them_are() {
        use Needs::{All, One};
        assert_eq!(cycles_of(&[(1, One, &[2]), (2, One, &[1])]), [[0, 1]]);
        // Thread 3 is awake.
        assert!(cycles_of(&[(1, One, &[2]), (2, One, &[1, 3])]).is_empty());
        assert_eq!(cycles_of(&[(1, One, &[2]), (2, All, &[1, 3])]), [[0, 1]]);
        assert_eq!(cycles_of(&[(1, All, &[1])]), [[0]]);
    }

    #[test]
    fn waiter_of_a_cycle_is_not_in_it_and_each_cycle_is_told_once() {
        use Needs::{Nobody, One};
        let waits: [(usize, Needs, &[usize]); 6] = [
            (1, One, &[2]),
            (2, One, &[3]),
            (3, One, &[2]),
            (4, One, &[5]),
            (5, One, &[4]),
            (6, Nobody, &[]),
        ];
        assert_eq!(cycles_of(&waits), [vec![1, 2], vec![3, 4]]);
    }

    #[test]
    fn ten_thousand_waits_in_a_row_are_looked_at_once_each() {
        let threads: Vec<usize> = (1..=10_001).collect();
        let nodes: Vec<Node<'_>> = (1..=10_000)
            .map(|thread| Node {
                thread,
                needs: Needs::One,
                providers: std::slice::from_ref(&threads[thread]),
            })
            .collect();
        // The last waits for a thread that is awake, so none is stuck. A search that looked at all of them
        // again for each would take minutes.
        assert!(find(&nodes).is_empty());
    }
}
