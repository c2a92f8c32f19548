//! The generators and their tilts against closed forms and printed numbers.

mod vectors;
