//! Memory for intermediate numbers that is used again instead of being cleared and given back.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// Numbers that a thread keeps for later, at most: 256 MiB.
const HELD: usize = 64 << 20;

#[derive(Default)]
struct Shelf {
    by_length: BTreeMap<usize, Vec<Vec<f32>>>,
    held: usize,
}

thread_local! {
    static SHELF: RefCell<Shelf> = RefCell::default();
}

/// Numbers whose memory goes back on the thread's shelf.
pub(super) struct Buffer {
    numbers: Vec<f32>,
    len: usize,
}

impl Buffer {
    /// `len` numbers, whatever they were last: to be written before they are read.
    pub(super) fn new(len: usize) -> Self {
        let numbers = SHELF.with_borrow_mut(|shelf| shelf.take(len)).unwrap_or_else(|| vec![0.0; len]);
        Self { numbers, len }
    }

    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let mut buffer = Self::new(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Shelf {
    /// The shortest one that holds `len` numbers and is not much longer.
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let (&length, shelf) = self.by_length.range_mut(len..=len + len / 4).find(|(_, shelf)| !shelf.is_empty())?;
        self.held -= length;
        shelf.pop()
    }

    fn give(&mut self, numbers: Vec<f32>) {
        if self.held + numbers.len() <= HELD {
            self.held += numbers.len();
            self.by_length.entry(numbers.len()).or_default().push(numbers);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        // a thread that ends has no shelf any more
        let _ = SHELF.try_with(|shelf| shelf.borrow_mut().give(numbers));
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_for_what_is_about_as_long() {
        let first = Buffer::new(100);
        let address = first.as_ptr();
        drop(first);
        let longer = Buffer::new(101);
        assert_ne!(longer.as_ptr(), address);
        let shorter = Buffer::zeros(90);
        assert_eq!((shorter.as_ptr(), shorter.len()), (address, 90));
        assert!(shorter.iter().all(|x| *x == 0.0));
        assert_ne!(Buffer::new(10).as_ptr(), address);
    }

    #[test]
    fn the_shelf_has_an_end() {
        let mut shelf = Shelf::default();
        shelf.give(vec![0.0; 10]);
        shelf.held = HELD;
        shelf.give(vec![0.0; 10]);
        assert_eq!(shelf.by_length[&10].len(), 1);
    }
}
