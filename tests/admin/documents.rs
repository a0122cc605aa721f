//! Dashboard, alert rules and documentation name figures that there are, and all of them.
