//! `seqtilt report`: the page of a run made again from its folder.

use crate::resume::Toy;
use std::fs;

const PRETRAIN: &str = "pretrain t.csv --steps 10 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --out p";
const TRAIN: &str = "oracle train t.csv --members 2 --width 8 --epochs 2 --hold-out 0.2 --out r";
const TUNING: &str = "--tuning-steps 2 --paths 16 --control-dim 8 --control-layers 1";

impl Toy {
    fn refuse(&self, line: &str, code: i32) -> String {
        let output = self.output(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{line}\n{said}");
        said
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }
}

#[test]
fn the_pages_of_a_job_and_of_its_parts_come_back_in_the_same_bytes() {
    let toy = Toy::new();
    toy.succeed(PRETRAIN);
    let design = format!(
        "design t.csv --prior p --out d --reward-epochs 2 --count 8 --samples 200 --alpha 0.3 --chain-steps 8 \
         --certificate-paths 100 --base-paths 200 {TUNING}"
    );
    toy.succeed(&design);
    let page = toy.bytes("d/report.html");
    fs::remove_file(toy.path("d/report.html")).unwrap();
    let output = toy.succeed("report d");
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("d/report.html  seqtilt design  "));
    assert!(toy.bytes("d/report.html") == page, "the page of the job differs");
    let again = toy.succeed(&design);
    assert!(String::from_utf8_lossy(&again.stderr).contains("`d` is complete"), "the run is as it was");

    let output = toy.succeed("report d/finetune --out new/tuned.html --json");
    assert!(toy.bytes("new/tuned.html") == toy.bytes("d/finetune/report.html"), "the page of the part differs");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["run"], &said["file"]), (&"d/finetune".into(), &"new/tuned.html".into()));
    assert_eq!(said["sha256"], seqtilt::store::sha256(&toy.bytes("new/tuned.html")));

    let said = toy.refuse("report d/reward", 3);
    assert!(said.contains("`d/reward` has no report: this run of `oracle train` is part of another"), "{said}");
    assert!(said.contains("hint: `seqtilt report d` shows its figures"), "{said}");
}

#[test]
fn the_pages_of_benchmarks_come_back_in_the_same_bytes() {
    let toy = Toy::new();
    let words = (0..256_usize).map(|i| [i / 64, i / 16 % 4, i / 4 % 4, i % 4]);
    let row = |word: [usize; 4]| {
        let letters: String = word.iter().map(|id| char::from(b"ACGT"[*id])).collect();
        format!("{letters},{}\n", word.iter().sum::<usize>() as f64 / 12.0)
    };
    fs::write(toy.path("w.csv"), "sequence,value\n".to_owned() + &words.map(row).collect::<String>()).unwrap();
    toy.succeed(&PRETRAIN.replace("t.csv", "w.csv").replace("--steps 10", "--steps 3"));
    for bench in [
        "bench exact --reward table:w.csv --alphas 0.5 --seeds 0 --certificate-paths 300 --base-paths 2000",
        "bench frontier --reward table:w.csv --judge table:w.csv --alphas 0.5 --kl-budget 1 --certificate-paths 300 \
         --base-paths 2000 --samples 100",
        "bench tfbind8-offline --data w.csv --seeds 3 --reward-epochs 2 --samples 200 --count 10 \
         --certificate-paths 150 --base-paths 300",
    ] {
        let out = bench.split(' ').nth(1).unwrap();
        toy.succeed(&format!("{bench} --prior p --chain-steps 8 {TUNING} --out {out}"));
        let page = toy.bytes(&format!("{out}/report.html"));
        toy.succeed(&format!("report {out} --out again.html"));
        assert!(toy.bytes("again.html") == page, "the page of {out} differs");
    }
    fs::write(toy.path("s.csv"), "sequence,value\nAAAA,0\nAACA,0.0833\nCAAA,0.0833\n").unwrap();
    toy.succeed(
        "bench tfbind8-online --start s.csv --oracle table:w.csv --methods genetic,gp-ucb --seeds 0,1 --rounds 2 --batch 8 \
         --out tfbind8-online",
    );
    let page = toy.bytes("tfbind8-online/report.html");
    toy.succeed("report tfbind8-online --out again.html");
    assert!(toy.bytes("again.html") == page, "the page of tfbind8-online differs");
    let said = toy.refuse("report tfbind8-offline/seed3", 3);
    assert!(said.contains("hint: `seqtilt report tfbind8-offline`"), "{said}");
    fs::remove_file(toy.path("exact/report.json")).unwrap();
    assert!(toy.refuse("report exact", 3).contains("`exact` has no report yet"));
}

#[test]
fn a_pretraining_and_a_reward_get_their_pages_here() {
    let toy = Toy::new();
    toy.succeed(PRETRAIN);
    toy.succeed(TRAIN);
    for (run, says) in [("p", "held-out bound (nats per token)"), ("r", "rank correlation")] {
        toy.succeed(&format!("report {run}"));
        let page = toy.text(&format!("{run}/report.html"));
        assert!(page.contains(says) && page.contains("Loss by optimiser step") && page.contains("t.csv"), "{run}");
        toy.succeed(&format!("report {run} --out again.html --threads 1"));
        assert_eq!(toy.text("again.html"), page);
    }
    // another page is beside the run, not in it: the runs are still complete
    assert!(String::from_utf8_lossy(&toy.succeed(PRETRAIN).stderr).contains("`p` is complete"));
    assert!(String::from_utf8_lossy(&toy.succeed(TRAIN).stderr).contains("`r` is complete"));
}

#[test]
fn what_is_not_a_whole_run_is_refused_with_a_way_out() {
    let toy = Toy::new();
    assert!(toy.refuse("report none", 3).contains("`none` does not exist"));
    assert!(toy.refuse("report t.csv", 3).contains("`t.csv` is not a folder"));
    fs::create_dir(toy.path("empty")).unwrap();
    let said = toy.refuse("report empty", 3);
    assert!(said.contains("`empty` is not the folder of a run") && said.contains("\nhint: name what --out"), "{said}");

    toy.succeed(TRAIN);
    fs::create_dir(toy.path("begun")).unwrap();
    fs::copy(toy.path("r/run.json"), toy.path("begun/run.json")).unwrap();
    let said = toy.refuse("report begun", 3);
    assert!(said.contains("`begun` has no report yet: `oracle train` has not come to its end"), "{said}");

    // a run whose record says that its page had other bytes: kept as it is
    let done = toy.text("r/done.json");
    let entry = r#""files": { "report.html": { "bytes": 4, "sha256": "00" },"#;
    fs::write(toy.path("r/done.json"), done.replace("\"files\": {", entry)).unwrap();
    fs::write(toy.path("r/report.html"), "page").unwrap();
    let said = toy.refuse("report r", 2);
    assert!(said.contains("in other bytes") && said.contains("hint: pass --out FILE"), "{said}");
    assert_eq!(toy.text("r/report.html"), "page");
    toy.succeed("report r --out elsewhere.html");

    let figures = toy.text("r/report.json");
    fs::write(toy.path("r/report.json"), figures.replace("rmse", "rmsf")).unwrap();
    assert!(toy.refuse("report r", 7).contains("r/report.json: expected"));
}
