//! Pages about the whole: conventions, decisions, changes.

#[doc = include_str!("doc/conventions.md")]
pub mod conventions {}

#[doc = include_str!("doc/algorithms.md")]
pub mod algorithms {}

#[doc = include_str!("doc/oracle-protocol.md")]
pub mod oracle_protocol {}

#[doc = include_str!("doc/choosing-a-divergence.md")]
///
/// <div>
#[doc = include_str!("doc/choosing-a-divergence.svg")]
/// </div>
pub mod choosing_a_divergence {}

#[doc = include_str!("doc/which-method.md")]
pub mod which_method {}

#[doc = include_str!("doc/finetuning-log.md")]
pub mod finetuning_log {}

#[doc = include_str!("doc/engine-log.md")]
pub mod engine_log {}

#[doc = include_str!("doc/online-log.md")]
pub mod online_log {}

#[doc = include_str!("doc/gfp.md")]
pub mod gfp {}

#[doc = include_str!("doc/variance.md")]
///
/// <div>
#[doc = include_str!("doc/variance.svg")]
/// </div>
pub mod variance {}

#[doc = include_str!("doc/changelog.md")]
pub mod changelog {}

/// What was decided and why.
pub mod decisions {
    #[doc = include_str!("doc/decisions/cuda.md")]
    pub mod cuda {}

    #[doc = include_str!("doc/decisions/dependencies.md")]
    pub mod dependencies {}

    #[doc = include_str!("doc/decisions/engine.md")]
    pub mod engine {}

    #[doc = include_str!("doc/decisions/methods.md")]
    pub mod methods {}

    #[doc = include_str!("doc/decisions/module-order.md")]
    pub mod module_order {}

    #[doc = include_str!("doc/decisions/run-folders.md")]
    pub mod run_folders {}

    #[doc = include_str!("doc/decisions/search.md")]
    pub mod search {}

    #[doc = include_str!("doc/decisions/tilted-chain.md")]
    pub mod tilted_chain {}

    #[doc = include_str!("doc/decisions/settings.md")]
    pub mod settings {}
}
