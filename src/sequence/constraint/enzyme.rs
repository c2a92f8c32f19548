//! Restriction enzymes by name.

use crate::registry::registry;

/// A restriction enzyme.
#[derive(Clone, Copy, Debug)]
pub struct Enzyme {
    /// What it recognises, 5′ to 3′, in IUPAC letters.
    pub site: &'static str,
}

registry! {
    /// Restriction enzymes of everyday cloning and of Golden Gate assembly; sites as in REBASE.
    pub ENZYMES: Enzyme, "restriction enzyme", "restriction enzymes";
    "AscI" => Enzyme { site: "GGCGCGCC" }, "GGCGCGCC";
    "BamHI" => Enzyme { site: "GGATCC" }, "GGATCC";
    "BbsI" => Enzyme { site: "GAAGAC" }, "GAAGAC, Golden Gate";
    "BglII" => Enzyme { site: "AGATCT" }, "AGATCT";
    "BsaI" => Enzyme { site: "GGTCTC" }, "GGTCTC, Golden Gate";
    "BsmBI" => Enzyme { site: "CGTCTC" }, "CGTCTC, Golden Gate";
    "ClaI" => Enzyme { site: "ATCGAT" }, "ATCGAT";
    "EcoRI" => Enzyme { site: "GAATTC" }, "GAATTC";
    "EcoRV" => Enzyme { site: "GATATC" }, "GATATC";
    "HindIII" => Enzyme { site: "AAGCTT" }, "AAGCTT";
    "KpnI" => Enzyme { site: "GGTACC" }, "GGTACC";
    "MluI" => Enzyme { site: "ACGCGT" }, "ACGCGT";
    "NcoI" => Enzyme { site: "CCATGG" }, "CCATGG";
    "NdeI" => Enzyme { site: "CATATG" }, "CATATG";
    "NheI" => Enzyme { site: "GCTAGC" }, "GCTAGC";
    "NotI" => Enzyme { site: "GCGGCCGC" }, "GCGGCCGC";
    "PacI" => Enzyme { site: "TTAATTAA" }, "TTAATTAA";
    "PstI" => Enzyme { site: "CTGCAG" }, "CTGCAG";
    "PvuII" => Enzyme { site: "CAGCTG" }, "CAGCTG";
    "SacI" => Enzyme { site: "GAGCTC" }, "GAGCTC";
    "SalI" => Enzyme { site: "GTCGAC" }, "GTCGAC";
    "SapI" => Enzyme { site: "GCTCTTC" }, "GCTCTTC, Golden Gate";
    "SfiI" => Enzyme { site: "GGCCNNNNNGGCC" }, "GGCCNNNNNGGCC";
    "SmaI" => Enzyme { site: "CCCGGG" }, "CCCGGG";
    "SpeI" => Enzyme { site: "ACTAGT" }, "ACTAGT";
    "SphI" => Enzyme { site: "GCATGC" }, "GCATGC";
    "XbaI" => Enzyme { site: "TCTAGA" }, "TCTAGA";
    "XhoI" => Enzyme { site: "CTCGAG" }, "CTCGAG";
}
