//! Families of named kinds: one file and one line each.
