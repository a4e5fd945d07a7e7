//! The store in this process, on the test's own disk: every single operation of the disk can be the one that fails.

mod steps;
mod cuts;
mod faults;
mod volume;
