//! livemesh: one program, the roles of a node chosen by configuration.
fn main() {}
