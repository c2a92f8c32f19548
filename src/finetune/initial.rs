//! A learned law of the initial state.
//!
//! A control that starts from the base's initial law ν₀ cannot reach the tilt of a chain whose end remembers its start; with the
//! initial law
//!
//! ```text
//! ν*(x) ∝ ν₀(x) e^{v₀(x)/α},     v₀(x) = α log E[e^{r(x_K)/α} | x_0 = x]
//! ```
//! it does (ELEGANT: Uehara et al. 2024, arXiv 2402.15194). ν* is sampled by a second chain, the [`Lead`], that walks from a fixed
//! point to ν₀ and is controlled towards the value v₀: since it starts at a point, nothing is biased there. [`Joined`] puts it
//! before the main chain, so that all of the method is controls of one longer chain, whose path divergence
//! `α (KL(lead) + KL(main))` counts the initial law in full. Halving the lead's share, as a penalty `α/2 (∫|u|²/σ² + log ν/ν₀)`
//! would, leads to `ν₀ e^{2 v₀/α}` instead.
//!
//! [`Elegant`] trains it in stages (value, lead, main), all at once, or with a frozen start for comparison ([`Route`]).

mod config;
mod cost;
mod joined;
mod lead;
mod network;
mod pairs;
mod plan;
mod regression;
mod stage;
mod staged;
mod training;
mod value;

pub use config::{INITIAL_ROUTES, InitialConfig, Route, ValueConfig};
pub use cost::StartCost;
pub use joined::{Delayed, Joined};
pub use lead::Lead;
pub use network::StateControl;
pub use pairs::Pairs;
pub use plan::{Form, Forms};
pub use regression::{Regression, ValueLoss};
pub use staged::Staged;
pub use training::Elegant;
pub use value::{Scale, ValueFunction};

#[cfg(test)]
mod tests;
