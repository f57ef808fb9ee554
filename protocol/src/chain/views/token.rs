//! `LivepeerToken`'s views.

use super::{Table, one};

pub(super) const LIVEPEER_TOKEN: Table = &[
    ("balanceOf(address)", |c, a| one(c.token.balances.at(&a.address()?))),
    ("allowance(address,address)", |c, a| one(c.token.allowances.at(&(a.address()?, a.address()?)))),
    ("totalSupply()", |c, _| one(*c.token.total_supply)),
    ("decimals()", |_, _| one(18u64)),
    ("name()", |_, _| one("Livepeer Token")),
    ("symbol()", |_, _| one("LPT")),
];
