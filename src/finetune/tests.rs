//! Path log-ratios and gradients against independent computations, in f64.

mod estimators;
mod fixture;
mod gradient;
mod joined;
mod paths;
mod tokens;
mod transfers;
