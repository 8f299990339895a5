//! The plots of docs/benchmarks.md: which column of which table each draws.

use crate::document::plot::Plot;

/// All of them.
pub(super) const PLOTS: [Plot; 8] = [
    Plot {
        name: "concurrency",
        part: "tasks",
        table: "tasks",
        column: "tasks",
        title: "No-op tasks a second, by how many run at once",
    },
    Plot {
        name: "concurrency-cost",
        part: "tasks",
        table: "tasks",
        column: "processor time: node and its processes",
        title: "Processor time of a no-op task, by how many run at once",
    },
    Plot {
        name: "size",
        part: "storage",
        table: "throughput",
        column: "time",
        title: "Time to copy an artifact, by its size",
    },
    Plot {
        name: "size-memory",
        part: "storage",
        table: "throughput",
        column: "peak memory",
        title: "Peak memory of a node that copies an artifact, by its size",
    },
    Plot {
        name: "inputs",
        part: "inputs",
        table: "inputs",
        column: "time",
        title: "Time of a task, by how many inputs it has",
    },
    Plot {
        name: "runners",
        part: "runners",
        table: "start",
        column: "to the first request for work",
        title: "Start of a node, by how many runners it has",
    },
    Plot {
        name: "runners-memory",
        part: "runners",
        table: "start",
        column: "resident memory of the node",
        title: "Resident memory of an idle node, by how many runners it has",
    },
    Plot {
        name: "restart",
        part: "fleet",
        table: "restart",
        column: "calls",
        title: "Calls that 1,000 nodes make after a common restart, by second",
    },
];
