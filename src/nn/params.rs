//! Named parameters: where layers get their weights from.

use crate::error::{Error, Result};
use crate::random::Seed;
use candle_core::{DType, Device, Shape, Tensor, Var};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tensors by parameter name.
pub type Tensors = BTreeMap<String, Tensor>;

/// How a parameter that does not exist yet is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// 0 everywhere.
    Zeros,
    /// 1 everywhere.
    Ones,
    /// One number everywhere.
    Const(f64),
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform in (−h, h) for this half-width h.
    Uniform(f64),
    /// Uniform in (−h, h) with h = 1/√n, where n is the last dimension of the shape.
    FanIn,
}

/// A store of named parameters and a path inside it; cheap to clone.
///
/// A layer asks for its weights by name with [`Params::get`]. Whether they are drawn, loaded or frozen is decided by
/// whoever made the store. Drawn values depend on the seed and the full name only, never on the order of requests.
///
/// ```
/// use candle_core::{DType, Device};
/// use seqtilt::{Seed, nn::{Init, Params}};
/// # fn main() -> seqtilt::Result<()> {
/// let params = Params::trainable(Seed::root(1), DType::F32, &Device::Cpu);
/// params.child("head").get("weight", (2, 3), Init::FanIn)?;
/// assert_eq!(params.vars()[0].0, "head.weight");
/// assert_eq!(params.count(), 6);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Params {
    store: Arc<Store>,
    path: String,
}

#[derive(Debug)]
struct Store {
    source: Source,
    dtype: DType,
    device: Device,
}

#[derive(Debug)]
enum Source {
    Drawn { seed: Seed, vars: Mutex<BTreeMap<String, Var>> },
    Given { tensors: Tensors, vars: Mutex<BTreeMap<String, Var>> },
    Frozen(Tensors),
}

impl Params {
    /// Trainable parameters, each drawn from `seed.child(full name)` at its first request.
    #[must_use]
    pub fn trainable(seed: Seed, dtype: DType, device: &Device) -> Self {
        Self::new(Source::Drawn { seed, vars: Mutex::default() }, dtype, device)
    }

    /// Trainable parameters that start at these values; a name that is not among them is an error at its request.
    #[must_use]
    pub fn trainable_from(tensors: Tensors, device: &Device) -> Self {
        let dtype = common_dtype(&tensors);
        Self::new(Source::Given { tensors, vars: Mutex::default() }, dtype, device)
    }

    /// Parameters that get no gradient.
    #[must_use]
    pub fn frozen(tensors: Tensors, device: &Device) -> Self {
        let dtype = common_dtype(&tensors);
        Self::new(Source::Frozen(tensors), dtype, device)
    }

    fn new(source: Source, dtype: DType, device: &Device) -> Self {
        Self { store: Arc::new(Store { source, dtype, device: device.clone() }), path: String::new() }
    }

    /// The handle one level down: names become `path.name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { store: Arc::clone(&self.store), path: self.full_name(name) }
    }

    /// The parameter of this name below the handle's path, made at the first request.
    ///
    /// # Errors
    /// An integrity error when the stored tensor has another shape, or when the store was loaded and lacks the name.
    pub fn get(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Tensor> {
        let (name, shape) = (self.full_name(name), shape.into());
        let tensor = match &self.store.source {
            Source::Drawn { seed, vars } => {
                let mut vars = lock(vars);
                if let Some(var) = vars.get(&name) {
                    var.as_tensor().clone()
                } else {
                    let drawn = draw(seed.child(&name), &shape, init, self.store.dtype, &self.store.device)?;
                    let var = Var::from_tensor(&drawn)?;
                    let tensor = var.as_tensor().clone();
                    vars.insert(name.clone(), var);
                    tensor
                }
            }
            Source::Given { tensors, vars } => {
                let mut vars = lock(vars);
                if let Some(var) = vars.get(&name) {
                    var.as_tensor().clone()
                } else {
                    let given = tensors.get(&name).ok_or_else(|| unknown(&name, tensors))?;
                    check_shape(&name, given, &shape)?;
                    let var = Var::from_tensor(&deep_copy(given, &self.store.device)?)?;
                    let tensor = var.as_tensor().clone();
                    vars.insert(name.clone(), var);
                    tensor
                }
            }
            Source::Frozen(tensors) => {
                let given = tensors.get(&name).ok_or_else(|| unknown(&name, tensors))?;
                given.detach().to_device(&self.store.device)?.contiguous()?
            }
        };
        check_shape(&name, &tensor, &shape)?;
        Ok(tensor)
    }

    /// The trainable parameters requested so far at and below the handle's path, sorted by full name.
    #[must_use]
    pub fn vars(&self) -> Vec<(String, Var)> {
        match &self.store.source {
            Source::Drawn { vars, .. } | Source::Given { vars, .. } => lock(vars)
                .iter()
                .filter(|(name, _)| self.covers(name))
                .map(|(name, var)| (name.clone(), var.clone()))
                .collect(),
            Source::Frozen(_) => Vec::new(),
        }
    }

    /// Deep copies of the parameters at and below the handle's path, by full name: those requested so far, or all
    /// of them when the store is frozen.
    ///
    /// # Errors
    /// When a copy fails.
    pub fn snapshot(&self) -> Result<Tensors> {
        match &self.store.source {
            Source::Frozen(tensors) => tensors
                .iter()
                .filter(|(name, _)| self.covers(name))
                .map(|(name, tensor)| Ok((name.clone(), deep_copy(tensor, &self.store.device)?)))
                .collect(),
            Source::Drawn { .. } | Source::Given { .. } => self
                .vars()
                .into_iter()
                .map(|(name, var)| Ok((name, deep_copy(var.as_tensor(), &self.store.device)?)))
                .collect(),
        }
    }

    /// Sets every trainable parameter at and below the handle's path from a snapshot of the same names and shapes.
    ///
    /// # Errors
    /// An integrity error when the names or shapes differ; no parameter is changed then.
    pub fn restore(&self, tensors: &Tensors) -> Result<()> {
        if let Source::Frozen(_) = self.store.source {
            return Err(Error::integrity("frozen parameters cannot be restored; only trainable ones are accepted"));
        }
        let vars = self.vars();
        for (name, var) in &vars {
            let tensor = tensors.get(name).ok_or_else(|| unknown(name, tensors))?;
            check_shape(name, tensor, var.shape())?;
        }
        if let Some(extra) = tensors.keys().find(|name| !vars.iter().any(|(known, _)| known == *name)) {
            return Err(Error::integrity(format!(
                "snapshot has parameter `{extra}`, which is not among the {} of this model",
                vars.len()
            )));
        }
        for (name, var) in &vars {
            if let Some(tensor) = tensors.get(name) {
                var.set(&deep_copy(&tensor.to_dtype(var.dtype())?, &self.store.device)?)?;
            }
        }
        Ok(())
    }

    /// The type of the numbers.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.store.dtype
    }

    /// Where the parameters live.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.store.device
    }

    /// How many numbers [`Params::snapshot`] holds.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.store.source {
            Source::Frozen(tensors) => {
                tensors.iter().filter(|(name, _)| self.covers(name)).map(|(_, tensor)| tensor.elem_count()).sum()
            }
            Source::Drawn { .. } | Source::Given { .. } => self.vars().iter().map(|(_, var)| var.elem_count()).sum(),
        }
    }

    fn full_name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn covers(&self, name: &str) -> bool {
        self.path.is_empty()
            || name.strip_prefix(&self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn common_dtype(tensors: &Tensors) -> DType {
    tensors.values().next().map_or(DType::F32, Tensor::dtype)
}

fn deep_copy(tensor: &Tensor, device: &Device) -> Result<Tensor> {
    Ok(tensor.detach().to_device(device)?.contiguous()?.copy()?)
}

fn unknown(name: &str, tensors: &Tensors) -> Error {
    Error::integrity(format!("parameter `{name}` is not among the {} stored ones", tensors.len()))
        .hint("the file belongs to another architecture; check the model's configuration")
}

fn check_shape(name: &str, tensor: &Tensor, expected: &Shape) -> Result<()> {
    if tensor.shape() == expected {
        return Ok(());
    }
    Err(Error::integrity(format!(
        "parameter `{name}` has shape {:?}; {:?} is expected",
        tensor.dims(),
        expected.dims()
    )))
}

fn draw(seed: Seed, shape: &Shape, init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
    let n = shape.elem_count();
    let mut rng = seed.rng();
    let mut uniform = |half: f64| (0..n).map(|_| half * (2.0 * rng.uniform() - 1.0)).collect::<Vec<f64>>();
    let values = match init {
        Init::Zeros => vec![0.0; n],
        Init::Ones => vec![1.0; n],
        Init::Const(value) => vec![value; n],
        Init::Uniform(half) => uniform(half),
        Init::FanIn => uniform(1.0 / (shape.dims().last().copied().unwrap_or(1).max(1) as f64).sqrt()),
        Init::Normal(sd) => (0..n).map(|_| sd * rng.normal()).collect(),
    };
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> Params {
        Params::trainable(Seed::root(seed), DType::F32, &Device::Cpu)
    }

    fn values(params: &Params, name: &str) -> Vec<f32> {
        params.get(name, 5, Init::Normal(1.0)).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn weights_depend_on_seed_and_name_and_not_on_the_order_of_requests() {
        let (one, two) = (drawn(1), drawn(1));
        let first = (values(&one, "a"), values(&one, "b"));
        let (b, a) = (values(&two, "b"), values(&two, "a"));
        assert_eq!(first, (a.clone(), b.clone()));
        assert_ne!(a, b);
        assert_ne!(a, values(&drawn(2), "a"));
    }

    #[test]
    fn a_wrong_shape_names_the_parameter_and_both_shapes() {
        let params = drawn(1);
        params.child("x").get("w", (2, 3), Init::Ones).unwrap();
        let error = params.child("x").get("w", (3, 2), Init::Ones).unwrap_err();
        assert_eq!(error.to_string(), "parameter `x.w` has shape [2, 3]; [3, 2] is expected");
        assert_eq!(error.kind(), crate::Kind::Integrity);
    }

    #[test]
    fn a_loaded_store_has_no_other_names_and_a_frozen_one_no_vars() {
        let params = drawn(1);
        values(&params, "a");
        let snapshot = params.snapshot().unwrap();
        let loaded = Params::trainable_from(snapshot.clone(), &Device::Cpu);
        assert_eq!(values(&loaded, "a"), values(&params, "a"));
        assert_eq!(loaded.get("b", 5, Init::Ones).unwrap_err().kind(), crate::Kind::Integrity);
        let frozen = Params::frozen(snapshot, &Device::Cpu);
        let tensor = frozen.get("a", 5, Init::Ones).unwrap();
        assert!(!tensor.is_variable() && !tensor.track_op() && frozen.vars().is_empty());
        assert_eq!(frozen.count(), 5);
    }

    #[test]
    fn a_snapshot_is_a_deep_copy_and_restores() {
        let params = drawn(1);
        let before = values(&params, "a");
        let snapshot = params.snapshot().unwrap();
        params.vars()[0].1.set(&Tensor::zeros(5, DType::F32, &Device::Cpu).unwrap()).unwrap();
        assert_eq!(values(&params, "a"), [0.0; 5]);
        assert_eq!(snapshot["a"].to_vec1::<f32>().unwrap(), before);
        params.restore(&snapshot).unwrap();
        assert_eq!(values(&params, "a"), before);
        assert!(params.restore(&Tensors::new()).unwrap_err().to_string().contains("`a`"));
    }

    #[test]
    fn a_child_lists_its_own_parameters_only() {
        let params = drawn(1);
        values(&params.child("ab"), "w");
        values(&params.child("a"), "w");
        assert_eq!(params.child("a").vars().len(), 1);
        assert_eq!(params.vars().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a.w", "ab.w"]);
    }
}
