//! What the pictures are drawn with: lengths, scales, ticks, labels that keep clear of each other.
//!
//! Own code, because the crates that write SVG either bake colours in (plotters, kuva, charton), or have no logarithmic
//! axes and no labels at lines (poloto, splot); here colours are classes of the page's style sheet. It is integer
//! arithmetic throughout: the same bytes on every machine.

use std::fmt;

/// A length or place, in tenths of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Px(pub i64);

impl Px {
    pub const fn whole(pixels: i64) -> Px {
        Px(pixels * 10)
    }
}

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let tenths = self.0.abs();
        match tenths % 10 {
            0 => write!(f, "{sign}{}", tenths / 10),
            part => write!(f, "{sign}{}.{part}", tenths / 10),
        }
    }
}

/// The greatest value of an axis.
const MOST: u64 = 1_000_000_000_000_000_000;

/// A logarithmic axis. What is not on it is at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    low: u64,
    high: u64,
    from: Px,
    to: Px,
}

impl Log {
    /// From the least of the values to the greatest.
    pub fn over(values: impl Iterator<Item = u64> + Clone, from: Px, to: Px) -> Log {
        let values = values.map(|value| value.clamp(1, MOST));
        let (low, high) = (values.clone().min().unwrap_or(1), values.max().unwrap_or(1));
        Log { low, high, from, to }
    }

    /// From a round number below the values, with some room, to one above.
    pub fn around(values: impl Iterator<Item = u64> + Clone, from: Px, to: Px) -> Log {
        let Log { low, high, .. } = Log::over(values, from, to);
        Log { low: round_below(low - low / 5), high: round_above(high + 1), from, to }
    }

    pub fn at(&self, value: u64) -> Px {
        let (low, high) = (log2(self.low), log2(self.high));
        let whole = self.to.0 - self.from.0;
        match high - low {
            0 => Px(self.from.0 + whole / 2),
            span => Px(self.from.0 + whole * (log2(value.clamp(self.low, self.high)) - low) / span),
        }
    }

    /// Round numbers on the axis, five at most unless powers of ten alone are more.
    pub fn ticks(&self) -> Vec<u64> {
        let series: [&[u64]; 4] = [&[1, 2, 5], &[1, 3], &[1, 5], &[1]];
        let on_axis = |digits: &[u64]| -> Vec<u64> {
            let powers = (0..19).map(|power| 10_u64.pow(power));
            let all = powers.flat_map(|power| digits.iter().map(move |digit| digit * power));
            all.filter(|tick| (self.low..=self.high).contains(tick)).collect()
        };
        series.into_iter().map(on_axis).find(|ticks| ticks.len() <= 5).unwrap_or_else(|| on_axis(&[1]))
    }
}

/// The logarithm to base 2, times 65536, digit by digit: squaring doubles it.
fn log2(value: u64) -> i64 {
    let value = value.max(1);
    let whole = value.ilog2();
    let mut rest = (u128::from(value) << 63) >> whole;
    let mut log = i64::from(whole);
    for _ in 0..16 {
        rest = (rest * rest) >> 63;
        log <<= 1;
        if rest >> 64 > 0 {
            rest >>= 1;
            log |= 1;
        }
    }
    log
}

/// 1, 2 or 5 times a power of ten, at most the value.
fn round_below(value: u64) -> u64 {
    let power = 10_u64.pow(value.max(1).ilog10());
    [5, 2, 1].into_iter().map(|digit| digit * power).find(|round| *round <= value).unwrap_or(1)
}

/// The same, at least the value.
pub(super) fn round_above(value: u64) -> u64 {
    let value = value.min(MOST);
    let below = round_below(value);
    if below >= value {
        return value;
    }
    let power = 10_u64.pow(below.ilog10());
    match below / power {
        1 => 2 * power,
        2 => 5 * power,
        _ => power.saturating_mul(10),
    }
}

/// Microseconds at an axis: `20 ms`, `1.5 s`.
pub(super) fn mark(us: u64) -> String {
    let (number, unit) = marked(us);
    format!("{number} {unit}")
}

/// Microseconds along an axis: a unit is named where it begins.
pub(super) fn marks(all_us: &[u64]) -> Vec<String> {
    let mut last = "";
    let one = |us: &u64| {
        let (number, unit) = marked(*us);
        let text = if unit == last { number } else { format!("{number} {unit}") };
        last = unit;
        text
    };
    all_us.iter().map(one).collect()
}

fn marked(us: u64) -> (String, &'static str) {
    let (unit_us, unit) = match us {
        1_000_000.. => (1_000_000, "s"),
        1_000.. => (1_000, "ms"),
        _ => (1, "us"),
    };
    let thousandths = u128::from(us % unit_us) * 1000 / u128::from(unit_us);
    let number = format!("{}.{thousandths:03}", us / unit_us);
    (number.trim_end_matches('0').trim_end_matches('.').to_owned(), unit)
}

/// About as wide as a text of eleven pixels is.
pub(super) fn width(text: &str) -> Px {
    Px(62 * text.chars().count() as i64)
}

/// Which labels along an axis have room, the first and the last before those between: the last, the first, then leftward.
pub(super) fn with_room(labels: &[(Px, String)]) -> Vec<bool> {
    let mut room = vec![false; labels.len()];
    let mut taken: Vec<(Px, Px)> = Vec::new();
    let last = labels.len().saturating_sub(1);
    for index in [last, 0].into_iter().chain((1..last).rev()) {
        let Some((at, text)) = labels.get(index).filter(|_| !room[index]) else { continue };
        let half = width(text).0 / 2 + 20;
        let (begin, end) = (Px(at.0 - half), Px(at.0 + half));
        if taken.iter().all(|(from, to)| end <= *from || begin >= *to) {
            taken.push((begin, end));
            room[index] = true;
        }
    }
    room
}

/// Places for labels, given from top to bottom, that are `apart` at least and end above `bottom`.
pub(super) fn apart(wanted: &[Px], apart: Px, bottom: Px) -> Vec<Px> {
    let mut places: Vec<Px> = Vec::with_capacity(wanted.len());
    for at in wanted {
        let least = places.last().map_or(*at, |last| Px(last.0 + apart.0));
        places.push(least.max(*at));
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = (*place).min(most);
        most = Px(place.0 - apart.0);
    }
    places
}

/// A line through places.
pub(super) fn path(places: &[(Px, Px)]) -> String {
    let step = |(index, (x, y)): (usize, &(Px, Px))| format!("{}{x} {y}", if index == 0 { 'M' } else { 'L' });
    places.iter().enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_those_of_the_books() {
        // 65536 × log2(10) = 217705.9; of a power of two nothing is lost.
        for (value, expected) in [(0, 0), (1, 0), (2, 65_536), (1 << 40, 40 * 65_536), (10, 217_705), (1000, 653_117)] {
            assert_eq!(log2(value), expected, "{value}");
        }
        assert!((0..10_000).all(|value| log2(value) <= log2(value + 1)));
    }

    #[test]
    fn an_axis_begins_and_ends_at_round_numbers_and_has_a_few_ticks() {
        let check = |values: &[u64], low: u64, high: u64, ticks: &[u64]| {
            let axis = Log::around(values.iter().copied(), Px::whole(100), Px(0));
            assert_eq!((axis.low, axis.high, &axis.ticks()[..]), (low, high, ticks), "{values:?}");
            assert_eq!((axis.at(low), axis.at(high)), (Px::whole(100), Px(0)));
        };
        check(&[86, 2_200], 50, 5_000, &[100, 300, 1_000, 3_000]);
        check(&[100], 50, 200, &[50, 100, 200]);
        check(&[0], 1, 2, &[1, 2]);
        check(&[3, 30_000_000], 2, 50_000_000, &[10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000]);
        let one = Log::over([7].into_iter(), Px(0), Px(100));
        assert_eq!(one.at(7), Px(50));
    }

    #[test]
    fn units_are_named_where_they_begin() {
        assert_eq!(marks(&[500, 1_000, 1_500, 20_000, 2_000_000]), ["500 us", "1 ms", "1.5", "20", "2 s"]);
        assert_eq!(mark(0), "0 us");
    }

    #[test]
    fn labels_keep_clear_of_each_other() {
        let at = |pixels: &[i64]| pixels.iter().map(|at| Px::whole(*at)).collect::<Vec<_>>();
        assert_eq!(apart(&at(&[10, 12, 50]), Px::whole(11), Px::whole(100)), at(&[10, 21, 50]));
        assert_eq!(apart(&at(&[90, 95, 99]), Px::whole(11), Px::whole(100)), at(&[78, 89, 100]));
        let labels = [(0, "1 ms"), (107, "20"), (180, "100"), (190, "200")];
        let labels = labels.map(|(at, text)| (Px::whole(at), text.to_owned()));
        assert_eq!(with_room(&labels), [true, true, false, true]);
    }

    #[test]
    fn lengths_have_one_digit_at_most() {
        for (tenths, expected) in [(0, "0"), (105, "10.5"), (-7, "-0.7"), (-20, "-2")] {
            assert_eq!(Px(tenths).to_string(), expected);
        }
    }
}
