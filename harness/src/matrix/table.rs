//! What became of the plays, by operation, victim and way to end, as a table in Markdown.

use std::collections::BTreeMap;

use super::{BASES, Victim};

/// One play's place in the table, and whether it passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub base: &'static str,
    pub victim: Victim,
    pub power: bool,
    pub passed: bool,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    plays: usize,
    passed: usize,
}

impl Cell {
    fn add(&mut self, other: Cell) {
        self.plays += other.plays;
        self.passed += other.passed;
    }

    fn text(self) -> String {
        if self.plays == 0 { "–".to_owned() } else { format!("{} of {}", self.passed, self.plays) }
    }
}

/// Passed plays of all plays, one line per operation and victim, then the sum.
pub fn table(rows: &[Row]) -> String {
    let mut cells: BTreeMap<(usize, Victim, bool), Cell> = BTreeMap::new();
    for row in rows {
        let place = BASES.iter().position(|base| base.name == row.base).unwrap_or(usize::MAX);
        let cell = cells.entry((place, row.victim, row.power)).or_default();
        cell.add(Cell { plays: 1, passed: usize::from(row.passed) });
    }
    let mut lines = vec![line(["operation", "victim", "process crash", "power loss"].map(str::to_owned))];
    lines.push("| --- | --- | --- | --- |".to_owned());
    let mut sums = [Cell::default(); 2];
    for (place, base) in BASES.iter().enumerate() {
        for victim in Victim::ALL {
            let of = |power| cells.get(&(place, victim, power)).copied().unwrap_or_default();
            let both = [of(false), of(true)];
            if both.iter().all(|cell| cell.plays == 0) {
                continue;
            }
            sums.iter_mut().zip(both).for_each(|(sum, cell)| sum.add(cell));
            lines.push(line([base.name.to_owned(), victim.name().to_owned(), both[0].text(), both[1].text()]));
        }
    }
    lines.push(line(["all".to_owned(), "all".to_owned(), sums[0].text(), sums[1].text()]));
    lines.join("\n")
}

fn line(columns: [String; 4]) -> String {
    let [operation, victim, process, power] = columns;
    format!("| {operation:<17} | {victim:<10} | {process:<15} | {power:<15} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plays_are_summed_up_by_operation_victim_and_way() {
        let row = |base, power, passed| Row { base, victim: Victim::Manager, power, passed };
        let rows = [row("create", false, true), row("create", false, false), row("create", true, true)];
        let text = table(&rows);
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
        assert_eq!(words[2], ["create", "manager", "1 of 2", "1 of 1"]);
        assert_eq!(words[3], ["all", "all", "1 of 2", "1 of 1"]);
    }
}
