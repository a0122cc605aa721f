//! Verdicts in words: what a reply says to the sender, and `explain` to the postmaster.

use std::fmt;

use super::{Assessment, Judge, Shortfall};

/// What is wrong, as the end of a sentence about the domain's SPF record.
impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortfall::Missing => f.write_str("its domain publishes no SPF record"),
            Shortfall::Invalid(fault) => fault.fmt(f),
            Shortfall::NotIncluding { relay } => {
                write!(f, "the SPF record of its domain does not include {relay}")
            }
            Shortfall::NotPassing {
                address,
                result,
                by,
            } => {
                write!(
                    f,
                    "the SPF record of its domain does not let mail from {address} pass ({result}"
                )?;
                match by {
                    Judge::Own => f.write_str(")"),
                    Judge::MailAuth => f.write_str(", by the second of two opinions)"),
                }
            }
            Shortfall::Unavailable { query, trouble } => {
                write!(f, "cannot look up {query}: {trouble}")
            }
            Shortfall::Undecided { address } => {
                write!(f, "whether mail from {address} passes could not be decided")
            }
        }
    }
}

/// The verdict, and the way there.
impl fmt::Display for Assessment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Ok(()) => f.write_str("fits")?,
            Err(shortfall) => shortfall.fmt(f)?,
        }
        for evaluation in &self.evaluations {
            f.write_str("; ")?;
            if let Some(address) = evaluation.address {
                write!(f, "{address}: ")?;
            }
            f.write_str(&evaluation.tree.chain())?;
            if let Some(result) = evaluation.result {
                write!(f, " = {result}")?;
            }
        }
        Ok(())
    }
}
