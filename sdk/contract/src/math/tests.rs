//! Hold the arithmetic to wider integers.

use super::*;

use proptest::prelude::*;

#[test]
fn wide_products_divide_exactly() {
    assert_eq!(
        mul_div_floor(u128::MAX, u128::MAX, u128::MAX),
        Some(u128::MAX)
    );
    assert_eq!(mul_div_floor(u128::MAX, 3, 2), None);
    assert_eq!(mul_div_floor(u128::MAX, 2, 4), Some(u128::MAX / 2));
    assert_eq!(mul_div_ceil(u128::MAX, 2, 4), Some(u128::MAX / 2 + 1));
    assert_eq!(mul_div_floor(1, 1, 0), None);
    assert_eq!(
        mul_div_ceil(u128::MAX, u128::MAX - 1, u128::MAX - 1),
        Some(u128::MAX)
    );
}

proptest! {
    /// quotient * c + remainder = a * b with remainder < c defines division; checked in 256 bits.
    #[test]
    fn quotient_and_remainder_give_the_product_back(a: u128, b: u128, c in 1..=u128::MAX) {
        match mul_div(a, b, c) {
            Some((quotient, remainder)) => {
                prop_assert!(remainder < c);
                let (high, low) = wide_product(quotient, c);
                let (low, carry) = low.overflowing_add(remainder);
                prop_assert_eq!((high + u128::from(carry), low), wide_product(a, b));
            }
            None => prop_assert!(wide_product(a, b).0 >= c),
        }
    }
}
