//! The generators and their tilts against closed forms and printed numbers.

mod adversarial;
mod bounds;
mod doob;
mod generators;
mod paths;
mod vectors;

use super::{DIVERGENCES, DivergenceKind};

/// Every generator, and several orders.
fn kinds() -> Vec<DivergenceKind> {
    let plain = DIVERGENCES.names().filter(|name| *name != "order").map(str::to_owned);
    let orders = [-5.0, -1.0, -0.01, 0.01, 0.5, 0.99, 1.01, 1.5, 3.0, 5.0].map(|a| format!("order:{a}"));
    plain.chain(orders).map(|name| name.parse().unwrap()).collect()
}
