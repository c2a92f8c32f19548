//! The command line from outside: help pages, and what it says to those who mistype.

use assert_cmd::Command;
use std::path::PathBuf;

/// A run of the program, away from this machine's own settings.
fn seqtilt(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("seqtilt").unwrap();
    command.args(arguments).env_remove("SEQTILT_DATA").env_remove("RUST_BACKTRACE").env_remove("COLUMNS");
    command
}

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Outcome {
    let output = seqtilt(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A run with a settings file of this content; `FILE` stands for its path in what is printed.
fn run_with_file(content: &str, arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("run.toml");
    std::fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap();
    let mut outcome = run(&[&["--config", path], arguments].concat());
    outcome.err = outcome.err.replace(path, "FILE");
    outcome
}

/// The verbs that a help page lists.
fn verbs(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| !["Verbs:", "Commands:"].contains(line)).skip(1);
    let names =
        lines.take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

fn snapshot_pages(path: &[&str]) {
    let page = run(&[path, &["--help"]].concat());
    assert_eq!(page.code, 0, "{}", page.err);
    assert!(page.out.contains("\nExamples:\n"), "`{}` has no examples", path.join(" "));
    insta::assert_snapshot!([&["help"], path].concat().join("_"), page.out);
    for verb in verbs(&page.out) {
        snapshot_pages(&[path, &[verb.as_str()]].concat());
    }
}

#[test]
fn every_help_page_is_as_reviewed() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, { snapshot_pages(&[]) });
}

#[test]
fn the_short_help_is_short() {
    let (short, long) = (run(&["-h"]), run(&["--help"]));
    assert!(short.out.lines().count() < long.out.lines().count());
    assert!(!short.out.contains("Examples:"));
}

#[test]
fn the_version_is_the_packages() {
    assert_eq!(run(&["--version"]).out, format!("seqtilt {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_verb_is_a_usage_error_that_names_the_nearest() {
    let outcome = run(&["docter"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (2, ""));
    assert!(outcome.err.contains("'doctor'"), "{}", outcome.err);
}

#[test]
fn an_unknown_key_of_the_file_has_a_place_and_a_hint() {
    let outcome = run_with_file("\nsede = 1\n", &["doctor"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.starts_with("error: FILE:2:1: unknown global key `sede`; accepted: `"), "{}", outcome.err);
    assert!(outcome.err.ends_with("hint: did you mean `seed`?\n"), "{}", outcome.err);
}

#[test]
fn a_wrong_type_in_the_file_names_key_and_types() {
    let outcome = run_with_file("threads = \"two\"\n", &["doctor"]);
    assert_eq!(outcome.code, 2);
    assert_eq!(outcome.err, "error: FILE:1:11: `threads`: invalid type: string \"two\", expected usize\n");
}

#[test]
fn broken_toml_has_a_place() {
    let outcome = run_with_file("seed = 1\nthreads = = 2\n", &["doctor"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.starts_with("error: FILE:2:"), "{}", outcome.err);
}

#[test]
fn a_missing_settings_file_is_a_usage_error() {
    let outcome = run(&["doctor", "--config", "no/such/file.toml"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.starts_with("error: cannot read the settings file `no/such/file.toml`\ncause: "));
    assert!(outcome.err.contains("\nhint: check the path after --config"), "{}", outcome.err);
}

#[test]
fn flags_win_over_the_file() {
    let threads =
        |outcome: Outcome| serde_json::from_str::<serde_json::Value>(&outcome.out).unwrap()["threads"].clone();
    assert_eq!(threads(run_with_file("threads = 3\n", &["doctor", "--json"])), 3);
    assert_eq!(threads(run_with_file("threads = 3\n", &["doctor", "--json", "--threads", "2"])), 2);
}

#[test]
fn threads_out_of_range_are_refused() {
    for bad in ["0", "257", "18446744073709551615"] {
        let outcome = run(&["list", "--threads", bad]);
        assert_eq!(outcome.code, 2);
        assert_eq!(outcome.err, format!("error: `threads` is {bad}; 1 to 256 is accepted\n"));
    }
    for bad in ["-1", "two", "1.5", "18446744073709551616", ""] {
        assert_eq!(run(&["list", "--threads", bad]).code, 2, "{bad}");
    }
}

#[test]
fn seeds_out_of_range_are_refused() {
    assert_eq!(run(&["list", "--seed", "9223372036854775807"]).code, 0);
    for bad in ["-1", "9223372036854775808", "x"] {
        assert_eq!(run(&["list", "--seed", bad]).code, 2, "{bad}");
    }
}

#[test]
fn an_unknown_device_lists_those_that_exist() {
    let outcome = run(&["doctor", "--device", "gpu"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.contains("accepted: `auto`, `cpu`, `cuda`, `cuda:N`"), "{}", outcome.err);
}

#[cfg(not(feature = "cuda"))]
#[test]
fn cuda_on_a_build_without_it_is_a_device_error_with_a_way_out() {
    let outcome = run(&["doctor", "--device", "cuda"]);
    assert_eq!(outcome.code, 6);
    assert!(outcome.err.contains("\nhint: pass --device cpu"), "{}", outcome.err);
}

/// Whether there is no driver's device at all or only not this one.
#[cfg(feature = "cuda")]
#[test]
fn a_device_that_is_not_there_is_a_device_error_with_the_drivers_reason() {
    let outcome = run(&["doctor", "--device", "cuda:63"]);
    assert_eq!(outcome.code, 6);
    assert!(outcome.err.starts_with("error: device `cuda:63` cannot be opened\n"), "{}", outcome.err);
    assert!(outcome.err.contains("CUDA_ERROR_") && outcome.err.contains("\nhint: `seqtilt doctor`"), "{}", outcome.err);
}

#[test]
fn the_cpu_refuses_precisions_of_devices_before_any_work() {
    for precision in ["tf32", "bf16"] {
        let outcome = run(&["list", "--device", "cpu", "--precision", precision]);
        assert_eq!(outcome.code, 2);
        let told =
            format!("error: `precision` is `{precision}`; on the CPU `f32` is accepted\nhint: leave --precision out");
        assert!(outcome.err.starts_with(&told), "{}", outcome.err);
    }
    assert_eq!(run(&["list", "--device", "cpu", "--precision", "f32"]).code, 0);
    let outcome = run(&["list", "--precision", "f16"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.contains("accepted: `f32`, `tf32`, `bf16`"), "{}", outcome.err);
    let outcome = run_with_file("device = \"cpu\"\nprecision = \"tf32\"\n", &["list"]);
    assert_eq!(outcome.code, 2, "{}", outcome.err);
}

/// On a machine with a device this says that it opens; on one without, which error the driver gives.
#[test]
fn doctor_names_driver_devices_and_libraries() {
    let outcome = run(&["doctor", "--json", "--device", "cpu"]);
    let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    let cuda = &report["cuda"];
    assert_eq!(cuda["built_in"], cfg!(feature = "cuda"));
    assert!(!cuda["reason"].as_str().unwrap().is_empty());
    let libraries = cuda["libraries"].as_array().unwrap();
    let names: Vec<&str> = libraries.iter().map(|library| library["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"libcuda.so.1") && names.contains(&"libcublas.so.13"), "{names:?}");
    let text = run(&["doctor", "--device", "cpu"]).out;
    for library in libraries.iter().filter(|library| library["path"].is_null()) {
        assert!(text.contains(library["name"].as_str().unwrap()), "{text}");
    }
}

#[test]
fn what_doctor_says_for_programs_is_json() {
    let outcome = run(&["doctor", "--json", "--data-dir", "no/such/folder", "--device", "cpu"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["data_dir"], "no/such/folder");
    assert!(report["cores"].as_u64().unwrap() >= 1);
}

#[test]
fn the_data_folder_comes_from_the_environment_unless_a_flag_names_it() {
    let folder = |command: &mut Command| {
        let output = command.env("SEQTILT_DATA", "from-env").output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["data_dir"].clone()
    };
    assert_eq!(folder(&mut seqtilt(&["doctor", "--json"])), "from-env");
    assert_eq!(folder(&mut seqtilt(&["doctor", "--json", "--data-dir", "from-flag"])), "from-flag");
}

#[test]
fn an_unknown_model_or_family_names_what_there_is() {
    let outcome = run(&["list", "alphabet"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.contains("hint: did you mean `alphabets`?"), "{}", outcome.err);
    assert_eq!(run(&["models", "info", "no-such-model"]).code, 2);
    assert_eq!(run(&["models", "verify", "no/such/folder"]).code, 3);
}

#[test]
fn a_changed_model_folder_is_an_integrity_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m");
    let model = seqtilt::store::ModelFolder::new("prior", &1, seqtilt::store::Tensors::new()).unwrap();
    model.with_card("# Mine\n").save(&path).unwrap();
    let name = path.to_str().unwrap();
    assert_eq!(run(&["models", "verify", name]).code, 0);
    assert!(run(&["models", "info", name]).out.contains("# Mine"));
    std::fs::write(path.join("CARD.md"), "# Theirs\n").unwrap();
    let outcome = run(&["models", "verify", name]);
    assert_eq!(outcome.code, 7);
    assert!(outcome.err.contains("CARD.md: expected 7 bytes"), "{}", outcome.err);
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let binary = assert_cmd::cargo::cargo_bin("seqtilt");
    let mut command = std::process::Command::new(binary);
    let output = command.args(["completions", "bash"]).stdout(writer).stderr(std::process::Stdio::piped()).output();
    let output = output.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = run(&["completions", shell]);
        assert_eq!(outcome.code, 0);
        assert!(outcome.out.contains("doctor"), "{shell}");
    }
}

#[test]
fn quiet_and_verbose_exclude_each_other() {
    assert_eq!(run(&["list", "--quiet", "--verbose"]).code, 2);
}
