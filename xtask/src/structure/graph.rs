//! Dependencies between files or modules, and the circles in them.

use std::collections::{BTreeMap, BTreeSet};

/// The number of a file or module.
pub(crate) type Node = usize;

/// Which node depends on which, and the reasons.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    edges: BTreeMap<Node, BTreeMap<Node, BTreeSet<String>>>,
}

impl Graph {
    /// Adds that `from` depends on `to` because of `reason`. A node's dependency on itself is none.
    pub(crate) fn add(&mut self, from: Node, to: Node, reason: &str) {
        if from != to {
            self.edges.entry(from).or_default().entry(to).or_default().insert(reason.to_owned());
        }
    }

    /// All dependencies, with their reasons.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Node, Node, &BTreeSet<String>)> {
        self.edges.iter().flat_map(|(from, to)| to.iter().map(|(to, reasons)| (*from, *to, reasons)))
    }

    /// The largest sets of nodes in which each depends on each, directly or through others.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<Node>> {
        let reached: BTreeMap<Node, BTreeSet<Node>> =
            self.edges.keys().map(|from| (*from, self.reached(*from))).collect();
        let reaches = |from: &Node, to: &Node| reached.get(from).is_some_and(|nodes| nodes.contains(to));
        let mut circles: Vec<BTreeSet<Node>> = Vec::new();
        for (node, nodes) in &reached {
            if reaches(node, node) && !circles.iter().any(|circle| circle.contains(node)) {
                circles.push(nodes.iter().filter(|other| reaches(other, node)).copied().collect());
            }
        }
        circles
    }

    /// The dependencies between the nodes of `circle`, with their reasons.
    pub(crate) fn within(
        &self,
        circle: &BTreeSet<Node>,
    ) -> impl Iterator<Item = (Node, Node, &BTreeSet<String>)> {
        self.all().filter(|(from, to, _)| circle.contains(from) && circle.contains(to))
    }

    /// All nodes that `start` depends on, directly or through others; itself only if a circle leads there.
    fn reached(&self, start: Node) -> BTreeSet<Node> {
        let mut reached = BTreeSet::new();
        let mut open = vec![start];
        while let Some(node) = open.pop() {
            let next = self.edges.get(&node).into_iter().flat_map(BTreeMap::keys);
            open.extend(next.filter(|node| reached.insert(**node)));
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(Node, Node)]) -> Graph {
        let mut graph = Graph::default();
        edges.iter().for_each(|(from, to)| graph.add(*from, *to, "x"));
        graph
    }

    #[test]
    fn two_circles_are_two_and_what_leads_into_one_is_in_none() {
        let graph = graph(&[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4), (5, 6), (6, 5), (7, 7)]);
        assert_eq!(graph.circles(), [BTreeSet::from([1, 2, 3]), BTreeSet::from([5, 6])]);
    }

    #[test]
    fn several_ways_down_are_no_circle() {
        assert!(graph(&[(0, 1), (0, 2), (1, 3), (2, 3)]).circles().is_empty());
    }

    #[test]
    fn only_what_is_within_a_circle_is_shown_of_it() {
        let graph = graph(&[(0, 1), (1, 0), (1, 2), (3, 0)]);
        let shown: Vec<_> = graph.within(&BTreeSet::from([0, 1])).map(|(from, to, _)| (from, to)).collect();
        assert_eq!(shown, [(0, 1), (1, 0)]);
    }
}
