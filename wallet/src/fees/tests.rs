//! Claims about prices.

use proptest::prelude::*;

use super::*;

#[test]
fn one_endpoint_cannot_set_the_price() {
    assert_eq!(base_fee(&[10, 11, 1_000_000], None), Some(11));
    assert_eq!(base_fee(&[10, 1_000_000], Some(12)), Some(10));
    assert_eq!(base_fee(&[1_000_000], Some(12)), Some(1_000_000));
    assert_eq!(base_fee(&[], Some(12)), None);
}

#[test]
fn a_ceiling_below_the_base_fee_is_told_before_anything_is_signed() {
    assert!(first(100, false, 1000, Some(U256::from(99_999))).is_err());
    let price = first(100, false, 1000, Some(U256::from(150_000))).unwrap();
    assert_eq!(price.max_fee, 150);
}

proptest! {
    #[test]
    fn each_step_is_an_eighth_more_and_none_breaks_the_ceiling(
        base in 1..1_000_000_u128, gas in 21_000..5_000_000_u64, ceiling in 1..u64::MAX, spike in 1..10_000_000_u128,
    ) {
        let most = U256::from(ceiling);
        let ceiling = Some(most);
        let Ok(mut price) = first(base, false, gas, ceiling) else { return Ok(()) };
        for _ in 0..50 {
            prop_assert!(U256::from(price.max_fee) * U256::from(gas) <= most);
            let Some(next) = raised(price, spike, gas, ceiling) else { return Ok(()) };
            prop_assert!(next.max_fee * 8 >= price.max_fee * 9);
            price = next;
        }
    }
}
