//! Tests of the module as a whole, and the tenant that its other tests script.

mod simulated;
pub mod testing;
