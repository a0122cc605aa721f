-- Version 3: audit mode with an end. NULL: it ends when somebody ends it, or there is none.

ALTER TABLE user ADD COLUMN enforce_until INTEGER;
