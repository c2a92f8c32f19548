//! What a formula is made of, its value and its slopes.

use crate::error::Result;
use candle_core::Tensor;

/// A formula.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Number(f64),
    /// One of the parts, by its place.
    Part(usize),
    Call {
        function: Function,
        arguments: Vec<Term>,
        /// Where it stands, from 1.
        column: usize,
    },
}

/// What can be done with terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
    Min,
    Max,
    Clip,
    Sigmoid,
    Exp,
    Log,
    Sqrt,
    Abs,
    Above,
    Below,
}

/// Functions by name, with the least and the greatest number of arguments.
pub(super) const FUNCTIONS: [(&str, Function, usize, usize); 10] = [
    ("min", Function::Min, 2, usize::MAX),
    ("max", Function::Max, 2, usize::MAX),
    ("clip", Function::Clip, 3, 3),
    ("sigmoid", Function::Sigmoid, 1, 1),
    ("exp", Function::Exp, 1, 1),
    ("log", Function::Log, 1, 1),
    ("sqrt", Function::Sqrt, 1, 1),
    ("abs", Function::Abs, 1, 1),
    ("above", Function::Above, 2, 2),
    ("below", Function::Below, 2, 2),
];

impl Function {
    /// The value, and the slope against each argument; of equals the first has the slope.
    fn at(self, x: &[f64]) -> (f64, Vec<f64>) {
        let only = |index: usize| (0..x.len()).map(|i| f64::from(u8::from(i == index))).collect::<Vec<f64>>();
        let best = |better: fn(f64, f64) -> bool| {
            let index = (1..x.len()).fold(0, |best, i| if better(x[i], x[best]) { i } else { best });
            (x[index], only(index))
        };
        match self {
            Self::Negate => (-x[0], vec![-1.0]),
            Self::Add => (x[0] + x[1], vec![1.0, 1.0]),
            Self::Subtract => (x[0] - x[1], vec![1.0, -1.0]),
            Self::Multiply => (x[0] * x[1], vec![x[1], x[0]]),
            Self::Divide => (x[0] / x[1], vec![1.0 / x[1], -x[0] / (x[1] * x[1])]),
            Self::Min => best(|a, b| a < b),
            Self::Max => best(|a, b| a > b),
            Self::Clip if x[0] > x[2] => (x[2], only(2)),
            Self::Clip if x[0] < x[1] => (x[1], only(1)),
            Self::Clip => (x[0], only(0)),
            Self::Sigmoid => {
                let value = 0.5 * (1.0 + (0.5 * x[0]).tanh());
                (value, vec![value * (1.0 - value)])
            }
            Self::Exp => (x[0].exp(), vec![x[0].exp()]),
            Self::Log => (x[0].ln(), vec![1.0 / x[0]]),
            Self::Sqrt => (x[0].sqrt(), vec![0.5 / x[0].sqrt()]),
            Self::Abs => (x[0].abs(), vec![if x[0] < 0.0 { -1.0 } else { 1.0 }]),
            Self::Above => (f64::from(u8::from(x[0] >= x[1])), vec![0.0, 0.0]),
            Self::Below => (f64::from(u8::from(x[0] <= x[1])), vec![0.0, 0.0]),
        }
    }

    /// The same of tensors (B,).
    fn tensor(self, x: &[Tensor]) -> candle_core::Result<Tensor> {
        let fold = |one: fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>| {
            x[1..].iter().try_fold(x[0].clone(), |all, next| one(&all, next))
        };
        match self {
            Self::Negate => x[0].neg(),
            Self::Add => &x[0] + &x[1],
            Self::Subtract => &x[0] - &x[1],
            Self::Multiply => &x[0] * &x[1],
            Self::Divide => &x[0] / &x[1],
            Self::Min => fold(|a, b| a.minimum(b)),
            Self::Max => fold(|a, b| a.maximum(b)),
            Self::Clip => x[0].maximum(&x[1])?.minimum(&x[2]),
            // no exponential that could overflow
            Self::Sigmoid => (&x[0] * 0.5)?.tanh()?.affine(0.5, 0.5),
            Self::Exp => x[0].exp(),
            Self::Log => x[0].log(),
            Self::Sqrt => x[0].sqrt(),
            Self::Abs => x[0].abs(),
            Self::Above => x[0].ge(&x[1])?.to_dtype(x[0].dtype()),
            Self::Below => x[0].le(&x[1])?.to_dtype(x[0].dtype()),
        }
    }
}

impl Term {
    /// The value at the values of the parts, and its slope against each.
    pub(super) fn at(&self, parts: &[f64]) -> (f64, Vec<f64>) {
        match self {
            Self::Number(number) => (*number, vec![0.0; parts.len()]),
            Self::Part(index) => (parts[*index], (0..parts.len()).map(|i| f64::from(u8::from(i == *index))).collect()),
            Self::Call { function, arguments, .. } => {
                let (values, slopes): (Vec<f64>, Vec<Vec<f64>>) =
                    arguments.iter().map(|argument| argument.at(parts)).unzip();
                let (value, outer) = function.at(&values);
                let mut slope = vec![0.0; parts.len()];
                // what does not count has no slope, even where its own is infinite
                for (outer, inner) in outer.iter().zip(&slopes).filter(|(outer, _)| **outer != 0.0) {
                    slope.iter_mut().zip(inner).filter(|(_, i)| **i != 0.0).for_each(|(s, i)| *s += outer * i);
                }
                (value, slope)
            }
        }
    }

    /// The value at tensors of the parts, (B,) each.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn tensor(&self, parts: &[Tensor]) -> Result<Tensor> {
        Ok(match self {
            Self::Number(number) => parts[0].zeros_like()?.affine(1.0, *number)?,
            Self::Part(index) => parts[*index].clone(),
            Self::Call { function, arguments, .. } => {
                let values = arguments.iter().map(|argument| argument.tensor(parts)).collect::<Result<Vec<_>>>()?;
                function.tensor(&values)?
            }
        })
    }

    /// Name and column of a function without a slope.
    pub(super) fn threshold(&self) -> Option<(&'static str, usize)> {
        let Self::Call { function, arguments, column } = self else { return None };
        match function {
            Function::Above => Some(("above", *column)),
            Function::Below => Some(("below", *column)),
            _ => arguments.iter().find_map(Self::threshold),
        }
    }

    /// Whether a part is read anywhere.
    pub(super) fn reads(&self, part: usize) -> bool {
        match self {
            Self::Number(_) => false,
            Self::Part(index) => *index == part,
            Self::Call { arguments, .. } => arguments.iter().any(|argument| argument.reads(part)),
        }
    }
}
