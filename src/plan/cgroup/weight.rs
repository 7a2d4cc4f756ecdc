//! `cpu.shares` of cgroup version 1 as `cpu.weight` of version 2, by the curve that the runtimes have agreed on.
//! Computed here, for core has no logarithms. May touch: numbers.

/// `cpu.shares`, which go from 2 to 262144, as a weight from 1 to 10000. The curve goes through 2 and 1, 1024 and 100,
/// 262144 and 10000: the weight is 10^((l² + 125 l) / 612 - 7/34) with l = log2(shares), rounded up.
pub fn weight(shares: u64) -> u64 {
    let shares = shares.clamp(2, 262_144) as f64;
    let l = log2(shares);
    let exponent = ((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0) * core::f64::consts::LOG2_10;
    // At 2 and 1024 it is a whole number: what is lost in computing must not round it up.
    let weight = exp2(exponent) - 1e-9;
    let whole = weight as u64;
    (whole + u64::from(whole as f64 <= weight)).clamp(1, 10_000)
}

/// Bit by bit: squaring a number doubles its logarithm.
fn log2(number: f64) -> f64 {
    let (mut rest, mut log, mut bit) = (number, 0.0, 1.0);
    while rest >= 2.0 {
        rest /= 2.0;
        log += 1.0;
    }
    for _ in 0..50 {
        bit /= 2.0;
        rest *= rest;
        if rest >= 2.0 {
            rest /= 2.0;
            log += bit;
        }
    }
    log
}

/// The whole part by doubling, the rest by the series of e^x.
fn exp2(exponent: f64) -> f64 {
    let whole = exponent as u32;
    let x = (exponent - f64::from(whole)) * core::f64::consts::LN_2;
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..25 {
        term *= x / f64::from(n);
        sum += term;
    }
    sum * (1u64 << whole) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_curve() {
        for shares in 1..=262_144u32 {
            let l = f64::from(shares.max(2)).log2();
            let want = 10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0) - 1e-9;
            assert_eq!(weight(u64::from(shares)), want.ceil() as u64, "{shares}");
        }
        assert_eq!([weight(2), weight(1024), weight(262_144)], [1, 100, 10_000]);
        assert_eq!(weight(u64::MAX), 10_000);
    }
}
