//! Law by law, then the whole benchmark.
