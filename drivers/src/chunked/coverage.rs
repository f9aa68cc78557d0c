//! Which writer last wrote each byte of a volume: a map of disjoint ranges.

use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Default)]
pub(crate) struct Coverage {
    /// Start → (end, writer).
    segments: BTreeMap<u64, (u64, usize)>,
}

impl Coverage {
    /// Makes `writer` the last writer of `range`.
    pub fn overwrite(&mut self, range: Range<u64>, writer: usize) {
        if range.is_empty() {
            return;
        }
        if let Some((&start, &(end, before))) = self.segments.range(..range.start).next_back()
            && end > range.start
        {
            self.segments.insert(start, (range.start, before));
            self.segments.insert(range.start, (end, before));
        }
        while let Some((&start, &(end, before))) = self.segments.range(range.clone()).next() {
            self.segments.remove(&start);
            if end > range.end {
                self.segments.insert(range.end, (end, before));
            }
        }
        self.segments.insert(range.start, (range.end, writer));
    }

    /// The parts of `range`, one writer's whole write, that nobody wrote to after it.
    pub fn visible(&self, range: Range<u64>, writer: usize) -> Vec<Range<u64>> {
        let own = self.segments.range(range).filter(|(_, (_, owner))| *owner == writer);
        own.map(|(&start, &(end, _))| start..end).collect()
    }

    /// All ranges in ascending order, each with one last writer.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.segments.iter().map(|(&start, &(end, _))| start..end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_write_in_the_middle_leaves_both_ends_to_the_one_before() {
        let mut coverage = Coverage::default();
        coverage.overwrite(0..10, 1);
        coverage.overwrite(4..6, 2);
        assert_eq!(coverage.visible(0..10, 1), [0..4, 6..10]);
        assert_eq!(coverage.visible(4..6, 2).into_iter().flatten().collect::<Vec<_>>(), [4, 5]);
    }

    proptest! {
        #[test]
        fn it_agrees_with_an_array_of_last_writers(
            writes in proptest::collection::vec((0u64..64, 0u64..20), 0..20)
        ) {
            let mut coverage = Coverage::default();
            let mut array = [None; 96];
            for (writer, (start, len)) in writes.iter().enumerate() {
                coverage.overwrite(*start..start + len, writer);
                array[*start as usize..(start + len) as usize].fill(Some(writer));
            }
            for (writer, (start, len)) in writes.iter().enumerate() {
                let seen: Vec<u64> = coverage.visible(*start..start + len, writer).into_iter().flatten().collect();
                let expected: Vec<u64> = (0..96).filter(|byte| array[*byte as usize] == Some(writer)).collect();
                prop_assert_eq!(seen, expected);
            }
            let covered: Vec<u64> = coverage.iter().flatten().collect();
            let expected: Vec<u64> = (0..96).filter(|byte| array[*byte as usize].is_some()).collect();
            prop_assert_eq!(covered, expected);
        }
    }
}
