//! How good a set of sequences is: reward, divergence, diversity, novelty, naturalness, and exact tilts.
