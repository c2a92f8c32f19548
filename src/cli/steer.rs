//! `seqtilt steer`
#[cfg(test)]
mod floor;
