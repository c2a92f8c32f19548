//! Every layer: its value, and its gradient with respect to weights and inputs.

use crate::compare::{Check, Depth, Numbers};
use candle_core::{Tensor, Var};
use seqtilt::diffusion::{Codec, Embedding};
use seqtilt::nn::{
    Block, Conv1d, LayerNorm, Linear, Mlp, Params, SelfAttention, TimeEmbedding, cross_entropy, gelu, gradients_with,
    softmax,
};
use seqtilt::reward::{Ensemble, Multilinear, Reward as _};
use seqtilt::store::open_model;
use seqtilt::{Result, Seed};
use std::rc::Rc;

type Forward = Box<dyn Fn(&[Tensor]) -> Result<Tensor>>;

/// A layer of inputs with these shapes; `build` makes it on its weights.
fn layer(name: &str, inputs: &[&[usize]], build: impl Fn(&Params) -> Result<Forward> + 'static) -> Check {
    at_depth(name, Depth::Layer, inputs, build)
}

fn at_depth(
    name: &str,
    depth: Depth,
    inputs: &[&[usize]],
    build: impl Fn(&Params) -> Result<Forward> + 'static,
) -> Check {
    let inputs: Vec<Vec<usize>> = inputs.iter().map(|dims| dims.to_vec()).collect();
    let build = Rc::new(build);
    Check::new(name, depth, move |side| {
        let params = side.weights(|params| build(params).map(drop))?;
        let forward = build(&params)?;
        let draw = |(index, dims): (usize, &Vec<usize>)| side.variable(Seed::root(5).index(index as u64), dims);
        let inputs = inputs.iter().enumerate().map(draw).collect::<Result<Vec<Var>>>()?;
        let value = forward(&inputs.iter().map(|input| input.as_tensor().clone()).collect::<Vec<_>>())?;
        let direction = side.normal(Seed::root(6), value.dims())?;
        let loss = (&value * direction)?.sum_all()?;
        let (slopes, of_inputs) = gradients_with(&loss, &params.vars(), &inputs.iter().collect::<Vec<_>>())?;
        let mut numbers = Numbers::default();
        numbers.value("value", &value)?;
        numbers.all(&slopes)?;
        for slope in &of_inputs {
            numbers.gradient("input", slope)?;
        }
        Ok(Some(numbers))
    })
}

/// 1 for the first of every three positions and for the very first, 0 for some others.
fn mask(x: &Tensor) -> Result<Tensor> {
    let (batch, length, _) = x.dims3()?;
    let values: Vec<f32> = (0..batch * length).map(|i| f32::from(u8::from(i % length == 0 || i % 3 != 1))).collect();
    Ok(Tensor::from_vec(values, (batch, length), x.device())?.to_dtype(x.dtype())?)
}

fn ids(count: usize, letters: usize, like: &Tensor) -> Result<Tensor> {
    let ids: Vec<u32> = (0..count).map(|i| (i * 7 % letters) as u32).collect();
    Ok(Tensor::from_vec(ids, count, like.device())?)
}

fn attention(name: &str, dims: &[usize], masked: bool) -> Check {
    layer(name, &[dims], move |params| {
        let layer = SelfAttention::new(params, 128, 4)?;
        Ok(Box::new(move |x| {
            let mask = masked.then(|| mask(&x[0])).transpose()?;
            layer.forward(&x[0], mask.as_ref())
        }))
    })
}

/// All layers.
pub(crate) fn checks() -> Vec<Check> {
    vec![
        layer("linear", &[&[64, 128]], |params| {
            let layer = Linear::new(params, 128, 256)?;
            Ok(Box::new(move |x| layer.forward(&x[0])))
        }),
        layer("linear, gelu", &[&[64, 128]], |params| {
            let layer = Linear::new(params, 128, 256)?;
            Ok(Box::new(move |x| layer.forward_gelu(&x[0])))
        }),
        layer("gelu", &[&[64, 128]], |_| Ok(Box::new(|x| gelu(&x[0])))),
        layer("layer norm", &[&[8, 24, 128]], |params| {
            let layer = LayerNorm::new(params, 128)?;
            Ok(Box::new(move |x| layer.forward(&x[0])))
        }),
        layer("layer norm, plain", &[&[8, 24, 128]], |_| Ok(Box::new(|x| LayerNorm::plain(128).forward(&x[0])))),
        layer("softmax", &[&[64, 237]], |_| Ok(Box::new(|x| softmax(&x[0])))),
        attention("attention, L 8", &[8, 8, 128], false),
        attention("attention, L 237", &[2, 237, 128], false),
        attention("attention, L 237, masked", &[2, 237, 128], true),
        layer("block (modulated norms, gates)", &[&[4, 24, 128], &[4, 128]], |params| {
            let layer = Block::new(params, 128, 4, 128)?;
            Ok(Box::new(move |x| layer.forward(&x[0], &x[1], None)))
        }),
        layer("block, masked", &[&[4, 24, 128], &[4, 128]], |params| {
            let layer = Block::new(params, 128, 4, 128)?;
            Ok(Box::new(move |x| layer.forward(&x[0], &x[1], Some(&mask(&x[0])?))))
        }),
        layer("conv1d, 5 taps", &[&[4, 50, 20]], |params| {
            let layer = Conv1d::new(params, 20, 64, 5)?;
            Ok(Box::new(move |x| layer.forward(&x[0])))
        }),
        layer("mlp", &[&[64, 32]], |params| {
            let layer = Mlp::new(params, &[32, 128, 128, 4])?;
            Ok(Box::new(move |x| layer.forward(&x[0])))
        }),
        layer("time embedding", &[], |params| {
            let layer = TimeEmbedding::new(params, 128)?;
            Ok(Box::new(move |_| layer.forward(&[0.0, 0.013, 0.037, 0.07])))
        }),
        layer("cross-entropy", &[&[64, 20]], |_| Ok(Box::new(|x| cross_entropy(&x[0], &ids(64, 20, &x[0])?)))),
        layer("codec: embed", &[], |params| {
            let codec = Codec::new(params, Embedding::Learned, 20, 16)?;
            Ok(Box::new(move |_| codec.embed(&ids(4 * 24, 20, codec.table())?, 4)))
        }),
        layer("codec: relax", &[&[4, 24, 20]], |params| {
            let codec = Codec::new(params, Embedding::Learned, 20, 16)?;
            Ok(Box::new(move |x| codec.relax(&softmax(&x[0])?)))
        }),
        layer("codec: project", &[&[4, 24, 16]], |params| {
            let codec = Codec::new(params, Embedding::Learned, 20, 16)?;
            Ok(Box::new(move |x| codec.project(&x[0])))
        }),
        layer("reward: table", &[&[16, 6, 4]], |_| {
            let values: Vec<f64> = Seed::root(8).rng().normals(4096).into_iter().map(f64::from).collect();
            let table = Multilinear::new("table", &values, 4, 6)?;
            Ok(Box::new(move |x| table.reward(&softmax(&x[0])?)))
        }),
        at_depth("reward: networks", Depth::Network, &[&[16, 8, 4]], |_| {
            let ensemble = Ensemble::from_folder("networks", &open_model("tfbind8-reward", "reward")?)?;
            Ok(Box::new(move |x| ensemble.reward(&softmax(&x[0])?)))
        }),
    ]
}
