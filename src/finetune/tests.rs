//! Path log-ratios and gradients against independent computations, in f64.

mod estimators;
mod fixture;
mod gradient;
mod joined;
mod kept;
mod paths;
mod tokens;
mod transfers;
