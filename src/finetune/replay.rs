//! A buffer of whole paths.

mod config;
mod rule;
mod track;

pub use config::ReplayConfig;
pub(super) use rule::Drawn;
pub use rule::{REPLAY_RULES, Shares, Stock};
pub use track::Track;

use crate::error::{Error, Result};
use crate::nn::{Tensors, read};
use candle_core::{Device, Tensor};
use std::collections::VecDeque;

/// A ring of whole paths: the oldest leaves first. States are kept as they were walked, never noised anew, together with the log-densities of
/// the control that drew them, so that later controls can learn from them ([`Track`]).
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use seqtilt::finetune::{Replay, Track};
/// let path = |value: f64| -> seqtilt::Result<Track> {
///     let states = Tensor::zeros((3, 1), DType::F64, &Device::Cpu)?;
///     Ok(Track { states, innovations: None, behaviour: vec![0.0; 2], value, epoch: 0 })
/// };
/// let mut ring = Replay::new(2, 1 << 20);
/// ring.push(vec![path(1.0)?, path(2.0)?, path(3.0)?]);
/// assert_eq!(ring.values(), [2.0, 3.0]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    capacity: usize,
    bytes: u64,
    tracks: VecDeque<Track>,
}

impl Replay {
    /// An empty ring of at most so many paths and so many bytes, whichever is less; it always has room for one.
    #[must_use]
    pub fn new(capacity: usize, bytes: u64) -> Self {
        Self { capacity, bytes, tracks: VecDeque::new() }
    }

    /// Puts paths in, the last as the newest.
    pub fn push(&mut self, tracks: Vec<Track>) {
        for track in tracks {
            let fitting = usize::try_from(self.bytes / track.bytes().max(1)).unwrap_or(usize::MAX);
            self.tracks.push_back(track);
            while self.tracks.len() > self.capacity.min(fitting).max(1) {
                self.tracks.pop_front();
            }
        }
    }

    /// The paths, oldest first.
    #[must_use]
    pub fn tracks(&self) -> &VecDeque<Track> {
        &self.tracks
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracks.is_empty()
    }

    /// Forgets everything: what a round of online fine-tuning begins with.
    pub fn clear(&mut self) {
        self.tracks.clear();
    }

    /// Rewards of the ends, oldest first.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.tracks.iter().map(|track| track.value).collect()
    }

    /// How the paths are drawn from by a rule: `discount` is γ of one step of theirs, `wanted` how many a draw is for.
    ///
    /// # Errors
    /// When the ring is empty or there is no such rule.
    pub fn shares(&self, config: &ReplayConfig, discount: f64, wanted: usize) -> Result<Shares> {
        let Some(newest) = self.tracks.back() else {
            return Err(Error::usage("an empty replay buffer has nothing to draw"));
        };
        let (values, steps) = (self.values(), newest.behaviour.len());
        let recent: Vec<bool> = self.tracks.iter().map(|track| track.epoch == newest.epoch).collect();
        let stock = Stock { values: &values, recent: &recent, steps, discount, wanted };
        let shares = (REPLAY_RULES.get(&config.rule)?.make)(&stock);
        Ok(if config.corrected { shares.defended() } else { shares })
    }

    /// Everything as tensors, for a checkpoint.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn state(&self) -> Result<Tensors> {
        let mut state = Tensors::default();
        let Some(first) = self.tracks.front() else { return Ok(state) };
        let (n, steps) = (self.tracks.len(), first.behaviour.len());
        let stacked = |part: fn(&Track) -> Option<&Tensor>| -> Result<Option<Tensor>> {
            let parts: Vec<&Tensor> = self.tracks.iter().filter_map(part).collect();
            Ok(if parts.len() == n { Some(Tensor::stack(&parts, 0)?) } else { None })
        };
        let mut put = |name: &str, tensor: Option<Tensor>| {
            if let Some(tensor) = tensor {
                state.insert(format!("{PREFIX}{name}"), tensor);
            }
        };
        put("states", stacked(|track| Some(&track.states))?);
        put("innovations", stacked(|track| track.innovations.as_ref())?);
        let behaviour: Vec<f64> = self.tracks.iter().flat_map(|track| track.behaviour.iter().copied()).collect();
        put("behaviour", Some(Tensor::from_vec(behaviour, (n, steps), &Device::Cpu)?));
        put("values", Some(Tensor::from_vec(self.values(), n, &Device::Cpu)?));
        // an epoch is exact up to 2^53
        let epochs: Vec<f64> = self.tracks.iter().map(|track| track.epoch as f64).collect();
        put("epochs", Some(Tensor::from_vec(epochs, n, &Device::Cpu)?));
        Ok(state)
    }

    /// Takes over a [`state`](Self::state), among whatever else is in there.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn restore(&mut self, state: &Tensors) -> Result<()> {
        self.tracks.clear();
        let find = |name: &str| state.get(&format!("{PREFIX}{name}"));
        let Some(states) = find("states") else { return Ok(()) };
        let need = |name: &str| {
            find(name).ok_or_else(|| Error::integrity(format!("the checkpoint's replay buffer has no `{name}`")))
        };
        let innovations = find("innovations");
        let numbers = read(&[need("behaviour")?, need("values")?, need("epochs")?])?;
        let [behaviour, values, epochs] = &numbers[..] else {
            return Err(Error::integrity("the checkpoint's replay buffer cannot be read"));
        };
        let n = states.dim(0)?;
        if values.len() != n || epochs.len() != n || !behaviour.len().is_multiple_of(n.max(1)) {
            return Err(Error::integrity("the parts of the checkpoint's replay buffer differ in length"));
        }
        for (i, behaviour) in behaviour.chunks((behaviour.len() / n.max(1)).max(1)).enumerate() {
            self.tracks.push_back(Track {
                states: states.get(i)?,
                innovations: innovations.map(|innovations| innovations.get(i)).transpose()?,
                behaviour: behaviour.to_vec(),
                value: values[i],
                epoch: epochs[i] as u64,
            });
        }
        Ok(())
    }
}

/// What the ring's tensors are called.
const PREFIX: &str = "replay.";

#[cfg(test)]
mod tests;
