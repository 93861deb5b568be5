//! A row of input, whatever its format: named cells of text, in memory that is used again for the next row.

/// What a cell was before it became text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text; in CSV everything is.
    Text,
    /// A number of JSON.
    Number,
    /// `true` or `false` of JSON.
    Bool,
    /// `null` of JSON.
    Null,
    /// A list of JSON, whose content is not kept.
    List,
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
}

/// Spellings of a missing value; an empty cell is one too.
const MISSING: [&str; 6] = ["na", "n/a", "nan", "null", "none", "-"];

/// A row's cells by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    names: Vec<String>,
    text: String,
    /// For each cell its kind and where its text ends.
    cells: Vec<(Kind, usize)>,
}

impl Row {
    /// Forgets the cells.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    /// Adds a cell.
    pub(super) fn push(&mut self, name: &str, kind: Kind, text: &str) {
        let index = self.cells.len();
        match self.names.get_mut(index) {
            Some(known) if known == name => {}
            Some(known) => name.clone_into(known),
            None => self.names.push(name.to_owned()),
        }
        self.text.push_str(text);
        self.cells.push((kind, self.text.len()));
    }

    /// The cell with this name.
    pub(super) fn get(&self, name: &str) -> Option<Cell<'_>> {
        let index = self.names().iter().position(|known| known == name)?;
        Some(self.cell(index))
    }

    /// The names of the cells, in order.
    pub(super) fn names(&self) -> &[String] {
        &self.names[..self.cells.len()]
    }

    /// All cells with their names, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Cell<'_>)> {
        (0..self.cells.len()).map(|index| (self.names[index].as_str(), self.cell(index)))
    }

    fn cell(&self, index: usize) -> Cell<'_> {
        let start = if index == 0 { 0 } else { self.cells[index - 1].1 };
        let (kind, end) = self.cells[index];
        Cell { kind, text: &self.text[start..end] }
    }
}

impl<'a> Cell<'a> {
    /// The text without surrounding blanks; `None` if the value is missing.
    pub(super) fn present(self) -> Option<&'a str> {
        let text = self.text.trim();
        let missing = matches!(self.kind, Kind::Null)
            || text.is_empty()
            || (self.kind == Kind::Text && MISSING.iter().any(|missing| text.eq_ignore_ascii_case(missing)));
        (!missing).then_some(text)
    }

    /// The number, `Ok(None)` if the value is missing, or what is wrong with it.
    pub(super) fn number(self) -> Result<Option<f64>, String> {
        let Some(text) = self.present() else { return Ok(None) };
        if matches!(self.kind, Kind::Bool | Kind::List) {
            return Err(format!("{} is not a number", shortened(text)));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            Ok(_) => Err(format!("{} is not a finite number", shortened(text))),
            Err(_) => Err(format!("{} is not a number", shortened(text))),
        }
    }
}

/// Text in quotes, cut where it becomes too long for a message.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_name_and_memory_is_used_again() {
        let mut row = Row::default();
        for (a, b) in [("1", "x"), ("", "yy")] {
            row.clear();
            row.push("a", Kind::Text, a);
            row.push("b", Kind::Text, b);
            assert_eq!(row.get("a").map(|cell| cell.text), Some(a));
            assert_eq!(row.get("b").map(|cell| cell.text), Some(b));
            assert_eq!((row.get("c"), row.names().len()), (None, 2));
        }
        row.clear();
        row.push("c", Kind::Number, "3");
        assert_eq!((row.get("a"), row.get("c").map(|cell| cell.text)), (None, Some("3")));
    }

    #[test]
    fn numbers_are_read_and_missing_ones_known() {
        let number = |kind, text| Cell { kind, text }.number();
        assert_eq!(number(Kind::Text, " 23.5 "), Ok(Some(23.5)));
        assert_eq!(number(Kind::Number, "-1e3"), Ok(Some(-1000.0)));
        for missing in ["", "  ", "NaN", "n/a", "NULL"] {
            assert_eq!(number(Kind::Text, missing), Ok(None), "{missing}");
        }
        assert_eq!(number(Kind::Null, "null"), Ok(None));
        assert_eq!(number(Kind::Text, "warm"), Err("\"warm\" is not a number".to_owned()));
        assert_eq!(number(Kind::Text, "inf"), Err("\"inf\" is not a finite number".to_owned()));
        assert_eq!(number(Kind::Bool, "true"), Err("\"true\" is not a number".to_owned()));
    }
}
