//! The optimiser.

use super::grad::Gradients;
use super::host::{with_f32, with_f64};
use super::kernel::{Rates, adamw};
use super::parallel::Pool;
use super::params::Tensors;
use crate::error::{Error, Result};
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Tensor, Var};
use std::sync::{Mutex, PoisonError};

/// Settings of [`AdamW`] other than the learning rate of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// The learning rate that schedules start from: the size of a first step of each weight. Default 1e-3.
    pub lr: f64,
    /// Decay of the mean of gradients, in [0, 1). Default 0.9.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, in [0, 1). Default 0.999.
    pub beta2: f64,
    /// Added to the root of the mean square, positive. Default 1e-8.
    pub eps: f64,
    /// Decoupled weight decay, as a share of the weight for each unit of learning rate. Default 0.
    pub weight_decay: f64,
    /// Longest gradient, over all parameters, that is not scaled down; `None`, the default, never scales.
    pub clip_norm: Option<f64>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, clip_norm: None }
    }
}

/// Adam with decoupled weight decay, in one pass in place.
///
/// ```text
/// m ← β₁ m + (1−β₁) g        v ← β₂ v + (1−β₂) g²
/// w ← w − lr · ( m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε) + λ w )
/// ```
///
/// Loshchilov and Hutter, arXiv 1711.05101.
#[derive(Debug)]
pub struct AdamW {
    slots: Vec<Slot>,
    config: AdamWConfig,
    steps: u32,
}

#[derive(Debug)]
struct Slot {
    name: String,
    var: Var,
    moments: Moments,
    share: f64,
}

/// First and second moments; on the host as plain numbers, elsewhere as tensors.
#[derive(Debug)]
enum Moments {
    F32(Vec<f32>, Vec<f32>),
    F64(Vec<f64>, Vec<f64>),
    Device(Tensor, Tensor),
}

impl AdamW {
    /// An optimiser with zero moments.
    #[must_use]
    pub fn new(vars: Vec<(String, Var)>, config: AdamWConfig) -> Self {
        let slots = vars.into_iter().map(|(name, var)| Slot { moments: Moments::zeros(&var), name, var, share: 1.0 });
        Self { slots: slots.collect(), config, steps: 0 }
    }

    /// The same with the parameters below `name` learning at so many times the rate of the others.
    #[must_use]
    pub fn with_share(mut self, name: &str, share: f64) -> Self {
        let below = |slot: &&mut Slot| slot.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.slots.iter_mut().filter(below).for_each(|slot| slot.share = share);
        self
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &AdamWConfig {
        &self.config
    }

    /// How many updates have been made.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// One update with learning rate `lr`; the length of the gradient before clipping.
    ///
    /// # Errors
    /// When a parameter has no gradient or the gradient is not finite; no weight is changed then.
    pub fn step(&mut self, gradients: &Gradients, lr: f64, pool: &Pool) -> Result<f64> {
        let norm = gradients.norm(pool)?;
        self.step_at(gradients, norm, lr, pool)?;
        Ok(norm)
    }

    /// As [`AdamW::step`] where the length of the gradient is known already.
    ///
    /// # Errors
    /// As [`AdamW::step`].
    pub fn step_at(&mut self, gradients: &Gradients, norm: f64, lr: f64, pool: &Pool) -> Result<()> {
        gradients.check_complete()?;
        let tensors: Vec<Tensor> = gradients.iter().filter_map(|(_, tensor)| tensor.cloned()).collect();
        let same = |(slot, (name, tensor)): (&Slot, (&str, Option<&Tensor>))| {
            slot.name == name && tensor.is_some_and(|tensor| tensor.shape() == slot.var.shape())
        };
        if tensors.len() != self.slots.len() || !self.slots.iter().zip(gradients.iter()).all(same) {
            return Err(Error::device(format!(
                "gradients of {} parameters do not fit the optimiser's {}",
                tensors.len(),
                self.slots.len()
            )));
        }
        if !norm.is_finite() {
            return Err(Error::device(format!(
                "the gradient is not finite (length {norm}); the weights are unchanged"
            ))
            .hint("lower the learning rate"));
        }
        let clip = self.config.clip_norm.map_or(1.0, |longest| if norm > longest { longest / norm } else { 1.0 });
        self.steps += 1;
        let steps = self.steps;
        let slots: Vec<Mutex<&mut Slot>> = self.slots.iter_mut().map(Mutex::new).collect();
        let config = self.config;
        pool.worth(gradients.count()).map(slots.len(), |index| {
            let mut slot = slots[index].lock().unwrap_or_else(PoisonError::into_inner);
            let update = rates(&config, lr * slot.share, clip, steps);
            slot.update(&tensors[index].contiguous()?, update)
        })?;
        Ok(())
    }

    /// Everything a resumed run needs: `step`, and `first.NAME` and `second.NAME` for each parameter.
    ///
    /// # Errors
    /// When a copy fails.
    pub fn state(&self) -> Result<Tensors> {
        let mut state = Tensors::new();
        state.insert("step".to_owned(), Tensor::new(&[self.steps], &Device::Cpu)?);
        for slot in &self.slots {
            let (first, second) = slot.moments.tensors(&slot.var)?;
            state.insert(format!("first.{}", slot.name), first);
            state.insert(format!("second.{}", slot.name), second);
        }
        Ok(state)
    }

    /// Continues from [`AdamW::state`]: the following updates give the same bytes.
    ///
    /// # Errors
    /// An integrity error when the state belongs to other parameters; nothing is changed then.
    pub fn restore(&mut self, state: &Tensors) -> Result<()> {
        let find = |name: &str, dims: &[usize]| -> Result<&Tensor> {
            let tensor = state.get(name).ok_or_else(|| Error::integrity(format!("optimiser state lacks `{name}`")))?;
            if tensor.dims() == dims {
                Ok(tensor)
            } else {
                let got = tensor.dims();
                Err(Error::integrity(format!("optimiser state `{name}` has shape {got:?}; {dims:?} is expected")))
            }
        };
        let steps = find("step", &[1])?.to_dtype(DType::U32)?.to_vec1::<u32>()?;
        let moments = self
            .slots
            .iter()
            .map(|slot| {
                let first = find(&format!("first.{}", slot.name), slot.var.dims())?;
                let second = find(&format!("second.{}", slot.name), slot.var.dims())?;
                Moments::from_tensors(first, second, &slot.var)
            })
            .collect::<Result<Vec<_>>>()?;
        for (slot, moments) in self.slots.iter_mut().zip(moments) {
            slot.moments = moments;
        }
        self.steps = steps[0];
        Ok(())
    }
}

impl Moments {
    fn zeros(var: &Var) -> Self {
        let n = var.elem_count();
        match (var.device().is_cpu(), var.dtype()) {
            (true, DType::F32) => Self::F32(vec![0.0; n], vec![0.0; n]),
            (true, DType::F64) => Self::F64(vec![0.0; n], vec![0.0; n]),
            _ => {
                let zeros = var.as_detached_tensor().zeros_like().unwrap_or_else(|_| var.as_detached_tensor());
                Self::Device(zeros.clone(), zeros)
            }
        }
    }

    fn from_tensors(first: &Tensor, second: &Tensor, var: &Var) -> Result<Self> {
        let (first, second) = (first.to_dtype(var.dtype())?, second.to_dtype(var.dtype())?);
        Ok(match (var.device().is_cpu(), var.dtype()) {
            (true, DType::F32) => Self::F32(first.flatten_all()?.to_vec1()?, second.flatten_all()?.to_vec1()?),
            (true, DType::F64) => Self::F64(first.flatten_all()?.to_vec1()?, second.flatten_all()?.to_vec1()?),
            _ => Self::Device(first.to_device(var.device())?, second.to_device(var.device())?),
        })
    }

    fn tensors(&self, var: &Var) -> Result<(Tensor, Tensor)> {
        let (dims, device) = (var.shape(), var.device());
        Ok(match self {
            Self::F32(m, v) => (Tensor::from_slice(m, dims, device)?, Tensor::from_slice(v, dims, device)?),
            Self::F64(m, v) => (Tensor::from_slice(m, dims, device)?, Tensor::from_slice(v, dims, device)?),
            Self::Device(m, v) => (m.copy()?, v.copy()?),
        })
    }
}

fn rates(config: &AdamWConfig, lr: f64, clip: f64, steps: u32) -> Rates {
    let correction = |beta: f64| 1.0 - beta.powf(f64::from(steps));
    Rates {
        clip,
        beta1: config.beta1,
        beta2: config.beta2,
        rate: lr / correction(config.beta1),
        root_correction: 1.0 / correction(config.beta2).sqrt(),
        eps: config.eps,
        keep: 1.0 - lr * config.weight_decay,
    }
}

impl Slot {
    fn update(&mut self, gradient: &Tensor, update: Rates) -> Result<()> {
        let weights = self.var.as_tensor();
        let done = match &mut self.moments {
            Moments::F32(m, v) => with_f32(gradient, |g| weights.inplace_op1(&Pass32(Mutex::new((m, v)), g, update))),
            Moments::F64(m, v) => with_f64(gradient, |g| weights.inplace_op1(&Pass64(Mutex::new((m, v)), g, update))),
            Moments::Device(m, v) => {
                let g = (gradient * update.clip)?;
                *m = ((&*m * update.beta1)? + (&g * (1.0 - update.beta1))?)?.detach();
                *v = ((&*v * update.beta2)? + (g.sqr()? * (1.0 - update.beta2))?)?.detach();
                let root = ((v.sqrt()? * update.root_correction)? + update.eps)?;
                let next = ((weights.detach() * update.keep)? - ((&*m / root)? * update.rate)?)?;
                return Ok(self.var.set(&next.detach())?);
            }
        };
        match done {
            Some(result) => Ok(result?),
            None => Err(Error::device(format!(
                "the gradient of `{}` is {:?} on {:?}; the parameter is {:?}",
                self.name,
                gradient.dtype(),
                gradient.device().location(),
                self.var.dtype()
            ))),
        }
    }
}

struct Pass32<'a>(Mutex<(&'a mut Vec<f32>, &'a mut Vec<f32>)>, &'a [f32], Rates);

impl InplaceOp1 for Pass32<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(weights), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("adamw updates contiguous f32 weights")
        };
        let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (m, v) = &mut *moments;
        adamw(&mut weights[start..end], m, v, self.1, self.2);
        Ok(())
    }
}

struct Pass64<'a>(Mutex<(&'a mut Vec<f64>, &'a mut Vec<f64>)>, &'a [f64], Rates);

impl InplaceOp1 for Pass64<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F64(weights), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("adamw updates contiguous f64 weights")
        };
        let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, second) = &mut *moments;
        let r = self.2;
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((w, g), (m, v)) in weights[start..end].iter_mut().zip(self.1).zip(moments) {
            let g = g * r.clip;
            *m = r.beta1 * *m + (1.0 - r.beta1) * g;
            *v = r.beta2 * *v + (1.0 - r.beta2) * g * g;
            *w = r.keep * *w - r.rate * *m / (v.sqrt() * r.root_correction + r.eps);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Params, check, gradients};

    const CONFIG: AdamWConfig =
        AdamWConfig { lr: 0.05, beta1: 0.8, beta2: 0.95, eps: 1e-6, weight_decay: 0.1, clip_norm: Some(0.7) };

    fn problem(dtype: DType) -> (Params, Tensor) {
        let params = Params::trainable(crate::Seed::root(5), dtype, &Device::Cpu);
        params.get("w", 3, crate::nn::Init::Normal(1.0)).unwrap();
        (params, check::normal(9, &[3]).to_dtype(dtype).unwrap())
    }

    fn loss(params: &Params, target: &Tensor) -> Tensor {
        (params.vars()[0].1.as_tensor() - target).unwrap().powf(4.0).unwrap().sum_all().unwrap()
    }

    fn weights(params: &Params) -> Vec<f64> {
        params.vars()[0].1.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }

    fn run(params: &Params, target: &Tensor, optimiser: &mut AdamW, steps: usize) {
        for _ in 0..steps {
            let gradients = gradients(&loss(params, target), &params.vars()).unwrap();
            optimiser.step(&gradients, 0.05, Pool::inline()).unwrap();
        }
    }

    #[test]
    fn five_updates_agree_with_the_equations() {
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 2e-6)] {
            let (params, target) = problem(dtype);
            let mut w = weights(&params);
            let y = target.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            let (mut m, mut v) = ([0.0; 3], [0.0; 3]);
            for t in 1..=5 {
                let g: Vec<f64> = w.iter().zip(&y).map(|(w, y)| 4.0 * (w - y).powi(3)).collect();
                let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
                for i in 0..3 {
                    let g = g[i] * (0.7 / norm).min(1.0);
                    m[i] = 0.8 * m[i] + 0.2 * g;
                    v[i] = 0.95 * v[i] + 0.05 * g * g;
                    let (mh, vh) = (m[i] / (1.0 - 0.8_f64.powi(t)), v[i] / (1.0 - 0.95_f64.powi(t)));
                    w[i] -= 0.05 * (mh / (vh.sqrt() + 1e-6) + 0.1 * w[i]);
                }
            }
            run(&params, &target, &mut AdamW::new(params.vars(), CONFIG), 5);
            for (got, expected) in weights(&params).into_iter().zip(&w) {
                assert!((got - expected).abs() < tolerance, "{dtype:?}: {got} {expected}");
            }
        }
    }

    #[test]
    fn a_part_learns_at_its_share_of_the_rate() {
        let (params, target) = problem(DType::F64);
        let start = weights(&params);
        let config = AdamWConfig { weight_decay: 0.0, ..CONFIG };
        let moved = |part: &str| -> Vec<f64> {
            let (params, _) = problem(DType::F64);
            let vars = params.vars().into_iter().map(|(name, var)| (format!("lead.{name}"), var)).collect();
            let mut optimiser = AdamW::new(vars, config).with_share(part, 0.25);
            let names = gradients(
                &loss(&params, &target),
                &optimiser.slots.iter().map(|slot| (slot.name.clone(), slot.var.clone())).collect::<Vec<_>>(),
            );
            optimiser.step(&names.unwrap(), 0.05, Pool::inline()).unwrap();
            weights(&params).iter().zip(&start).map(|(now, before)| now - before).collect()
        };
        for (whole, part) in moved("main").iter().zip(moved("lead")) {
            assert!(*whole != 0.0 && (part - 0.25 * whole).abs() < 1e-15, "{whole} {part}");
        }
        // a name is not its beginning
        assert_eq!(moved("le"), moved("main"));
    }

    #[test]
    fn a_resumed_run_gives_the_same_bytes() {
        let (params, target) = problem(DType::F32);
        let mut optimiser = AdamW::new(params.vars(), CONFIG);
        run(&params, &target, &mut optimiser, 3);
        let (snapshot, state) = (params.snapshot().unwrap(), optimiser.state().unwrap());
        run(&params, &target, &mut optimiser, 4);
        let resumed = Params::trainable_from(snapshot, &Device::Cpu);
        resumed.get("w", 3, crate::nn::Init::Zeros).unwrap();
        let mut optimiser = AdamW::new(resumed.vars(), CONFIG);
        optimiser.restore(&state).unwrap();
        run(&resumed, &target, &mut optimiser, 4);
        assert_eq!(weights(&resumed), weights(&params));
        assert_eq!(optimiser.steps(), 7);
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_nothing() {
        let (params, target) = problem(DType::F32);
        let before = weights(&params);
        let mut optimiser = AdamW::new(params.vars(), CONFIG);
        let loss = (loss(&params, &target) * f64::NAN).unwrap();
        let error = optimiser.step(&gradients(&loss, &params.vars()).unwrap(), 0.1, Pool::inline()).unwrap_err();
        assert!(error.to_string().contains("not finite"), "{error}");
        assert_eq!((weights(&params), optimiser.steps()), (before, 0));
    }

    #[test]
    fn the_state_of_other_parameters_is_refused() {
        let (params, _) = problem(DType::F32);
        let mut optimiser = AdamW::new(params.vars(), CONFIG);
        assert_eq!(optimiser.restore(&Tensors::new()).unwrap_err().kind(), crate::Kind::Integrity);
    }
}
