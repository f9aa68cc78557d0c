//! The table: who wrote, who read, and whether every byte was there.

use super::chain::Side;

/// One link restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Exact,
    /// The first byte that differs, or the end of the shorter.
    Differs(usize),
    Failed(String),
}

impl Cell {
    pub fn differing(found: &[u8], expected: &[u8]) -> Cell {
        let first = found.iter().zip(expected).position(|(found, expected)| found != expected);
        Cell::Differs(first.unwrap_or(found.len().min(expected.len())))
    }

    fn show(&self, notes: &mut Vec<String>) -> String {
        match self {
            Cell::Exact => "byte-exact".to_owned(),
            Cell::Differs(at) => format!("DIFFERS at byte {at}"),
            Cell::Failed(why) => failed(why, notes),
        }
    }
}

/// Why something failed is long: it goes below the table, once.
fn failed(why: &str, notes: &mut Vec<String>) -> String {
    let index = notes.iter().position(|known| known == why).unwrap_or_else(|| {
        notes.push(why.to_owned());
        notes.len() - 1
    });
    format!("FAILED ({})", index + 1)
}

/// A chain read by one side.
#[derive(Debug)]
pub struct Row {
    pub store: &'static str,
    pub compressor: &'static str,
    pub writer: &'static str,
    pub reader: Side,
    /// Full backup, first and second incremental.
    pub cells: Vec<Cell>,
    /// Why Clinker could not delete the chain without a rest.
    pub left: Option<String>,
}

impl Row {
    pub fn is_exact(&self) -> bool {
        self.left.is_none() && self.cells.iter().all(|cell| *cell == Cell::Exact)
    }
}

const HEAD: [&str; 8] =
    ["store", "compressor", "writer", "reader", "full", "incremental 1", "incremental 2", "deleted"];

/// The table in Markdown, in columns of equal width.
pub fn render(rows: &[Row]) -> String {
    let mut lines: Vec<Vec<String>> = vec![HEAD.map(str::to_owned).to_vec()];
    let mut notes = Vec::new();
    for row in rows {
        let mut line = vec![row.store.into(), row.compressor.into(), row.writer.into(), row.reader.to_string()];
        line.extend(row.cells.iter().map(|cell| cell.show(&mut notes)));
        let left = row.left.as_deref();
        line.push(left.map_or_else(|| "all".to_owned(), |why| failed(why, &mut notes)));
        lines.push(line);
    }
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0)).collect();
    let show = |line: &Vec<String>| {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(text, width)| format!("{text:width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let body: String = lines[1..].iter().map(show).collect();
    let numbered = notes.iter().enumerate().map(|(index, why)| format!("\n({}) {why}\n", index + 1));
    format!("{}{}{body}{}", show(&lines[0]), show(&rule), numbered.collect::<String>())
}

/// How many cells are byte-exact.
pub fn summary(rows: &[Row]) -> String {
    let cells = || rows.iter().flat_map(|row| &row.cells);
    let exact = cells().filter(|cell| **cell == Cell::Exact).count();
    format!("{exact} of {} restores byte-exact", cells().count())
}

/// `docs/interop.md`.
pub fn document(rows: &[Row], table: &str, stores: &[String], versions: &str) -> String {
    format!(
        "# Interoperation with real Cinder\n\n\
         Made by `cargo run -p clinker-live --bin interop -- --write docs/interop.md`; do not edit.\n\n\
         The volume is {len} bytes: random data, text, zeros, an odd tail; {chunk} KiB chunks, {block} KiB hash blocks. \
         The writer makes a full backup and two incrementals; in turn means that Cinder made the first incremental and \
         Clinker the rest. The reader restores each link as to a new volume and as over an old one (to Cinder both are \
         empty files, for it empties what it opens); byte-exact means that both are the volume's state at that time. \
         A chain counts as written with a \
         compressor only if the metadata of each link names it. \
         At the end Clinker deletes the chain, and nothing may be left.\n\n\
         {stores} Versions: {versions}.\n\n{table}\n{summary}.\n",
        len = super::volume::LEN,
        chunk = super::volume::CHUNK >> 10,
        block = super::volume::BLOCK >> 10,
        stores = stores.join(" "),
        summary = summary(rows),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_where_the_first_byte_differs_or_one_ends() {
        assert_eq!(Cell::differing(b"abc", b"abd"), Cell::Differs(2));
        assert_eq!(Cell::differing(b"ab", b"abd"), Cell::Differs(2));
    }

    #[test]
    fn a_row_is_exact_if_all_cells_are_and_nothing_is_left() {
        let row = |cell: Cell, left: Option<&str>| {
            let cells = vec![Cell::Exact, Cell::Exact, cell];
            let (writer, reader) = ("clinker", Side::Cinder);
            Row { store: "s3", compressor: "bz2", writer, reader, cells, left: left.map(str::to_owned) }
        };
        assert!(row(Cell::Exact, None).is_exact());
        assert!(!row(Cell::Differs(7), None).is_exact());
        assert!(!row(Cell::Exact, Some("3 objects")).is_exact());
        let shown = render(&[row(Cell::Failed("no answer".into()), None), row(Cell::Exact, Some("no answer"))]);
        assert_eq!(shown.matches("FAILED (1)").count(), 2, "{shown}");
        assert!(shown.ends_with("\n(1) no answer\n"), "{shown}");
        assert_eq!(summary(&[row(Cell::Differs(7), None)]), "2 of 3 restores byte-exact");
    }
}
