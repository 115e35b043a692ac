//! Medians with their spread, and ratios that admit when they mean nothing.
//!
//! Start-up times are skewed and have outliers, so only order statistics are
//! used. Confidence intervals are 95 %: of a median by the binomial order
//! statistics, of a ratio of medians by bootstrap with a fixed seed.

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;

/// Order statistics of one series; the unit is that of the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Number of samples.
    pub count: usize,
    /// First quartile.
    pub lower_quartile: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub upper_quartile: f64,
    /// 95 % confidence interval of the median.
    pub interval: (f64, f64),
}

impl Summary {
    /// Summarises `samples`; `None` if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        // The ranks that hold the median with 95 % probability: binomial with
        // p = 1/2, in its normal approximation.
        let half = 0.98 * (n as f64).sqrt();
        let low = (n as f64 / 2.0 - half).floor().max(0.0) as usize;
        let high = ((n as f64 / 2.0 + half).ceil() as usize).min(n.checked_sub(1)?);
        Some(Self {
            count: n,
            lower_quartile: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper_quartile: quantile(&sorted, 0.75),
            interval: (sorted[low.min(n - 1)], sorted[high]),
        })
    }
}

/// A ratio of two medians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Median of the first over median of the second.
    pub value: f64,
    /// Its 95 % confidence interval.
    pub interval: (f64, f64),
}

impl Ratio {
    /// The median of `a` over the median of `b`, two series that were measured
    /// interleaved; `None` if one is empty.
    pub fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        if a.is_empty() || b.is_empty() {
            return None;
        }
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut ratios: Vec<f64> = (0..RESAMPLES)
            .map(|_| resampled_median(a, &mut random) / resampled_median(b, &mut random))
            .collect();
        ratios.sort_by(f64::total_cmp);
        Some(Self {
            value: median(a) / median(b),
            interval: (quantile(&ratios, 0.025), quantile(&ratios, 0.975)),
        })
    }

    /// Whether the interval excludes "no difference".
    pub fn is_real(&self) -> bool {
        self.interval.0 > 1.0 || self.interval.1 < 1.0
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5)
}

fn resampled_median(samples: &[f64], random: &mut Random) -> f64 {
    let mut picked: Vec<f64> = (0..samples.len())
        .map(|_| samples[random.below(samples.len())])
        .collect();
    let middle = picked.len() / 2;
    *picked.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Linear interpolation between the two nearest ranks of a sorted series.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let low = sorted[at.floor() as usize];
    let high = sorted[at.ceil() as usize];
    low + (high - low) * at.fract()
}

/// splitmix64, for resampling the same way every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_statistics_of_a_known_series() {
        let samples: Vec<f64> = (1..=101).map(f64::from).collect();
        let summary = Summary::of(&samples).expect("not empty");
        assert_eq!(summary.median, 51.0);
        assert_eq!(
            (summary.lower_quartile, summary.upper_quartile),
            (26.0, 76.0)
        );
        assert!(summary.interval.0 < 51.0 && summary.interval.1 > 51.0);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn equal_series_do_not_differ_and_halves_do() {
        let a: Vec<f64> = (0..500).map(|n| 100.0 + f64::from(n % 17)).collect();
        let half: Vec<f64> = a.iter().map(|x| x / 2.0).collect();
        assert!(!Ratio::of(&a, &a).expect("not empty").is_real());
        let ratio = Ratio::of(&half, &a).expect("not empty");
        assert!(ratio.is_real());
        assert!((ratio.value - 0.5).abs() < 1e-9);
    }
}
