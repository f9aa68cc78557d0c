//! What an operation waited for, moment by moment.

use clinker_model::latency::Stalls;

/// What goes on, as intervals in nanoseconds since the start.
pub(crate) struct Activity<'a> {
    pub link: &'a [(u64, u64)],
    pub requests: &'a [(u64, u64)],
    pub cores: &'a [(u64, u64)],
    pub disk: &'a [(u64, u64)],
    /// Requests that may be under way at once.
    pub slots: u64,
    pub duration_ns: u64,
}

/// Which of them is told for a moment in which several go on: the first.
const KINDS: usize = 4;

impl Activity<'_> {
    /// The shares of the duration in which the link carried something; in which, while it did not, every slot was taken;
    /// or a core computed; or the volume was read; or nothing but answers was waited for. In thousandths, rounded down; the rest is answers'.
    pub(crate) fn stalls(&self) -> Stalls {
        let mut turns: Vec<(u64, usize, i64)> = Vec::new();
        for (kind, intervals) in [self.link, self.requests, self.cores, self.disk].into_iter().enumerate() {
            for &(begin, end) in intervals {
                turns.push((begin, kind, 1));
                turns.push((end, kind, -1));
            }
        }
        turns.sort_unstable();
        let (mut now_ns, mut under_way, mut spent_ns) = (0, [0_i64; KINDS], [0_u64; KINDS]);
        let slots = i64::try_from(self.slots).unwrap_or(i64::MAX);
        for (at_ns, kind, change) in turns {
            let at_ns = at_ns.min(self.duration_ns);
            let told = match under_way {
                [link, ..] if link > 0 => Some(0),
                [_, requests, ..] if requests >= slots => Some(1),
                [_, _, cores, _] if cores > 0 => Some(2),
                [.., disk] if disk > 0 => Some(3),
                _ => None,
            };
            if let Some(told) = told {
                spent_ns[told] += at_ns - now_ns;
            }
            now_ns = at_ns;
            under_way[kind] += change;
        }
        let milli = |ns: u64| (u128::from(ns) * 1000).checked_div(u128::from(self.duration_ns)).unwrap_or(0) as u64;
        let [link_milli, slots_milli, cpu_milli, read_milli] = spent_ns.map(milli);
        let answers_milli = 1000 - link_milli - slots_milli - cpu_milli - read_milli;
        Stalls { link_milli, slots_milli, cpu_milli, read_milli, answers_milli }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_is_told_once_and_the_link_first() {
        let activity = Activity {
            link: &[(100, 400)],
            requests: &[(100, 600), (300, 600)],
            cores: &[(0, 150), (550, 800)],
            disk: &[(750, 900)],
            slots: 2,
            duration_ns: 1000,
        };
        let expected =
            Stalls { link_milli: 300, slots_milli: 200, cpu_milli: 300, read_milli: 100, answers_milli: 100 };
        assert_eq!(activity.stalls(), expected);
        let idle = Activity { link: &[], requests: &[], cores: &[], disk: &[], slots: 1, duration_ns: 1000 };
        assert_eq!(idle.stalls().answers_milli, 1000);
    }
}
