//! scratch
use seqtilt::diffusion::*;
use seqtilt::finetune::*;
use seqtilt::nn::*;
use seqtilt::reward::*;
use seqtilt::sequence::*;
use seqtilt::*;
use std::sync::Arc;
use std::time::Instant;
fn main() -> Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let get =
        |k: &str, d: f64| a.iter().find_map(|s| s.strip_prefix(&format!("{k}="))).map_or(d, |s| s.parse().unwrap());
    let dna = Alphabet::dna();
    let text = std::fs::read_to_string(std::env::var("SEQTILT_DATA").unwrap() + "/SIX6_REF_R1_8mers.txt").unwrap();
    let mut table = vec![f64::NAN; 65536];
    let index = |s: &Sequence| s.ids().iter().fold(0usize, |i, x| i * 4 + usize::from(*x));
    for line in text.lines().skip(1) {
        let c: Vec<&str> = line.split('\t').collect();
        let v: f64 = c[2].parse().unwrap();
        for s in &c[..2] {
            table[index(&Sequence::parse(s, &dna)?)] = v;
        }
    }
    let (lo, hi) = table.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    for v in &mut table {
        *v = (*v - lo) / (hi - lo);
    }
    let pool = Pool::new(get("threads", 2.0) as usize)?;
    let dev = candle_core::Device::Cpu;
    let mut shape = PriorConfig::new(&dna, 8);
    shape.denoiser = DenoiserConfig { dim: get("d", 32.) as usize, layers: get("layers", 2.) as usize, heads: 2 };
    let data: Vec<Sequence> = (0..65536usize)
        .filter(|i| get("half", 0.) == 0. || table[*i] <= 0.43929616)
        .map(|i| {
            Sequence::from_ids((0..8).map(|j| ((i >> (2 * (7 - j))) & 3) as u8).collect::<Vec<_>>(), &dna).unwrap()
        })
        .collect();
    shape.decode_log_snr = get("decode", 1.0);
    shape.warp = Warp::new(shape.range().0, shape.range().1, 48);
    let mut pc = PretrainConfig::default();
    pc.steps = get("psteps", 500.) as u64;
    let mut pre = Pretraining::new(shape, pc, &data, Seed::root(0), &pool, &dev)?;
    let t = Instant::now();
    while pre.done() < pre.total() {
        let f = pre.step()?;
        if pre.done() % 100 == 0 {
            println!("{} {:?} {:.1}s", pre.done(), f, t.elapsed().as_secs_f64());
        }
    }
    let prior = pre.prior()?;
    println!(
        "{:?}",
        prior.config().warp.profile().iter().map(|(a, b)| format!("{a:.1}:{b:.2}")).collect::<Vec<_>>().join(" ")
    );
    println!("table {:?}", prior.codec().table().to_vec2::<f32>());
    let e = elbo(&prior, &data.iter().step_by(64).cloned().collect::<Vec<_>>(), 16, Seed::root(5), &pool)?;
    println!("elbo {} ± {}", e.nats_per_token, e.standard_error);
    let chain = DiffusionChain::new(
        Arc::new(prior),
        get("K", 64.) as usize,
        get("hold", 4.) as usize,
        Grid::Time,
        SolverKind::Ancestral,
    )?;
    println!("grid {:?}", chain.log_snrs().iter().map(|x| (x * 100.).round() / 100.).collect::<Vec<_>>());
    let reward = Multilinear::new("t", &table, 4, 8)?;
    let term = SequenceTerminal::new(&chain, &reward);
    let alpha = get("alpha", 0.1);
    let read = |x: &candle_core::Tensor| -> Result<Vec<usize>> {
        Ok(Decode::Hard
            .read(&chain.read(chain.steps(), x)?, chain.prior(), &mut Seed::root(0).rng())?
            .iter()
            .map(index)
            .collect())
    };
    let t = Instant::now();
    let n = get("base", 100000.) as usize;
    let base = roll_out(&chain, None, n, Seed::root(77), &pool, read)?;
    let lz = |a: f64| {
        let m = 1.0 / a;
        (base.ends.iter().map(|i| (table[*i] / a - m).exp()).sum::<f64>() / n as f64).ln() + m
    };
    println!(
        "base {:.1}s logZ {:.4} (uniform .1: 6.393) mean r {:.4}",
        t.elapsed().as_secs_f64(),
        lz(alpha),
        base.ends.iter().map(|i| table[*i]).sum::<f64>() / n as f64
    );
    let mut fc = FinetuneConfig {
        alpha,
        steps: get("steps", 300.) as u64,
        batch: get("batch", 256.) as usize,
        learning_rate: get("lr", 5e-3),
        ramp_share: get("ramp", 0.7),
        ramp_from: get("from", -1.0),
        ..Default::default()
    };
    fc.control.dim = get("cdim", 256.) as usize;
    fc.control.layers = get("clayers", 2.) as usize;
    if get("plain", 0.) > 0. {
        fc.estimator = Estimator::Cost
    }
    let mut ft = Finetuning::new(fc, &chain, &term, Seed::root(1), &pool)?;
    let t = Instant::now();
    while ft.done() < ft.total() {
        let f = ft.step()?;
        if ft.done() % (ft.total() / 6) == 0 {
            let c = ft.control()?;
            let m = 20000;
            let p = roll_out(&chain, Some(&c), m, Seed::root(99), &pool, read)?;
            let r = p.ends.iter().map(|i| table[*i]).sum::<f64>() / m as f64;
            let l = p.log_ratio.iter().sum::<f64>() / m as f64;
            let q = p.cost.iter().sum::<f64>() / m as f64;
            println!(
                "{} {:.1}s r {:.4} L {:.4} cost {:.4} gap {:.4} | {}",
                ft.done(),
                t.elapsed().as_secs_f64(),
                r,
                l,
                q,
                lz(alpha) - r / alpha + l,
                f.iter().map(|(n, v)| format!("{n} {v:.4}")).collect::<Vec<_>>().join(" ")
            );
        }
    }
    Ok(())
}
