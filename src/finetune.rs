//! Tilting a prior towards a reward.
