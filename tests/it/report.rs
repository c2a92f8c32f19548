//! The report page: one rich fixture with every kind of panel.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use seqtilt::Seed;
use seqtilt::eval::exact::Frontier;
use seqtilt::eval::logo::Profile;
use seqtilt::eval::report::{
    Axis, Bar, BarGroup, Bars, Column, Dot, Facts, FrontierPlot, Funnel, HeatMap, HistogramPlot, LinePlot, Logo, Logos,
    Mark, Note, Panel, PathStep, PlateMap, Report, Rule, Scatter, ScatterGroup, Section, Series, Stage, Style, Table,
    Topic, Well,
};
use seqtilt::sequence::{Alphabet, Sequence};

const PROTEIN: &str = "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTLSYGVQCFSRYPDHMKQHDF";

fn drawn(seed: Seed, n: usize, alphabet: &Alphabet, like: &str, keep: f64) -> Vec<Sequence> {
    (0..n as u64)
        .map(|i| {
            let mut rng = seed.index(i).rng();
            let text: String = like
                .bytes()
                .map(|c| if rng.uniform() < keep { c } else { alphabet.letter(rng.below(alphabet.len()) as u8) })
                .map(char::from)
                .collect();
            Sequence::parse(&text, alphabet).unwrap()
        })
        .collect()
}

fn frontier() -> FrontierPlot {
    let mut rng = Seed::root(1).child("landscape").rng();
    let reward: Vec<f64> = (0..4096).map(|_| (0.47 + 0.15 * rng.normal()).clamp(0.0, 1.0)).collect();
    let exact = Frontier::new(&vec![1.0 / 4096.0; 4096], &reward).unwrap();
    let path = (0..=12_u64).map(|i| {
        let kl = 4.4 * (1.0 - (-0.28 * i as f64).exp());
        let lag = 0.012 + 0.05 * (-0.2 * i as f64).exp() * (i.min(1) as f64);
        PathStep { step: 50 * i, at: (kl, exact.reward_at(kl) - lag * (i.min(1) as f64)).into() }
    });
    let below = |kl: f64, gap: f64| (kl, exact.reward_at(kl) - gap).into();
    FrontierPlot {
        title: "Mean reward against KL to the prior".to_owned(),
        caption: "No sampler can lie above the line. The ring marks the checkpoint that was sampled.".to_owned(),
        x: Axis::new("KL to the prior (nats per sequence)"),
        y: Axis::new("mean reward (normalised E-score)"),
        curve: exact.curve(60).into_iter().map(|p| (p.kl, p.reward).into()).collect(),
        path: path.collect(),
        chosen: Some(10),
        marks: vec![
            Mark { name: "best of 16".to_owned(), at: below(1.83, 0.06) },
            Mark { name: "guidance".to_owned(), at: below(2.9, 0.12) },
            Mark { name: "reward-weighted MLE".to_owned(), at: below(6.4, 0.09) },
        ],
    }
}

fn progress(section: &mut Section) {
    let mut rng = Seed::root(1).child("progress").rng();
    let mut noisy = |level: f64, sd: f64| -> Vec<(f64, f64)> {
        (0..=600)
            .map(|i| (f64::from(i), 0.47 + level * (1.0 - (-f64::from(i) / 140.0).exp()) + sd * rng.normal()))
            .collect()
    };
    let (optimised, judge) = (noisy(0.44, 0.012), noisy(0.36, 0.015));
    section.add(LinePlot {
        title: "Reward by gradient step".to_owned(),
        caption: "The judge shares no data with the optimised oracle; a widening gap is reward hacking.".to_owned(),
        x: Axis::new("gradient step"),
        y: Axis::new("mean reward"),
        series: vec![
            Series::line("optimised oracle", optimised),
            Series::line("independent judge", judge).styled(Style::Dashed),
            Series::line("measured", [(0.0, 0.46), (200.0, 0.71), (400.0, 0.8), (600.0, 0.83)]).styled(Style::Marked),
        ],
        rules: vec![Rule { label: "wild type 0.62".to_owned(), value: 0.62 }],
    });
    let steps: Vec<(f64, f64)> =
        (0..40).map(|i| (f64::from(i * 15 + 1), 3.0 * (-f64::from(i) / 8.0).exp() + 0.004)).collect();
    let band = steps.iter().map(|(_, y)| 0.25 * y).collect();
    section.add(LinePlot {
        title: "Gap to the optimum".to_owned(),
        x: Axis::new("gradient step"),
        y: Axis::log("certificate gap (nats)"),
        series: vec![Series { band, ..Series::line("gap", steps) }],
        ..LinePlot::default()
    });
}

fn trust(section: &mut Section) {
    let mut rng = Seed::root(1).child("trust").rng();
    let mut group = |name: &str, n: u32, noise: f64, error: bool| ScatterGroup {
        name: name.to_owned(),
        dots: (0..n)
            .map(|i| {
                let truth = rng.uniform();
                let dot = Dot::new(truth, truth + noise * rng.normal()).named(format!("d{i:03}"));
                if error { dot.with_error(noise) } else { dot }
            })
            .collect(),
    };
    section.add(Scatter {
        title: "Predicted against measured".to_owned(),
        caption: "Held-out sequences, and the designs of round 1 with their predicted standard deviation.".to_owned(),
        x: Axis::new("measured"),
        y: Axis::new("predicted"),
        groups: vec![group("held out", 150, 0.06, false), group("round 1", 24, 0.11, true)],
        identity: true,
        figures: vec!["Spearman 0.97".to_owned(), "RMSE 0.069".to_owned(), "80 % intervals hold 76 % ± 4 %".to_owned()],
        ..Scatter::default()
    });
    section.add(Bars {
        title: "Top-128 mean by method".to_owned(),
        caption: "Mean over five seeds; whiskers are standard deviations.".to_owned(),
        axis: Axis::new("top-128 mean (normalised E-score)"),
        categories: ["KL control", "GP-UCB", "AdaLead", "Genetic algorithm", "Random"].map(str::to_owned).to_vec(),
        groups: vec![
            BarGroup {
                name: "4 rounds".to_owned(),
                bars: [0.951, 0.948, 0.921, 0.902, 0.71].map(|v| Bar::new(v, Some(0.012))).to_vec(),
            },
            BarGroup {
                name: "10 rounds".to_owned(),
                bars: [0.973, 0.971, 0.955, 0.945, 0.816].map(|v| Bar::new(v, Some(0.006))).to_vec(),
            },
        ],
    });
}

fn differences(report: &mut Report) {
    let mut rng = Seed::root(1).child("differences").rng();
    let hacking = report.section(Topic::Hacking, "Scores do not rise with the distance from the data.");
    let dots = |rng: &mut seqtilt::Rng, n: usize, level: f64| -> Vec<Dot> {
        (0..n).map(|_| Dot::new(1.0 + rng.below(5) as f64 + 0.3 * rng.uniform(), level + 0.08 * rng.normal())).collect()
    };
    hacking.add(Scatter {
        title: "Score against distance to the training data".to_owned(),
        x: Axis::new("distance to the nearest training sequence (letters)"),
        y: Axis::new("score"),
        groups: vec![
            ScatterGroup { name: "optimised oracle".to_owned(), dots: dots(&mut rng, 90, 0.9) },
            ScatterGroup { name: "judge".to_owned(), dots: dots(&mut rng, 90, 0.82) },
        ],
        ..Scatter::default()
    });
    hacking.add(Note::warning(
        "4 of 96 designs score above every measured sequence while the judge puts them below the wild type.",
    ));
    let values = |rng: &mut seqtilt::Rng, n: usize, centre: f64| -> Vec<f64> {
        (0..n).map(|_| centre + 0.14 * rng.normal()).collect()
    };
    let (prior, tuned) = (values(&mut rng, 4000, 0.47), values(&mut rng, 4000, 0.88));
    let diversity =
        report.section(Topic::Diversity, "Designs are as far apart as the frontier's law would be: 5.7 of 8 letters.");
    diversity.add(HistogramPlot {
        rules: vec![Rule { label: "wild type".to_owned(), value: 0.62 }],
        caption: "Shares of 4,000 samples each.".to_owned(),
        ..HistogramPlot::new("Reward", Axis::new("reward"), 40, &[("prior", &prior), ("tilted", &tuned)])
    });
    let far: Vec<usize> = (0..96).map(|_| 1 + rng.below(3) + rng.below(3)).collect();
    let near: Vec<usize> = (0..96).map(|_| 1 + rng.below(2)).collect();
    diversity.add(HistogramPlot::whole(
        "Distance to the nearest other design",
        Axis::new("Hamming distance (letters)"),
        &[("designs", &far), ("top 96 of training", &near)],
    ));
}

fn letters(report: &mut Report) {
    let (dna, protein) = (Alphabet::dna(), Alphabet::protein());
    let seed = Seed::root(1).child("letters");
    let logo =
        |name: &str, set: &[Sequence], v: usize| Logo { name: name.to_owned(), profile: Profile::new(set, v).unwrap() };
    let set = |label: &str, n: usize, keep: f64| drawn(seed.child(label), n, &dna, "AGGTATCA", keep);
    let section = report.section(Topic::Logos, "Training data are nearly flat; the designs share the core GGTATC.");
    section.add(Logos {
        title: "Information content".to_owned(),
        caption: "Letter heights in bits, with the small-sample correction.".to_owned(),
        letters: "ACGT".to_owned(),
        first: 1,
        logos: vec![
            logo("training", &set("train", 1024, 0.25), 4),
            logo("designs", &set("designs", 4096, 0.75), 4),
            logo("selected", &set("selected", 96, 0.88), 4),
        ],
    });
    let variants = drawn(seed.child("protein"), 200, &protein, PROTEIN, 0.93);
    section.add(Logos {
        title: "A protein".to_owned(),
        letters: String::from_utf8(protein.letters().to_vec()).unwrap(),
        first: 2,
        logos: vec![logo("designs", &variants, 20)],
        ..Logos::default()
    });
    let profile = Profile::new(&variants, 20).unwrap();
    let section = report.section(Topic::Mutations, "Mutations avoid the chromophore.");
    section.add(HeatMap {
        title: "Mutation frequency relative to the wild type".to_owned(),
        unit: "share of designs".to_owned(),
        rows: protein.letters().iter().map(|l| char::from(*l).to_string()).collect(),
        columns: (0..PROTEIN.len()).map(|i| (i + 2).to_string()).collect(),
        values: (0..20)
            .map(|a| {
                let share = |(site, wild): (&Vec<f64>, u8)| (protein.id(wild) != Some(a as u8)).then_some(site[a]);
                profile.frequencies.iter().zip(PROTEIN.bytes()).map(share).collect()
            })
            .collect(),
        marks: PROTEIN.bytes().map(|l| protein.id(l).map(usize::from)).collect(),
        mark_name: "wild type".to_owned(),
        ..HeatMap::default()
    });
    section.add(HeatMap {
        title: "Change of the log-odds".to_owned(),
        unit: "log-odds, designs over training (nats)".to_owned(),
        rows: ["A", "C", "G", "T"].map(str::to_owned).to_vec(),
        columns: (1..=8).map(|i: u32| i.to_string()).collect(),
        values: (0..4).map(|r| (0..8).map(|c| Some(f64::from((r * 5 + c * 3) % 7) - 3.0)).collect()).collect(),
        diverging: true,
        ..HeatMap::default()
    });
}

fn plate() -> PlateMap {
    let role = |i: usize| match i {
        0 | 40 | 95 => "wild type",
        7 | 60 => "best so far",
        13 | 81 => "negative",
        _ if i % 5 == 2 => "explore",
        _ => "exploit",
    };
    let well = |i: usize| Well {
        row: i / 12,
        column: i % 12,
        role: role(i).to_owned(),
        id: format!("r2-{i:03}"),
        value: (!i.is_multiple_of(4)).then_some(0.8 + 0.002 * i as f64),
    };
    let wells = (0..96).filter(|i| *i != 11 && *i != 84).map(well).collect();
    PlateMap {
        title: "Round 2, 96 wells".to_owned(),
        caption: "Seed 7; A12 and H1 are excluded.".to_owned(),
        rows: 8,
        columns: 12,
        wells,
    }
}

fn fixture() -> Report {
    let mut report = Report::new(
        "TFBind8 SIX6, tilted at α = 0.05",
        "Design 96 8-mers that bind SIX6 (reference allele) as strongly as possible, at least 2 letters apart.",
    );
    report
        .headline("Best predicted", "0.981", Some("80 % interval 0.94 to 1.00".to_owned()))
        .headline("Best measured", "0.962", Some("d017, two replicates".to_owned()))
        .headline("Gap to the optimum", "0.041 nats", Some("± 0.012".to_owned()))
        .headline("KL to the prior", "3.13 nats", Some("of 4.40 spent on the path".to_owned()))
        .headline("Labels used", "1,280", Some("of 1,280".to_owned()));
    report.answer.main_warning =
        Some("Predictions above 0.95 are 0.04 too high on held-out data: order two replicates.".to_owned());
    report.answer.verdict =
        vec!["The chain is 0.041 ± 0.012 nats from the optimum for alpha 0.05, having spent 3.17 nats.".to_owned()];
    let section = report.section(Topic::Sequences, "Click on a heading to sort.");
    let rows = drawn(Seed::root(1).child("table"), 12, &Alphabet::dna(), "AGGTATCA", 0.8).into_iter().enumerate().map(
        |(i, s)| {
            let i_f = i as f64;
            let measured = (i % 3 == 0).then_some(0.95 - 0.011 * i_f);
            vec![
                format!("d{i:03}").into(),
                s.text(&Alphabet::dna()).into(),
                (0.98 - 0.01 * i_f).into(),
                (0.01 + 0.002 * i_f).into(),
                measured.into(),
                (1 + i % 4).into(),
                ["exploit", "explore"][i % 2].into(),
            ]
        },
    );
    section.add(Table {
        title: "Designs".to_owned(),
        columns: vec![
            Column::text("id"),
            Column::sequence("sequence"),
            Column::number("predicted_mean", 3).meaning("mean of the ensemble"),
            Column::number("predicted_sd", 3),
            Column::number("measured_mean", 3),
            Column::number("nearest_train_dist", 0),
            Column::text("role"),
        ],
        rows: rows.collect(),
        reference: Some("AGGTATCA".to_owned()),
        ..Table::default()
    });
    report.section(Topic::Frontier, "The run climbs along the exact frontier.").add(frontier()).add(Facts {
        title: "Certificate".to_owned(),
        items: [
            ("gap", "0.041 ± 0.012 nats"),
            ("log Z", "15.068 ± 0.011"),
            ("path KL", "3.171 ± 0.009 nats"),
            ("effective base samples", "23,950 of 1,000,000"),
        ]
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .to_vec(),
    });
    report
        .section(Topic::Plate, "Controls sit apart from each other; the placement is random with seed 7.")
        .add(plate());
    progress(report.section(Topic::Progress, "The judge follows the optimised oracle."));
    trust(report.section(Topic::Trust, "Ranks are right; the top is over-predicted."));
    differences(&mut report);
    letters(&mut report);
    report.section(Topic::Funnel, "Most samples are lost to the distance rule.").add(Funnel {
        title: "From samples to designs".to_owned(),
        start_name: "sampled".to_owned(),
        start: 20_000,
        stages: [
            ("distinct", 14_210, None),
            ("not in training data", 13_877, None),
            ("GC 30–70 %", 9_410, Some("GC 71 %")),
            ("no homopolymer over 4", 9_033, Some("5 × A in AAAAATCG")),
            ("2 letters apart", 96, None),
        ]
        .map(|(rule, passed, miss): (&str, u64, Option<&str>)| Stage {
            rule: rule.to_owned(),
            passed,
            nearest_miss: miss.map(str::to_owned),
        })
        .to_vec(),
        ..Funnel::default()
    });
    report
        .origin("command", "seqtilt finetune --prior tfbind8 --alpha 0.05 --seed 7")
        .origin("seqtilt", "0.1.0")
        .origin("seed", "7")
        .origin("prior sha256", "cf586a49b3409c5c…");
    report
}

#[test]
fn the_page_is_self_contained_complete_and_deterministic() {
    let report = fixture();
    let page = report.html();
    std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html"), &page).unwrap();
    assert_eq!(page, report.html());
    let json = report.to_json().unwrap();
    let read = Report::from_json(&json).unwrap();
    assert_eq!(read, report);
    assert_eq!(read.to_json().unwrap(), json);
    assert_eq!(read.html(), page, "a stored report renders to the same bytes");
    for outside in ["http:", "https:", "//cdn", "@import", "src=", "url("] {
        assert!(!page.contains(outside), "the page refers to `{outside}`");
    }
    for broken in ["NaN", "inf\"", "undefined"] {
        assert!(!page.contains(broken), "`{broken}` in the page");
    }
    let order: Vec<usize> = [
        "Plate",
        "Reward over the run",
        "Reward against divergence",
        "Can the predictor",
        "Is the predictor",
        "Diversity",
        "Sequence logos",
        "Mutations",
        "Filters",
        "Sequences",
        "Provenance",
    ]
    .iter()
    .map(|title| page.find(&format!("<h2>{title}")).unwrap_or_else(|| panic!("no section {title}")))
    .collect();
    assert!(order.is_sorted(), "sections stand in the order of the topics");
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("role=\"img\"").count(), page.matches("aria-label=\"").count() - 2);
}

#[test]
fn elements_are_balanced() {
    let page = fixture().html();
    let body = &page[page.find("<body>").unwrap()..page.find("<script>").unwrap()];
    let mut open: Vec<&str> = Vec::new();
    for tag in body.split('<').skip(1).map(|rest| &rest[..rest.find('>').expect("every tag ends")]) {
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes something else");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, ["body"]);
}

#[test]
fn text_from_outside_cannot_become_markup() {
    let evil = "<script>alert(\"x\")</script>&'";
    let mut report = Report::new(evil, evil);
    report.headline(evil, evil, Some(evil.to_owned())).origin(evil, evil);
    report.answer.main_warning = Some(evil.to_owned());
    let axis = || Axis::new(evil);
    let panels: Vec<Panel> = vec![
        Note::info(evil).into(),
        LinePlot {
            title: evil.to_owned(),
            x: axis(),
            y: axis(),
            series: vec![Series::line(evil, [(0.0, 1.0), (1.0, 2.0)]), Series::line(evil, [])],
            rules: vec![Rule { label: evil.to_owned(), value: 1.5 }],
            caption: evil.to_owned(),
        }
        .into(),
        Table {
            columns: vec![Column::text(evil).meaning(evil), Column::sequence("s")],
            rows: vec![vec![evil.into(), evil.into()]],
            ..Table::default()
        }
        .into(),
        Scatter {
            title: evil.to_owned(),
            groups: vec![ScatterGroup { name: evil.to_owned(), dots: vec![Dot::new(1.0, 1.0).named(evil)] }],
            figures: vec![evil.to_owned()],
            ..Scatter::default()
        }
        .into(),
        Logos { letters: "ACGT<".to_owned(), ..Logos::default() }.into(),
    ];
    let section = report.section(Topic::Other, evil);
    for panel in panels {
        section.add(panel);
    }
    let page = report.html();
    assert_eq!(page.matches("<script").count(), 1, "only the page's own script");
    assert!(!page.contains("alert(\""));
}

#[test]
fn missing_numbers_leave_gaps_and_empty_panels_say_so() {
    let mut report = Report::new("t", "q");
    let gap = Series::line("a", [(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 4.0), (4.0, 5.0)]);
    report
        .section(Topic::Other, "")
        .add(LinePlot { series: vec![gap], ..LinePlot::default() })
        .add(LinePlot::default())
        .add(FrontierPlot::default())
        .add(Scatter::default())
        .add(Bars::default())
        .add(HistogramPlot::default())
        .add(HeatMap::default())
        .add(Funnel::default())
        .add(PlateMap::default())
        .add(Table::default());
    let page = report.html();
    assert!(page.matches("no data").count() >= 6);
    assert!(!page.contains("NaN") && !page.contains("inf "));
    let read = Report::from_json(&report.to_json().unwrap()).unwrap();
    assert_eq!(read.html(), page);
    let error = Report::from_json("{\n  \"title\": \"t\",\n  \"titel\": 3\n}").unwrap_err();
    assert!(error.to_string().contains("titel"), "{error}");
}
