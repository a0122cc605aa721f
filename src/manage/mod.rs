//! What operators can do: checks the rules, then one transaction. Knows no terminal and no SQL.
