//! What orchestrators of the mesh ask, as a running node knows it, and the price in the middle.

use protocol::PricePerPixel;
use protocol::price::stated::Stated;
use serde::Serialize;

use crate::http::state::MeshNode;

/// One orchestrator's offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Offer {
    /// Its name.
    pub(super) name: String,
    /// What it asks.
    pub(super) price: PricePerPixel,
    /// Segments that it takes at the same time.
    pub(super) capacity: u32,
}

/// Offers of others that get work now, cheapest first; left out are this node, those without stake where that counts, and those
/// that this node avoids.
pub(super) fn of_others(nodes: &[MeshNode]) -> Vec<Offer> {
    let works = |node: &&MeshNode| {
        let admitted = node.stake.as_ref().is_none_or(|told| told.admitted);
        !node.is_self && node.capacity > 0 && admitted && node.avoided_for_ms.is_none()
    };
    let offer = |node: &MeshNode| {
        // A price in dollars is never announced.
        let Ok(Stated::Wei(price)) = node.price.parse() else { return None };
        Some(Offer { name: node.name.clone(), price, capacity: node.capacity })
    };
    let mut offers: Vec<Offer> = nodes.iter().filter(works).filter_map(offer).collect();
    offers.sort_by_key(|offer| offer.price);
    offers
}

/// The price in the middle of what is paid for: half of the capacity asks no more. None when everybody works for nothing, or
/// nobody is there.
pub(super) fn middle(offers: &[Offer]) -> Option<PricePerPixel> {
    let paid = || offers.iter().filter(|offer| offer.price.wei > 0);
    let all: u64 = paid().map(|offer| u64::from(offer.capacity)).sum();
    let mut below = 0;
    paid().find_map(|offer| {
        below += u64::from(offer.capacity);
        (below * 2 >= all).then_some(offer.price)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, price: &str, capacity: u32) -> MeshNode {
        MeshNode { name: name.into(), price: price.into(), capacity, ..MeshNode::default() }
    }

    #[test]
    fn the_middle_counts_capacity_and_not_heads() {
        let nodes = [
            node("large", "900 wei/pixel", 10),
            node("a", "100 wei/pixel", 1),
            node("b", "1 wei per 2 pixels", 2),
            node("free", "free", 50),
            node("viewer", "", 0),
            node("odd", "a song", 3),
            MeshNode { is_self: true, ..node("me", "5 wei/pixel", 99) },
            MeshNode { avoided_for_ms: Some(1), ..node("gone", "7 wei/pixel", 99) },
        ];
        let offers = of_others(&nodes);
        let names: Vec<&str> = offers.iter().map(|offer| offer.name.as_str()).collect();
        assert_eq!(names, ["free", "b", "a", "large"]);
        assert_eq!(middle(&offers), Some(PricePerPixel { wei: 900, pixels: 1 }));
        assert_eq!(middle(&offers[..3]), Some(PricePerPixel { wei: 1, pixels: 2 }));
        assert_eq!((middle(&offers[..1]), middle(&[])), (None, None));
    }
}
