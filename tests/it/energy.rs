//! Densities without data: uniform priors, Potts models and motifs.

use crate::resume::Toy;
use serde_json::Value;
use std::fs;

const POTTS: &str = "# length: 4\ni,a,j,b,value\n1,A,2,C,1.5\n2,C,3,G,1\n3,G,,,0.5\n4,T,,,-1\n";
const MOTIF: &str = ">M1 two letters\nA [ 9 0 ]\nC [ 0 1 ]\nG [ 0 8 ]\nT [ 1 1 ]\n";
const SMALL: &str = "--tuning-steps 8 --paths 32 --steps 8 --count 400 --json";

fn toy() -> Toy {
    let toy = Toy::new();
    fs::write(toy.path("p.csv"), POTTS).unwrap();
    fs::write(toy.path("m.txt"), MOTIF).unwrap();
    toy
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn an_energy_is_drawn_with_weights_that_know_its_normaliser() {
    let toy = toy();
    for (energy, objective) in [
        ("potts:p.csv --temperature 0.7", "control"),
        ("pwm:m.txt --length 5", "log-variance"),
        ("pwm:sites=best,strands=both:m.txt --length 4", "control"),
    ] {
        let line = |out: &str| format!("sample --energy {energy} --objective {objective} {SMALL} --out {out}");
        let said: Value = serde_json::from_slice(&toy.succeed(&format!("{} --threads 1", line("one"))).stdout).unwrap();
        let (log_z, exact) = (number(&said["log_z"]["value"]), number(&said["exact_log_z"]));
        // Ẑ is unbiased however short the training: four standard errors
        assert!(((log_z - exact) / number(&said["log_z"]["se"])).abs() < 4.0, "{energy}: {log_z} {exact}");
        assert!(number(&said["lower_bound"]["value"]) < exact + 4.0 * number(&said["lower_bound"]["se"]));
        let rows = said["rows"].as_array().unwrap();
        let weights: f64 = rows.iter().map(|row| number(&row["weight"])).sum();
        assert!(rows.len() == 400 && (weights - 1.0).abs() < 1e-9);
        let table = fs::read(toy.path("one/samples.csv")).unwrap();
        // again on more threads, and the same command once more, which finds it complete
        toy.succeed(&format!("{} --threads 3", line("two")));
        assert!(table == fs::read(toy.path("two/samples.csv")).unwrap(), "{energy}");
        toy.succeed(&line("one"));
        assert!(table == fs::read(toy.path("one/samples.csv")).unwrap(), "{energy}");
        fs::remove_dir_all(toy.path("one")).unwrap();
        fs::remove_dir_all(toy.path("two")).unwrap();
    }
}

#[test]
fn a_uniform_prior_goes_wherever_a_prior_goes() {
    let toy = toy();
    let drawn = String::from_utf8(toy.succeed("sample --prior uniform:protein:12 --count 3").stdout).unwrap();
    assert_eq!(drawn.lines().filter(|line| !line.starts_with('>')).map(str::len).collect::<Vec<_>>(), [12; 3]);
    let small = "--tuning-steps 2 --paths 16 --chain-steps 8 --certificate-paths 100 --base-paths 100";
    toy.succeed(&format!("finetune --prior uniform:dna:4 --reward potts:p.csv {small} --out f"));
    toy.succeed("sample --control f --count 4");
    toy.succeed("sample --prior uniform:letters=HP:5 --count 2");
    // any noise after training with all of it: the flow draws no noise but its start, and has no density ratio
    let flow = String::from_utf8(toy.succeed("sample --control f --count 4 --eta 0").stdout).unwrap();
    assert!(flow.lines().count() == 8 && !flow.contains("log_ratio"), "{flow}");
    let own = String::from_utf8(toy.succeed("sample --control f --count 4 --eta 1").stdout).unwrap();
    assert!(own.contains("log_ratio"), "{own}");
    let output = toy.output("sample --control f --eta 2.5");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && text.contains("`eta` is 2.5; 0 to 2 is accepted"), "{text}");
    let steer = "steer --prior uniform:dna:30 --reward pwm:m.txt --method smc --count 8 --chain-steps 8 --json";
    let said: Value = serde_json::from_slice(&toy.succeed(steer).stdout).unwrap();
    assert_eq!(said["rows"][0]["sequence"].as_str().map(str::len), Some(30));
    for oracle in ["potts:p.csv", "pwm:strands=both:m.txt"] {
        toy.succeed(&format!("oracle check {oracle}"));
    }
    let optimize = "optimize --oracle potts:p.csv --prior uniform:dna:4 --rounds 1 --batch 4 --out o";
    toy.succeed(&format!("{optimize} --tuning-steps 2 --paths 16"));
}

#[test]
fn a_long_chain_is_drawn_and_tuned_by_its_exact_soft_values() {
    let toy = toy();
    let chain = format!("potts:{}", concat!(env!("CARGO_MANIFEST_DIR"), "/data/potts-30.csv"));
    let line = |out: &str| format!("sample --energy {chain} --temperature 3 --steps 24 --count 300 --json --out {out}");
    let output = toy.succeed(&format!("{} --threads 1", line("one")));
    assert!(String::from_utf8(output.stderr).unwrap().contains("method `guidance`"));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (log_z, exact) = (number(&said["log_z"]["value"]), number(&said["exact_log_z"]));
    // unbiased: four standard errors. At this temperature half of the samples count, though nothing was trained
    assert!(((log_z - exact) / number(&said["log_z"]["se"])).abs() < 4.0, "{log_z} {exact}");
    assert!(number(&said["ess"]) > 100.0, "{}", said["ess"]);
    let table = fs::read(toy.path("one/samples.csv")).unwrap();
    toy.succeed(&format!("{} --threads 3", line("two")));
    assert!(table == fs::read(toy.path("two/samples.csv")).unwrap());
    toy.succeed(&line("one"));
    assert!(table == fs::read(toy.path("one/samples.csv")).unwrap());
    // another density into the same folder is refused
    assert_eq!(toy.output(&format!("{} --hold 2", line("one"))).status.code(), Some(2));
    // a control of the same chain ends its stretches in soft values without being told to
    let small = "--tuning-steps 2 --paths 8 --chain-steps 8 --hold 2 --certificate-paths 100 --base-paths 100";
    toy.succeed(&format!("finetune --prior uniform:dna:30 --reward {chain} --alpha 3 {small} --out f"));
    let run: Value = serde_json::from_slice(&fs::read(toy.path("f/run.json")).unwrap()).unwrap();
    assert_eq!(run["config"]["plan"]["finetune"]["lookahead"], 4, "{run}");
}

#[test]
fn what_an_energy_cannot_be_is_said() {
    let toy = toy();
    fs::write(toy.path("bad.csv"), "i,a,j,b,value\n1,A,,,x\n").unwrap();
    for (line, code, said) in [
        ("sample --energy potts:p.csv", 2, "`sample` needs `--out`"),
        ("sample --temperature 2", 2, "`sample` needs `--energy`"),
        ("sample --energy potts:p.csv --out s.csv", 2, "with `--energy` a folder is accepted"),
        ("sample --energy potts:p.csv --out d --temperature 0", 2, "`temperature` is 0"),
        ("sample --energy potts:p.csv --out d --eta 0.5", 2, "`eta` is not read with `--energy`"),
        ("sample --energy potts:p.csv --out d --length 5", 2, "`length` is 5; 4 to 4 is accepted"),
        ("sample --energy pwm:m.txt --out d", 2, "takes 2 to 4096 letters; `--length` says how many"),
        ("sample --energy potts:bad.csv --out d", 3, "bad.csv:2:5: value `x`"),
        ("sample --energy energy:x --out d", 2, "unknown oracle kind `energy`"),
        ("sample --energy potts:p.csv --out d --method mcmc", 2, "accepted: `auto`, `trained`, `guidance`"),
        ("sample --energy potts:p.csv --out d --method guidance --paths 4", 2, "`paths` is not read"),
        ("sample --prior uniform:dna", 2, "`uniform:ALPHABET:LENGTH` is accepted"),
        ("pretrain t.csv --layers 0 --out p", 2, "`denoiser.layers` is 0"),
    ] {
        let output = toy.output(line);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && text.contains(said), "{line}: {text}");
    }
}
