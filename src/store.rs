//! Model and run folders: hashes, atomic writes, locks.
