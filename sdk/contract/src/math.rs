//! Do the arithmetic of amounts that `u128` alone cannot: products that are wider, and roots.
//!
//! Plain `+ - * /` are checked in contracts: a result that does not fit ends the call. Use `checked_add` and its
//! kin where the contract has an error of its own for that.

/// `a * b / c` rounded down, with a 256-bit product; `None` when `c` is zero or the result does not fit.
#[must_use]
pub const fn mul_div_floor(a: u128, b: u128, c: u128) -> Option<u128> {
    match mul_div(a, b, c) {
        Some((quotient, _)) => Some(quotient),
        None => None,
    }
}

/// `a * b / c` rounded up, with a 256-bit product; `None` when `c` is zero or the result does not fit.
#[must_use]
pub const fn mul_div_ceil(a: u128, b: u128, c: u128) -> Option<u128> {
    match mul_div(a, b, c) {
        Some((quotient, 0)) => Some(quotient),
        Some((quotient, _)) => quotient.checked_add(1),
        None => None,
    }
}

/// Quotient and remainder of `a * b / c`.
const fn mul_div(a: u128, b: u128, c: u128) -> Option<(u128, u128)> {
    if c == 0 {
        return None;
    }
    if let Some(product) = a.checked_mul(b) {
        return Some((product / c, product % c));
    }
    let (high, low) = wide_product(a, b);
    if high >= c {
        return None;
    }
    // Long division by one bit at a time; `remainder` stays below `c`, so the bit shifted out is carried by hand.
    let mut remainder = high;
    let mut quotient = 0_u128;
    let mut bit = 128;
    while bit > 0 {
        bit -= 1;
        let carry = remainder >> 127;
        remainder = (remainder << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carry == 1 || remainder >= c {
            remainder = remainder.wrapping_sub(c);
            quotient |= 1;
        }
    }
    Some((quotient, remainder))
}

/// High and low half of `a * b`.
const fn wide_product(a: u128, b: u128) -> (u128, u128) {
    const HALF: u128 = u64::MAX as u128;
    let (a_high, a_low) = (a >> 64, a & HALF);
    let (b_high, b_low) = (b >> 64, b & HALF);
    let low = a_low * b_low;
    let middle_1 = a_high * b_low + (low >> 64);
    let middle_2 = a_low * b_high + (middle_1 & HALF);
    let high = a_high * b_high + (middle_1 >> 64) + (middle_2 >> 64);
    (high, (middle_2 << 64) | (low & HALF))
}

/// The largest number whose square is at most `n`.
#[must_use]
pub const fn sqrt(n: u128) -> u128 {
    n.isqrt()
}

#[cfg(test)]
mod tests;
