//! Where values stand in their files.

use serde::{Deserialize, Serialize};

/// A value's place in its file: where it starts, and the bytes it spans (of the file as it stands in Git).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The first byte.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
}

/// The position of each value of an object, by its JSON pointer (RFC 6901).
///
/// There is one for each value of each manifest, so they are packed: all pointers in one text, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Positions {
    pointers: Box<str>,
    places: Box<[Packed]>,
}

/// Where its pointer ends in the text; line, column, start and end. Files are far smaller than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Packed(u32, u32, u32, u32, u32);

impl Positions {
    /// Where the value at this pointer stands.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<Position> {
        let (mut low, mut high) = (0, self.places.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.pointer(middle)?.cmp(pointer) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.places.get(middle).map(Packed::position),
            }
        }
        None
    }

    /// All pointers with their positions, in the order of their pointers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Position)> {
        self.places.iter().enumerate().filter_map(|(at, packed)| Some((self.pointer(at)?, packed.position())))
    }

    /// The same positions, cut so that none ends behind this byte.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        for packed in &mut self.places {
            packed.4 = packed.4.min(packed_number(bytes));
        }
        self
    }

    /// `None` where what was kept is none of ours.
    fn pointer(&self, at: usize) -> Option<&str> {
        let end = |at: usize| self.places.get(at).and_then(|packed| usize::try_from(packed.0).ok());
        let start = if at == 0 { 0 } else { end(at - 1)? };
        self.pointers.get(start..end(at)?)
    }
}

impl Packed {
    fn position(&self) -> Position {
        let byte = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Position { line: self.1, column: self.2, start: byte(self.3), end: byte(self.4) }
    }
}

fn packed_number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Positions as they are found, in any order: all pointers in one text.
#[derive(Debug, Default)]
pub struct Found {
    pointers: String,
    /// Where each pointer ends in the text, and its position.
    places: Vec<(usize, Position)>,
}

impl Found {
    /// The position of the value at this pointer; the last one of a pointer counts.
    pub fn add(&mut self, pointer: &str, position: Position) {
        self.pointers.push_str(pointer);
        self.places.push((self.pointers.len(), position));
    }

    fn pointer(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.places[at - 1].0 };
        &self.pointers[start..self.places[at].0]
    }
}

impl From<Found> for Positions {
    fn from(found: Found) -> Self {
        let mut order: Vec<usize> = (0..found.places.len()).collect();
        order.sort_by_key(|at| found.pointer(*at));
        let mut pointers = String::with_capacity(found.pointers.len());
        let mut places = Vec::with_capacity(order.len());
        for (next, at) in order.iter().enumerate() {
            let pointer = found.pointer(*at);
            if order.get(next + 1).is_some_and(|next| found.pointer(*next) == pointer) {
                continue;
            }
            pointers.push_str(pointer);
            let Position { line, column, start, end } = found.places[*at].1;
            places.push(Packed(packed_number(pointers.len()), line, column, packed_number(start), packed_number(end)));
        }
        Self { pointers: pointers.into(), places: places.into() }
    }
}

impl<Pointer: AsRef<str>> FromIterator<(Pointer, Position)> for Positions {
    fn from_iter<I: IntoIterator<Item = (Pointer, Position)>>(positions: I) -> Self {
        let mut found = Found::default();
        for (pointer, position) in positions {
            found.add(pointer.as_ref(), position);
        }
        found.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_in_is_found_and_nothing_else(
            all in prop::collection::btree_map("(/[a-c~.-]{0,3}){0,4}", (1_u32..9, 1_u32..9, 0_usize..99, 0_usize..99), 0..20),
            others in prop::collection::vec("(/[a-c~.-]{0,3}){0,4}", 0..20),
        ) {
            let position = |(line, column, start, end)| Position { line, column, start, end };
            let all: BTreeMap<String, Position> = all.into_iter().map(|(pointer, at)| (pointer, position(at))).collect();
            let positions: Positions = all.clone().into_iter().collect();
            prop_assert!(positions.iter().eq(all.iter().map(|(pointer, at)| (pointer.as_str(), *at))));
            for pointer in all.keys().chain(&others) {
                prop_assert_eq!(positions.get(pointer), all.get(pointer).copied());
            }
            let text = serde_json::to_string(&positions).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Positions>(&text).expect("read back"), positions);
        }

        #[test]
        fn what_is_none_of_ours_has_no_position(text in "[a-c/é]{0,12}", ends in prop::collection::vec(0_u32..20, 0..6), asked in "[a-c/é]{0,4}") {
            let places = ends.into_iter().map(|end| Packed(end, 1, 1, 0, 1)).collect();
            let positions = Positions { pointers: text.into(), places };
            let _found = positions.get(&asked);
            prop_assert!(positions.iter().count() <= positions.places.len());
        }
    }
}
