//! No code that runs on a device reads tensors back but through `nn::read`, which a step calls once.

use std::fs;
use std::path::Path;

/// What brings numbers of a tensor to main memory, and so waits for a device.
const READERS: [&str; 5] = [".to_vec0", ".to_vec1", ".to_vec2", ".to_vec3", ".to_scalar"];

/// The folders whose code runs on devices; kernels run on the CPU alone.
const FOLDERS: [&str; 4] = ["nn", "diffusion", "finetune", "reward"];

/// Files that read outside a training step, how often at most, and what.
const ALLOWED: [(&str, usize, &str); 12] = [
    ("nn/host.rs", 1, "the one place"),
    ("nn/optim.rs", 5, "a resumed optimiser's state"),
    ("diffusion/elbo.rs", 4, "figures of an evaluation"),
    ("diffusion/sample.rs", 1, "letters of finished samples"),
    ("diffusion/warp.rs", 1, "a resumed run's profile"),
    ("finetune/analytic/affine.rs", 1, "a handful of numbers on the CPU"),
    ("finetune/analytic/adjoint/sampling.rs", 1, "ends of one number each, kept on the CPU"),
    ("finetune/analytic/escort_training.rs", 1, "one learned number, on the CPU"),
    ("reward/ensemble.rs", 1, "predictions, on the CPU"),
    ("reward/multilinear.rs", 1, "tabulation, on the CPU"),
    ("reward/multilinear/halves.rs", 1, "the product on the CPU"),
    ("reward/train/member.rs", 2, "rewards are trained on the CPU"),
];

fn count(folder: &Path, root: &Path, found: &mut Vec<(String, usize)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        if path.is_dir() {
            count(&path, root, found);
        } else if !name.contains("tests") && !name.starts_with("nn/kernel/") && name != "nn/check.rs" {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            let reads = READERS.iter().map(|reader| code.matches(reader).count()).sum();
            if reads > 0 {
                found.push((name, reads));
            }
        }
    }
}

#[test]
fn what_runs_on_a_device_reads_back_in_the_listed_places_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for folder in FOLDERS {
        count(&root.join(folder), &root, &mut found);
    }
    let most = |name: &str| ALLOWED.iter().find(|(known, ..)| *known == name).map_or(0, |(_, most, _)| *most);
    let wrong: Vec<_> = found.iter().filter(|(name, reads)| *reads > most(name)).collect();
    assert!(
        wrong.is_empty(),
        "a read waits for the device: use `nn::read` once in a step, or say here why not: {wrong:?}"
    );
    assert!(found.iter().any(|(name, reads)| name == "nn/host.rs" && *reads == 1), "the scan sees what it looks for");
}
