//! Where Postfix asks. Front ends read a question and say the answer; none knows another, none
//! knows SQL.

pub mod auth;
pub mod listener;
pub mod milter;
pub mod policy;
