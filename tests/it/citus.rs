//! On a cluster of several machines, where ABACUS_TEST_CITUS_URL names one (docs/SCALE.md); else each is passed over, and says so.

mod distributing;
mod losing_a_worker;
mod serving;
