//! Numbers of two sides, side by side.

use crate::side::Side;
use candle_core::{Device, Tensor};
use seqtilt::Result;
use seqtilt::nn::{Gradients, Precision, read};
use std::fmt;

/// What one side computed, by name.
#[derive(Default)]
pub(crate) struct Numbers {
    values: Vec<(String, Vec<f64>)>,
    gradients: Vec<(String, Vec<f64>)>,
    /// Reads from the device in the last step, where that is counted.
    pub(crate) reads: Option<usize>,
}

impl Numbers {
    pub(crate) fn value(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        self.values.push((name.to_owned(), read(&[tensor])?.concat()));
        Ok(())
    }

    pub(crate) fn figure(&mut self, name: &str, value: f64) {
        self.values.push((name.to_owned(), vec![value]));
    }

    pub(crate) fn gradient(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        self.gradients.push((name.to_owned(), read(&[tensor])?.concat()));
        Ok(())
    }

    pub(crate) fn all(&mut self, gradients: &Gradients) -> Result<()> {
        gradients.check_complete()?;
        for (name, tensor) in gradients.iter() {
            if let Some(tensor) = tensor {
                self.gradient(name, tensor)?;
            }
        }
        Ok(())
    }
}

/// The largest difference in any tensor, as a share of that tensor's largest number; infinite where something is missing.
fn apart(ours: &[(String, Vec<f64>)], theirs: &[(String, Vec<f64>)]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let mut worst = 0.0_f64;
    for ((name, ours), (other, theirs)) in ours.iter().zip(theirs) {
        let size = theirs.iter().fold(0.0_f64, |most, x| most.max(x.abs())).max(1e-30);
        let difference = ours
            .iter()
            .zip(theirs)
            .fold(0.0_f64, |most, (a, b)| if (a - b).is_finite() { most.max((a - b).abs()) } else { f64::INFINITY });
        if name != other || ours.len() != theirs.len() || theirs.is_empty() {
            return f64::INFINITY;
        }
        worst = worst.max(difference / size);
    }
    worst
}

/// How much deeper than one layer something is: tolerances grow with it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Depth {
    Layer,
    /// A whole network, a chain of them, or a few updates.
    Network,
}

/// Differences of values and of gradients that are accepted from a precision.
const fn accepted(precision: Precision, depth: Depth) -> (f64, f64) {
    match (precision, depth) {
        (Precision::F32, Depth::Layer) => (1e-5, 2e-5),
        (Precision::F32, Depth::Network) => (1e-4, 5e-4),
        (Precision::Tf32, Depth::Layer) => (3e-3, 5e-3),
        (Precision::Tf32, Depth::Network) => (2e-2, 5e-2),
        (Precision::Bf16, Depth::Layer) => (3e-2, 5e-2),
        (Precision::Bf16, Depth::Network) => (2e-1, 5e-1),
    }
}

type Work = Box<dyn Fn(&Side) -> Result<Option<Numbers>>>;

/// Something that every side computes; `None` where a side cannot.
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) depth: Depth,
    pub(crate) work: Work,
}

impl Check {
    pub(crate) fn new(name: &str, depth: Depth, work: impl Fn(&Side) -> Result<Option<Numbers>> + 'static) -> Self {
        Self { name: name.to_owned(), depth, work: Box::new(work) }
    }

    fn on(&self, side: &Side) -> Result<Option<Numbers>> {
        side.run(|| (self.work)(side))
    }
}

/// Differences of values and of gradients; nothing where a side cannot compute it.
type Pair = Option<(f64, f64)>;

/// One line of the table.
pub(crate) struct Row {
    name: String,
    /// The CPU's f32 against f64, for scale.
    scale: Pair,
    pairs: Vec<Pair>,
    reads: Option<usize>,
    pub(crate) passed: bool,
    error: Option<String>,
}

impl Row {
    pub(crate) fn head() -> String {
        let pair = |name: &str| format!("{name:<19}");
        let sides = ["cpu f32 - f64", "device f32 - cpu", "tf32 - cpu", "bf16 - cpu"].map(pair).concat();
        let columns = pair("value    gradient").repeat(4);
        let title = "largest relative difference";
        format!("{title:<32}{}\n{:<32}{columns}reads", sides.trim_end(), "")
    }

    pub(crate) fn of(check: &Check, device: &Device) -> Self {
        let mut row =
            Self { name: check.name.clone(), scale: None, pairs: Vec::new(), reads: None, passed: true, error: None };
        if let Err(error) = row.fill(check, device) {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            row.error = Some(format!("{error}: {}", cause.lines().next().unwrap_or_default()));
            row.passed = false;
        }
        row
    }

    fn fill(&mut self, check: &Check, device: &Device) -> Result<()> {
        let Some(cpu) = check.on(&Side::cpu())? else { return Ok(()) };
        let distance = |ours: &Numbers, theirs: &Numbers| {
            (apart(&ours.values, &theirs.values), apart(&ours.gradients, &theirs.gradients))
        };
        self.scale = check.on(&Side::exact())?.map(|exact| distance(&cpu, &exact));
        for precision in Precision::ALL {
            let Some(numbers) = check.on(&Side::tested(device, precision))? else {
                self.pairs.push(None);
                continue;
            };
            let (value, gradient) = distance(&numbers, &cpu);
            let (most_value, most_gradient) = accepted(precision, check.depth);
            self.passed &= value <= most_value && gradient <= most_gradient;
            self.pairs.push(Some((value, gradient)));
            self.reads = numbers.reads.or(self.reads);
        }
        self.passed &= self.reads.is_none_or(|reads| reads == 1);
        Ok(())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32}", self.name)?;
        for pair in std::iter::once(&self.scale).chain(&self.pairs) {
            match pair {
                Some((value, gradient)) => write!(f, "{value:<8.1e} {gradient:<8.1e}  ")?,
                None => write!(f, "{:<19}", "-")?,
            }
        }
        let reads = self.reads.map_or_else(String::new, |reads| reads.to_string());
        write!(f, "{reads:<5}  {}", if self.passed { "PASS" } else { "FAIL" })?;
        if let Some(error) = &self.error {
            write!(f, "  {error}")?;
        }
        Ok(())
    }
}
