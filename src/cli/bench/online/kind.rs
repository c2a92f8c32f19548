//! The online protocols by name.

/// A named protocol: what is run unless something else is asked for.
#[derive(Debug)]
pub(in crate::cli::bench) struct Kind {
    pub(super) name: &'static str,
    pub(super) methods: &'static [&'static str],
    pub(super) alphas: Option<&'static [f64]>,
    pub(super) start: &'static str,
    /// What of the start is known, where it is a whole table.
    pub(super) difficulty: Option<&'static str>,
    pub(super) oracle: &'static str,
    /// Who judges the best besides, where that is not the oracle's to do.
    pub(super) judge: Option<&'static str>,
    pub(super) rounds: usize,
    pub(super) batch: usize,
    pub(super) threshold: f64,
    /// What its page answers.
    pub(super) question: &'static str,
}

/// Everything that searches from the hard start.
pub(in crate::cli::bench) static TFBIND8: Kind = Kind {
    name: "tfbind8-online",
    methods: &["tilted", "random", "genetic", "gp-ucb"],
    alphas: None,
    start: "tfbind8-hard-start",
    difficulty: None,
    oracle: "table:tfbind8",
    judge: None,
    rounds: 10,
    batch: 128,
    threshold: 0.9,
    question: "How good does each method become, label by label, from a poor start?",
};

/// The floors on GFP, by a model of its measurements.
pub(in crate::cli::bench) static GFP: Kind = Kind {
    name: "gfp-online",
    methods: &["random", "genetic", "adalead", "gp-ucb"],
    alphas: None,
    start: "gfp",
    difficulty: Some("medium"),
    oracle: "model:gfp-reward",
    judge: Some("model:gfp-judge"),
    rounds: 15,
    batch: 256,
    // variants at least this bright are called functional
    threshold: 3.0,
    question: "How good does each method become on a model of GFP, and does a judge that it never asked agree?",
};

/// Ways to fine-tune one prior in rounds, over prices.
pub(in crate::cli::bench) static FINETUNE: Kind = Kind {
    name: "online-finetune",
    methods: &[
        "prior",
        "non-adaptive",
        "guidance",
        "greedy",
        "ppo",
        "seiko-ucb",
        "seiko-bootstrap",
        "sqdf-ucb",
        "sqdf-bootstrap",
        "sqdf-consistency",
        "sqdf-no-buffer",
        "sqdf-discounted",
    ],
    alphas: Some(&[0.08, 0.04, 0.02, 0.01, 0.005]),
    start: "tfbind8-hard-start",
    difficulty: None,
    oracle: "table:tfbind8",
    judge: None,
    rounds: 10,
    batch: 128,
    threshold: 0.9,
    question: "What does each way of fine-tuning one prior pay for a score in diversity and naturalness?",
};
