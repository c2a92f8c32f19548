//! Small chains, controls and rewards, and the objective as one unrolled graph.

use crate::diffusion::{Chain, Memory, Move};
use crate::error::Result;
use crate::finetune::{
    Anchor, BackProp, Batch, Control, Estimator, FinetuneConfig, Glimpse, Objective, Problem, Rollout, Run, Terminal,
    Undecoded, Update,
};
use crate::nn::{AdamWConfig, Gradients, Init, Learner, Mlp, Params, Pool, sum_gradients};
use crate::random::Seed;
use candle_core::{DType, Device, Tensor};

/// A chain in two dimensions that bends, and remembers the cosine of its state for a block of steps.
pub(super) struct Bent {
    pub(super) block: usize,
}

impl Chain for Bent {
    fn steps(&self) -> usize {
        6
    }

    fn shape(&self) -> Vec<usize> {
        vec![2]
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok((noise * 1.3)?)
    }

    fn block(&self) -> usize {
        self.block
    }

    fn advance(&self, k: usize, x: &Tensor, memory: &mut Memory) -> Result<Move> {
        let context = match memory.context.take() {
            Some(held) => held,
            None => x.cos()?,
        };
        let mean = ((x * 0.9)? + (x.sin()? * 0.2)?)?;
        let mean = (mean + (&context * 0.3)?)?;
        memory.context = Some(context);
        Ok(Move { mean, std: 0.4 + 0.1 * k as f64, belief: None })
    }
}

/// A perceptron of state and step, plus one of the state at the head of the block.
pub(super) struct Network {
    now: Mlp,
    head: Mlp,
}

impl Network {
    pub(super) fn new(params: &Params) -> Self {
        let now = Mlp::zero_last(&params.child("now"), &[3, 4, 2]).unwrap();
        Self { now, head: Mlp::zero_last(&params.child("head"), &[2, 3, 2]).unwrap() }
    }
}

impl Control for Network {
    fn control(&self, k: usize, x: &Tensor, _: &Move, memory: &mut Memory) -> Result<Tensor> {
        let time = (x.narrow(1, 0, 1)?.zeros_like()? + 0.2 * k as f64)?;
        let head = match memory.change.take() {
            Some(held) => held,
            None => self.head.forward(x)?,
        };
        let u = (self.now.forward(&Tensor::cat(&[x, &time], 1)?)? + &head)?;
        memory.change = Some(head);
        Ok(u)
    }
}

/// The same vector at every state, scaled by the step.
pub(super) struct Constant(pub(super) [f64; 2]);

impl Constant {
    pub(super) fn at(&self, k: usize) -> [f64; 2] {
        self.0.map(|u| u * (1.0 + k as f64))
    }
}

impl Control for Constant {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        Ok(Tensor::new(&self.at(k), &Device::Cpu)?.broadcast_as(x.shape())?.contiguous()?)
    }
}

/// r(x) = Σ sin 2x − ½ (x − 1)².
pub(super) struct Hills;

impl Terminal for Hills {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        let hills = ((x * 2.0)?.sin()? - ((x - 1.0)?.sqr()? * 0.5)?)?;
        Ok(hills.sum(1)?)
    }
}

/// r(x) = slope · Σ x.
pub(super) struct Slope(pub(super) f64);

impl Terminal for Slope {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        // a factor of 0 as a number would leave x out of candle's graph
        Ok(x.sum(1)?.broadcast_mul(&Tensor::new(self.0, &Device::Cpu)?)?)
    }
}

/// The loss −J/α (−E[r] without a divergence) of one batch as one graph over all steps.
pub(super) fn unrolled(
    problem: &Problem<'_>,
    control: &dyn Control,
    frozen: &dyn Control,
    estimator: Estimator,
    batch: &Batch,
) -> Tensor {
    let chain = problem.chain;
    let drawn = Rollout::draw(chain, None, batch.steps, batch.rows, batch.seed, true).unwrap();
    let (mut moving, mut held) = (Memory::default(), Memory::default());
    let mut x = drawn.states[0].clone();
    let mut nats = Tensor::zeros((), DType::F64, &Device::Cpu).unwrap();
    let noises = drawn.noises.iter().flat_map(|block| block.chunk(block.dim(0).unwrap(), 0).unwrap());
    for (k, epsilon) in noises.map(|noise| noise.squeeze(0).unwrap()).enumerate() {
        if k % chain.block() == 0 {
            (moving, held) = (Memory::default(), Memory::default());
        }
        let base = chain.advance(k, &x, &mut moving).unwrap();
        let u = control.control(k, &x, &base, &mut moving).unwrap();
        nats = (nats + (u.sqr().unwrap().sum_all().unwrap() * 0.5).unwrap()).unwrap();
        if estimator == Estimator::Landing {
            let still = frozen.control(k, &x, &base, &mut held).unwrap();
            nats = (nats + (still * &epsilon).unwrap().sum_all().unwrap()).unwrap();
        }
        x = (base.mean + ((u + epsilon).unwrap() * base.std).unwrap()).unwrap();
    }
    let reward = problem.terminal.value(batch.steps, &x, problem.alpha).unwrap().sum_all().unwrap();
    let loss = match problem.alpha {
        Some(alpha) => (nats - (reward / alpha).unwrap()).unwrap(),
        None => reward.neg().unwrap(),
    };
    (loss / batch.total as f64).unwrap()
}

/// All numbers of some gradients in the order of the parameters.
pub(super) fn flat(gradients: &Gradients) -> Vec<f64> {
    gradients
        .iter()
        .flat_map(|(_, gradient)| gradient.unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap())
        .collect()
}

/// Mean and its standard error.
pub(super) fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt())
}

/// The same push at every state of a step, one number a step.
pub(super) struct Shift(Tensor);

impl Shift {
    pub(super) fn new(params: &Params, steps: usize) -> Self {
        Self(params.get("shift", steps, Init::Zeros).unwrap())
    }
}

impl Control for Shift {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        Ok(self.0.narrow(0, k, 1)?.broadcast_as(x.shape())?.contiguous()?)
    }
}

/// A run of an objective on any chain: one step of it at a time.
pub(super) struct Trial<'a> {
    pub(super) chain: &'a dyn Chain,
    pub(super) terminal: &'a dyn Terminal,
    pub(super) config: FinetuneConfig,
    pub(super) anchor: Option<Anchor<'a>>,
    pub(super) glimpse: Option<&'a dyn Glimpse>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(chain: &'a dyn Chain, terminal: &'a dyn Terminal, config: FinetuneConfig) -> Self {
        Self { chain, terminal, config, anchor: None, glimpse: None }
    }

    /// The gradient of one step.
    pub(super) fn gradient(
        &self,
        objective: &mut dyn Objective,
        params: &Params,
        control: &(impl Fn(&Params) -> Box<dyn Control> + Sync),
        seed: Seed,
    ) -> Gradients {
        let update = self.update(objective, params, control, seed).unwrap();
        sum_gradients(&update.sums, Pool::inline()).unwrap()
    }

    /// Why an objective cannot make a step.
    pub(super) fn refusal(
        &self,
        objective: &mut dyn Objective,
        params: &Params,
        control: &(impl Fn(&Params) -> Box<dyn Control> + Sync),
    ) -> String {
        let refused = self.update(objective, params, control, Seed::root(0)).err();
        refused.map(|error| error.message().to_owned()).unwrap_or_default()
    }

    fn update(
        &self,
        objective: &mut dyn Objective,
        params: &Params,
        control: &(impl Fn(&Params) -> Box<dyn Control> + Sync),
        seed: Seed,
    ) -> Result<Update> {
        let learner = Learner::new(params.clone(), AdamWConfig::default(), 0.5, 1).unwrap();
        let values = Undecoded(self.terminal);
        let control = |params: &Params| -> Result<Box<dyn Control>> { Ok(control(params)) };
        let run = Run {
            chain: self.chain,
            terminal: Some(self.terminal),
            values: &values,
            config: &self.config,
            learner: &learner,
            control: &control,
            anchor: self.anchor,
            glimpse: self.glimpse,
            alpha: self.config.alpha,
            steps: self.chain.steps(),
            seed,
            pool: Pool::inline(),
            method: BackProp { estimator: self.config.estimator, ..BackProp::default() },
            joined: false,
        };
        objective.update(&run)
    }

    /// So many steps down the gradient at a constant rate, each on draws of its own.
    pub(super) fn descend(
        &self,
        params: &Params,
        control: &(impl Fn(&Params) -> Box<dyn Control> + Sync),
        rate: f64,
        steps: u64,
    ) {
        let mut objective = (crate::finetune::OBJECTIVES.get(&self.config.objective).unwrap().make)(&self.config);
        for step in 0..steps {
            let gradients = self.gradient(objective.as_mut(), params, control, Seed::root(31).index(step));
            for (name, var) in params.vars() {
                if let Some(gradient) = gradients.get(&name) {
                    var.set(&(var.as_tensor() - (gradient * rate).unwrap()).unwrap()).unwrap();
                }
            }
        }
    }
}
