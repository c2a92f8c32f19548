//! Path log-ratios and gradients against independent computations, in f64.

mod adjoint;
mod anchored;
mod balance;
mod escort;
mod estimators;
mod fixture;
mod gradient;
mod guesses;
mod joined;
mod kept;
mod passes;
mod paths;
mod renoised;
mod replayed;
mod soft_q;
mod tilt_matching;
mod tokens;
mod transfers;
