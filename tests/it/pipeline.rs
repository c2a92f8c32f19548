//! A table in, designs out.

use crate::resume::{Toy, files};
use std::collections::HashSet;
use std::fs;

const PRETRAIN: &str = "pretrain t.csv --steps 10 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --out p";

const DESIGN: &str = "design t.csv --reward-epochs 2 --count 8 --samples 200 --alpha 0.3 --paths 32 --tuning-steps 6 \
                      --chain-steps 8 --control-dim 8 --control-layers 1 --certificate-paths 100 --base-paths 200";

const COLUMNS: [&str; 28] = [
    "id",
    "sequence",
    "mutations",
    "n_mut",
    "rank",
    "role",
    "reason",
    "predicted_mean",
    "predicted_sd",
    "judge_mean",
    "log_weight",
    "naturalness",
    "nearest_train_id",
    "nearest_train_dist",
    "nearest_train_value",
    "min_batch_dist",
    "cluster",
    "gc",
    "max_homopolymer",
    "flags",
    "plate",
    "well",
    "replicate",
    "measured_mean",
    "measured_sd",
    "n_rep",
    "status",
    "times_drawn",
];

/// `[A-Za-z][A-Za-z0-9_.-]{0,31}`: what order forms and plate readers accept.
fn is_id(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

#[test]
fn a_table_becomes_designs_and_a_page_in_the_same_bytes_for_any_number_of_threads() {
    let toy = Toy::new();
    toy.succeed(PRETRAIN);
    from_table_to_page(&toy, &format!("{DESIGN} --prior p"));
}

#[test]
#[ignore = "a prior of the default size takes most of a minute in the test profile"]
fn a_job_that_trains_its_own_prior_ends_in_the_same_bytes_for_any_number_of_threads() {
    from_table_to_page(&Toy::new(), &format!("{DESIGN} --prior-steps 20"));
}

fn from_table_to_page(toy: &Toy, design: &str) {
    let first = toy.succeed(&format!("{design} --out d --threads 1"));
    let written = files(&toy.path("d"));
    for name in ["designs.csv", "designs.fasta", "summary.json", "report.json", "report.html", "run.json", "done.json"]
    {
        assert!(written.contains_key(std::path::Path::new(name)), "{name} is missing");
    }
    let known = fs::read_to_string(toy.path("t.csv")).unwrap();
    let known: HashSet<&str> = known.lines().filter_map(|line| line.split(',').next()).collect();
    let mut table = csv::Reader::from_path(toy.path("d/designs.csv")).unwrap();
    assert_eq!(table.headers().unwrap(), COLUMNS.as_slice());
    let (mut ids, mut sequences) = (HashSet::new(), HashSet::new());
    for row in table.records().map(Result::unwrap) {
        assert!(is_id(&row[0]) && ids.insert(row[0].to_owned()), "{}", &row[0]);
        assert!(row[1].len() == 6 && row[1].bytes().all(|b| b"ACGT".contains(&b)), "{}", &row[1]);
        assert!(!known.contains(&row[1]) && sequences.insert(row[1].to_owned()), "{}", &row[1]);
        assert!(row[7].parse::<f64>().unwrap().is_finite());
    }
    assert_eq!(ids.len(), 8);

    let page = fs::read_to_string(toy.path("d/report.html")).unwrap();
    for load in ["<script src", "<link", "src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(load), "the page loads something: {load}");
    }

    let again = toy.succeed(&format!("{design} --out d --threads 2"));
    assert!(String::from_utf8_lossy(&again.stderr).contains("`d` is complete"));
    assert_eq!(first.stdout, again.stdout);
    assert!(files(&toy.path("d")) == written, "a complete job was changed");

    toy.succeed(&format!("{design} --out else/where --threads 3"));
    let other = files(&toy.path("else/where"));
    assert_eq!(written.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in &written {
        assert!(*bytes == other[name], "{} differs", name.display());
    }
}

#[test]
fn a_changed_table_is_another_job() {
    let toy = Toy::new();
    toy.succeed(PRETRAIN);
    toy.succeed(&format!("{DESIGN} --prior p --out d"));
    let table = fs::read_to_string(toy.path("t.csv")).unwrap();
    fs::write(toy.path("t.csv"), table + "ACACAC,0.9\n").unwrap();
    let output = toy.output(&format!("{DESIGN} --prior p --out d"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("versions.table: "), "{said}");
}
