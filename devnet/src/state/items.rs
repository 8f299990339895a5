//! The items of one domain.

use std::collections::HashMap;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::state::item::StoredItem;

/// Items in the order of their creation, and found by their ids however many there are.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Vec<StoredItem>")]
pub(super) struct DomainItems {
    items: Vec<StoredItem>,
    /// The place of each in `items`.
    places: HashMap<Uuid, usize>,
}

impl DomainItems {
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredItem> {
        self.items.iter()
    }

    pub(super) fn get(&self, id: Uuid) -> Option<&StoredItem> {
        self.items.get(*self.places.get(&id)?)
    }

    pub(super) fn get_mut(&mut self, id: Uuid) -> Option<&mut StoredItem> {
        self.items.get_mut(*self.places.get(&id)?)
    }

    /// Those with one of these ids, in the order of their creation.
    pub(super) fn get_all(&self, ids: &[Uuid]) -> impl Iterator<Item = &StoredItem> {
        let mut places: Vec<usize> = ids.iter().filter_map(|id| self.places.get(id)).copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| self.items.get(place))
    }

    pub(super) fn push(&mut self, stored: StoredItem) {
        self.places.insert(stored.item.id, self.items.len());
        self.items.push(stored);
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Option<StoredItem> {
        let place = self.places.remove(&id)?;
        let stored = self.items.remove(place);
        for later in self.places.values_mut().filter(|later| **later > place) {
            *later -= 1;
        }
        Some(stored)
    }
}

impl From<Vec<StoredItem>> for DomainItems {
    fn from(items: Vec<StoredItem>) -> Self {
        let places = items.iter().enumerate().map(|(place, stored)| (stored.item.id, place)).collect();
        Self { items, places }
    }
}

impl Serialize for DomainItems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.items.serialize(serializer)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::state::item::DataItem;

    fn stored(number: u128) -> StoredItem {
        let item = DataItem {
            id: Uuid::from_u128(number),
            domain_id: Uuid::nil(),
            name: number.to_string(),
            data_type: "t".to_owned(),
            size: 0,
            created_at: String::new(),
            updated_at: String::new(),
        };
        StoredItem { item, blob: Uuid::nil() }
    }

    #[test]
    fn items_are_found_by_id_in_the_order_of_their_creation_also_after_a_removal() {
        let mut items: DomainItems = (1..=5).map(stored).collect::<Vec<_>>().into();
        assert!(items.remove(Uuid::from_u128(2)).is_some() && items.remove(Uuid::from_u128(2)).is_none());
        items.push(stored(6));
        for number in [1, 3, 4, 5, 6] {
            assert_eq!(items.get(Uuid::from_u128(number)).unwrap().item.name, number.to_string());
        }
        let ids = [6, 2, 4, 4, 1].map(Uuid::from_u128);
        let names: Vec<&str> = items.get_all(&ids).map(|stored| stored.item.name.as_str()).collect();
        assert_eq!(names, ["1", "4", "6"]);
        let copy: DomainItems = serde_json::from_str(&serde_json::to_string(&items).unwrap()).unwrap();
        assert_eq!(copy.iter().count(), 5);
        assert!(copy.get(Uuid::from_u128(6)).is_some());
    }
}
