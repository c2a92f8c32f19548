//! What people and disks do to a program: every case has a clear message, the documented exit code, and no panic.

use crate::resume::{Toy, files};
use std::fs;
use std::process::{Command, Output, Stdio};

const SMALL: &str = "--dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --steps 10";

/// A line of a table of cases: command, exit code, pieces of what is said.
type Case = (&'static str, i32, &'static [&'static str]);

fn toy() -> Toy {
    let toy = Toy::new();
    let write = |name: &str, text: &str| fs::write(toy.path(name), text).unwrap();
    let table = fs::read_to_string(toy.path("t.csv")).unwrap();
    write("plain", "a file, not a folder");
    write("empty.csv", "");
    write("n.csv", "sequence,value\nACGTAC,1\nACGTNC,2\n");
    write("nan.csv", "sequence,value\nACGTAC,1\nACGTTC,NaN\n");
    write("ids.csv", "id,sequence,value\na,ACGTAC,1\na,ACGTTC,2\n");
    write("no-values.csv", "sequence\nACGTAC\nACGTTC\n");
    write("lengths.csv", "sequence,value\nACGTAC,1\nACGTTC,2\nACGTT,3\n");
    write("three.csv", "sequence,value\nACGTAC,1\nACGTTC,2\nACGTTA,3\n");
    write("seven.csv", &table.replace(',', "A,").replace("sequenceA", "sequence"));
    write("protein.csv", &table.replace('A', "W").replace('T', "M"));
    write("lower.csv", &table.to_lowercase());
    write("bom.csv", &format!("\u{feff}{table}"));
    write("crlf.csv", &table.replace('\n', "\r\n"));
    write("key.toml", "[pretrain]\nstep = 3\n");
    write("type.toml", "[pretrain]\nsteps = \"many\"\n");
    toy
}

/// With a prior in `p` and rewards in `r`, `r7` (seven letters) and `rp` (protein).
fn with_models() -> Toy {
    let toy = toy();
    toy.succeed(&format!("pretrain t.csv --out p {SMALL}"));
    for (table, out) in [("t", "r"), ("seven", "r7"), ("protein", "rp")] {
        toy.succeed(&format!("oracle train {table}.csv --out {out} --members 2 --width 8 --epochs 1"));
    }
    toy
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn check(toy: &Toy, cases: &[Case]) {
    for (line, code, pieces) in cases {
        let output = toy.output(line);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(*code), "{line}\n{said}");
        assert!(said.contains("error: "), "{line}\n{said}");
        assert!(!said.contains("panicked"), "{line}\n{said}");
        for piece in *pieces {
            assert!(said.contains(piece), "`{piece}` is not said by\n{line}\n{said}");
        }
        assert!(output.stdout.is_empty(), "{line}");
        assert!(!toy.path("x").exists(), "`{line}` left a folder behind");
    }
}

#[test]
fn bad_files() {
    check(
        &toy(),
        &[
            ("pretrain t.csv --out x --value-column fit", 3, &["t.csv:1: no column `fit`; the columns are `sequence`"]),
            ("pretrain t.csv --out x --sequence-column sequense", 3, &["no column `sequense`", "hint: did you mean"]),
            ("pretrain n.csv --out x", 3, &["n.csv:3:1: letter `N` at position 5 is not in alphabet `dna`", "hint: "]),
            ("pretrain empty.csv --out x", 3, &["empty.csv: the file is empty", "is accepted"]),
            (
                "oracle train nan.csv --out x",
                3,
                &["nan.csv:3:2: column `value` has `NaN`; a finite number is accepted"],
            ),
            ("pretrain ids.csv --out x", 3, &["ids.csv:3:1: id `a` was used on line 2 already", "hint: "]),
            ("pretrain missing.csv --out x", 3, &["cannot read `missing.csv`", "hint: check the path"]),
            ("pretrain lengths.csv --out x", 3, &["sequences have 6 and 5 letters", "hint: align or trim"]),
            (
                "pretrain t.csv --dim 4096 --layers 64 --out x",
                6,
                &[
                    "`pretrain` needs about ",
                    " GB of memory (weights and gradients ",
                    " are free",
                    "hint: use --recompute",
                ],
            ),
            ("pretrain t.csv --out x --value-below -9", 3, &["no sequences are left", "hint: check --value-below"]),
            ("design no-values.csv --out x", 3, &["no-values.csv", "value"]),
            ("design lengths.csv --out x", 3, &["sequences have 6 and 5 letters"]),
            ("design three.csv --out x", 3, &["the table has 3 measured sequences; at least 20 are needed", "hint: "]),
            ("evaluate t.csv --reference protein.csv", 3, &["`t.csv` is dna and the reference protein", "hint: "]),
        ],
    );
}

#[test]
fn bad_settings() {
    check(
        &toy(),
        &[
            ("pretrain t.csv --out x --steps 0", 2, &["`steps` is 0; 1 to 100000000 is accepted"]),
            ("pretrain t.csv --out x --dim 7 --heads 2", 2, &["`denoiser.dim` 7 is not a multiple of"]),
            ("pretrain t.csv --out x --learning-rate nan", 2, &["`learning-rate` is NaN"]),
            (
                "pretrain t.csv --out x --config key.toml",
                2,
                &["key.toml:2:1: unknown key `pretrain.step`", "mean `steps`?"],
            ),
            (
                "pretrain t.csv --out x --config type.toml",
                2,
                &["type.toml:2:9: `pretrain.steps`: invalid type: string"],
            ),
            (
                "pretrain t.csv --out plain/x",
                6,
                &["cannot create folder `plain/x`", "hint: a part of the path is a file"],
            ),
            ("design t.csv --out x --count 0", 2, &["`count` is 0; 1 to 100000 is accepted"]),
            ("design t.csv --out x --alpha 0", 2, &["`alpha` is 0; above 0 to 1000000 is accepted"]),
            ("design t.csv --out x --alpha nan", 2, &["`alpha` is NaN"]),
            ("design t.csv --out x --prior none", 2, &["unknown model `none`"]),
            ("design t.csv --out x --judge tabel:t.csv", 2, &["unknown oracle kind `tabel`", "did you mean `table`?"]),
            ("design --out x", 2, &["`design` needs a table, or all of", "hint: for example: "]),
            ("sample", 2, &["`sample` needs `--prior`, `--consistency`, `--control` or `--energy`", "hint: "]),
            ("evaluate t.csv --threshold 1", 2, &["`--threshold` is about scores", "hint: name one with --oracle"]),
        ],
    );
}

#[test]
fn methods_and_initial_laws_that_do_not_fit() {
    check(
        &with_models(),
        &[
            (
                "finetune --prior p --reward model:r --out x --eta 0",
                2,
                &["`eta` is 0: a chain without noise has nothing"],
            ),
            ("finetune --prior p --reward model:r --out x --eta 1.5", 2, &["`eta` is 1.5; above 0 to 1 is accepted"]),
            ("finetune --prior p --reward model:r --out x --eta nan", 2, &["`eta` is NaN; above 0 to 1 is accepted"]),
            (
                "finetune --prior p --reward model:r --out x --eta 0.5",
                2,
                &["the end remembers its start", "hint: learn the initial law too with --initial staged-v2"],
            ),
            (
                "finetune --prior p --reward model:r --out x --initial staged",
                2,
                &["unknown initial route `staged`", "staged-v1"],
            ),
            (
                "finetune --prior p --reward model:r --out x --lead 4",
                2,
                &["`lead` is for a learned initial law", "hint: name one with --initial"],
            ),
            ("finetune --prior p --reward model:r --out x --initial joint --lead 0", 2, &["`lead` is 0; 1 to 10000"]),
            ("finetune --prior p --reward model:r --out x --initial joint --lead-rate nan", 2, &["`lead-rate` is NaN"]),
            (
                "finetune --prior p --reward model:r --out x --initial frozen --lead 4",
                2,
                &["`lead` is not read by initial route `frozen`", "hint: leave it out"],
            ),
            (
                "finetune --prior p --reward model:r --out x --initial joint --value-steps 4",
                2,
                &["`value-steps` is not read by initial route `joint`"],
            ),
            (
                "finetune --prior p --reward model:r --out x --initial joint --lookahead 4",
                2,
                &["`lookahead` cannot be combined with `initial`", "hint: leave one of them out"],
            ),
            (
                "finetune --prior p --reward model:r --out x --initial joint --objective ppo",
                2,
                &["`objective` cannot be combined with `initial`"],
            ),
            (
                "finetune --prior p --reward model:r --out x --initial joint --control word-table --control-start tilt",
                2,
                &["`control-start` cannot be combined with `initial`"],
            ),
            ("finetune --prior p --reward model:r --out x --divergence tv", 2, &["tv"]),
            ("finetune --prior p --reward model:r --out x --divergence order", 2, &["`order` needs its number"]),
            ("finetune --prior p --reward model:r --out x --clip 1", 2, &["`clip` is 1; above 0 to below 1"]),
            ("finetune --prior p --reward model:r --out x --reuse 0", 2, &["`reuse` is 0; 1 to"]),
            (
                "finetune --prior p --reward model:r --out x --control-start tilt",
                2,
                &["`control.start` tilt is for control `word-table`"],
            ),
        ],
    );
}

#[test]
fn steering_that_does_not_fit() {
    check(
        &with_models(),
        &[
            (
                "steer --prior p --reward model:r --method svd",
                2,
                &["unknown steering `svd`", "hint: did you mean `svdd`?"],
            ),
            ("steer --prior p --reward model:r --alpha 0", 2, &["`alpha` is 0; a finite number above 0"]),
            ("steer --prior p --reward model:r --alpha nan", 2, &["`alpha` is NaN; a finite number above 0"]),
            ("steer --prior p --reward model:r --count 0", 2, &["`count` is 0; 1 to 100000000 is accepted"]),
            ("steer --prior p --reward model:r --particles 1", 2, &["`particles` is 1; 2 to 1048576 is accepted"]),
            (
                "steer --prior p --reward model:r --candidates 4",
                2,
                &["`--candidates` is for best-of-n and svdd", "hint: "],
            ),
            ("steer --prior p --reward model:r --scale 2", 2, &["`--scale` is for guidance and --guided"]),
            ("steer --prior p --reward model:r --guided --scale inf", 2, &["`scale` is inf; a finite number"]),
            ("distil uniform:dna:6 --out d", 2, &["`uniform:dna:6` has no network to distil"]),
            ("steer --prior p --reward model:r --missing nan", 2, &["`missing` is NaN; a finite number"]),
            ("steer --prior p --reward model:r --outlook sotf", 2, &["unknown outlook `sotf`", "did you mean `soft`?"]),
            ("steer --prior p --reward model:r --hold 3", 2, &["`hold` is 3; a divisor of the 8 steps"]),
            ("steer --prior p --reward model:r --out plain/x.csv --count 4", 6, &["cannot create folder `plain`"]),
            ("steer --prior p --reward model:r7", 2, &["`r7` takes sequences of 7 letters, the prior writes 6"]),
            ("steer --prior p", 2, &["`steer` needs `--reward`", "hint: pass --reward"]),
            ("steer --reward model:r", 2, &["`steer` needs `--prior`", "hint: pass --prior"]),
            ("steer --prior r --reward model:r", 2, &["`r` is a reward, not a prior", "hint: name a prior"]),
            (
                "steer --prior p --reward table:t.csv",
                5,
                &["oracle `t` has no value for `", "hint: complete the table", "--missing REWARD"],
            ),
            (
                "steer --prior p --reward table:t.csv --method guidance",
                3,
                &["table is not complete", "hint: train a reward"],
            ),
        ],
    );
}

#[test]
fn models_that_do_not_fit() {
    let toy = with_models();
    let weights = toy.path("p/model.safetensors");
    let whole = fs::read(&weights).unwrap();
    check(
        &toy,
        &[
            ("sample --prior r", 2, &["`r` is a reward, not a prior", "hint: name a prior"]),
            ("sample --control p", 2, &["`p` is a prior, not a control"]),
            ("sample --prior p --count 0", 2, &["`count` is 0; 1 to 100000000 is accepted"]),
            ("sample --prior p --eta nan", 2, &["`eta` is NaN; 0 to 1 is accepted"]),
            ("sample --prior p --solver huen", 2, &["unknown solver `huen`", "hint: did you mean `heun`?"]),
            ("sample --prior p --out plain/x.csv", 6, &["cannot create folder `plain`"]),
            ("finetune --prior p --reward model:p --out x", 2, &["`p` is a prior, not a reward"]),
            (
                "finetune --prior p --reward r --out x",
                2,
                &["`r` is not an oracle", "a model folder is named `model:r`"],
            ),
            (
                "finetune --prior p --reward model:r7 --out x",
                2,
                &["`r7` takes sequences of 7 letters, the prior writes 6"],
            ),
            ("finetune --prior p --reward model:rp --out x", 2, &["`rp` reads protein, the prior writes dna"]),
            ("finetune --prior p --reward table:t.csv --out x", 3, &["table is not complete", "hint: train a reward"]),
            ("finetune --prior p --reward model:r --out x --alpha -1", 2, &["`alpha` is -1; above 0"]),
            ("finetune --prior p --reward model:r --out x --paths 99999999999", 2, &["`paths` is 99999999999; 1 to"]),
            ("finetune --prior p --reward model:r --out x --tuning-rate nan", 2, &["`tuning-rate` is NaN"]),
            (
                "finetune --prior p --reward model:r --out x --hold 3",
                2,
                &["`hold` is 3; a divisor of the chain's 8 steps"],
            ),
            ("finetune --prior p --reward model:r", 2, &["`finetune` needs `--out`", "hint: pass --out"]),
            ("design seven.csv --prior p --out x", 2, &["the table has 7 letters of dna, the prior writes 6 of dna"]),
            ("evaluate protein.csv --prior p", 3, &["`protein.csv` is protein, the prior `p` knows dna", "hint: "]),
            ("evaluate seven.csv --prior p", 3, &["7 letters; 6 are accepted"]),
            ("evaluate t.csv --oracle model:rp", 3, &["`t.csv` is dna, `model:rp` takes protein"]),
            ("score t.csv --oracle model:none/such", 3, &["no model folder `none/such`", "hint: "]),
        ],
    );
    fs::write(&weights, &whole[..whole.len() - 20]).unwrap();
    check(
        &toy,
        &[("sample --prior p", 7, &["p/model.safetensors: expected ", "hint: the file was cut short or changed"])],
    );
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&weights, changed).unwrap();
    check(&toy, &[("sample --prior p", 7, &["p/model.safetensors: expected ", " bytes with `"])]);
    fs::write(&weights, whole).unwrap();
    toy.succeed("sample --prior p --count 3");
}

#[test]
fn what_only_looks_bad_is_read_to_the_same_sequences() {
    let toy = toy();
    let plain = toy.succeed("data describe t.csv --json").stdout;
    for name in ["lower", "bom", "crlf"] {
        let other = toy.succeed(&format!("data describe {name}.csv --json")).stdout;
        let other = String::from_utf8(other).unwrap().replace(&format!("{name}.csv"), "t.csv");
        assert_eq!(other, String::from_utf8(plain.clone()).unwrap(), "{name}");
    }
}

#[test]
fn a_folder_with_foreign_files_is_left_as_it_is() {
    let toy = toy();
    fs::create_dir(toy.path("mine")).unwrap();
    fs::write(toy.path("mine/notes.txt"), "do not lose").unwrap();
    let output = toy.output(&format!("pretrain t.csv --out mine {SMALL}"));
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("`mine` holds files that are not of a run, such as `notes.txt`"));
    assert_eq!(files(&toy.path("mine")).len(), 1);
}

/// A limit on the size of files stands for a full disk: the write fails half way in the same manner.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_nothing_half_written_and_the_run_goes_on_afterwards() {
    let toy = toy();
    let line = format!("pretrain t.csv {SMALL}");
    let program = assert_cmd::cargo::cargo_bin("seqtilt");
    let limited = |line: &str| {
        let script = format!("trap '' XFSZ; ulimit -f 4; exec \"$0\" {line} --device cpu");
        let mut command = Command::new("bash");
        command.current_dir(toy.path("")).args(["-c", &script]).arg(&program);
        command.env("SEQTILT_DATA", toy.path("data")).output().unwrap()
    };
    let output = limited(&format!("{line} --out p"));
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains("error: cannot write `p/checkpoint.safetensors`\ncause: "), "{}", said(&output));
    let left: Vec<_> = files(&toy.path("p")).into_keys().collect();
    assert_eq!(left, ["metrics.jsonl", "run.json"].map(std::path::PathBuf::from));
    toy.succeed(&format!("{line} --out p"));
    toy.succeed(&format!("{line} --out whole"));
    assert!(files(&toy.path("p")) == files(&toy.path("whole")));
    fs::write(toy.path("old.csv"), "precious").unwrap();
    let output = limited("sample --prior p --count 2000 --out old.csv");
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert_eq!(fs::read_to_string(toy.path("old.csv")).unwrap(), "precious");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error_and_a_closed_one_is_not() {
    let toy = toy();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = toy.command("data describe t.csv").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(said(&output).contains("error: cannot write to standard output\ncause: "), "{}", said(&output));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = toy.command("data describe t.csv").stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
