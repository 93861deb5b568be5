//! CSV: RFC 4180 with any of the usual separators, a header line, and any line break.
//!
//! The parser below is `csv-core`, which allocates nothing and is fed here from a buffer; so a row's memory has a bound
//! even if a quote is never closed.

use std::io;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::lines::{Lines, MAX_ROW_BYTES, Place};
use super::row::{Kind, Row};

/// The most columns.
const MAX_COLUMNS: usize = 4096;

/// Separators that are recognised by themselves, the likeliest first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Reads rows of CSV.
pub(super) struct Csv {
    lines: Lines,
    separator: u8,
    parser: Reader,
    header: Vec<String>,
    /// The place behind the header.
    start: Place,
    /// The fields of the present row, one after the other.
    fields: Vec<u8>,
    ends: Vec<usize>,
}

/// How reading a record ended, apart from its content.
enum Taken {
    Record(usize),
    TooLong,
    End,
}

impl Csv {
    /// Reads the header. `Err` is what is wrong with it.
    pub(super) fn open(mut lines: Lines, separator: Option<u8>) -> io::Result<Result<Self, String>> {
        lines.skip_breaks()?;
        let separator = match separator {
            Some(separator) => separator,
            None => guess_separator(lines.look()?),
        };
        let mut csv = Self {
            lines,
            separator,
            parser: ReaderBuilder::new().delimiter(separator).build(),
            header: Vec::new(),
            start: Place::default(),
            fields: vec![0; 1024],
            ends: vec![0; 16],
        };
        let taken = csv.take()?;
        csv.start = csv.lines.place();
        Ok(match taken {
            Taken::Record(count) => csv.name_columns(count).map(|()| csv),
            Taken::TooLong => Err("the header line is too long".to_owned()),
            Taken::End => Err("it has no header line".to_owned()),
        })
    }

    /// The same columns, read from elsewhere in the input.
    pub(super) fn at(self, lines: Lines) -> Self {
        let parser = ReaderBuilder::new().delimiter(self.separator).build();
        Self { lines, parser, ..self }
    }

    /// The names of the columns.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// The place behind the header.
    pub(super) fn start(&self) -> Place {
        self.start
    }

    pub(super) fn lines_mut(&mut self) -> &mut Lines {
        &mut self.lines
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Reads the next row, which there must be. `Err` is what is wrong with it.
    pub(super) fn read(&mut self, row: &mut Row) -> io::Result<Result<(), String>> {
        row.clear();
        let count = match self.take()? {
            Taken::Record(count) => count,
            Taken::End => 0,
            Taken::TooLong => {
                return Ok(Err(format!(
                    "the row is longer than {MAX_ROW_BYTES} bytes; is a quote left open?"
                )));
            }
        };
        if count != self.header.len() {
            let columns = self.header.len();
            return Ok(Err(format!("the row has {count} fields, the header has {columns}")));
        }
        let mut start = 0;
        for (name, end) in self.header.iter().zip(&self.ends) {
            let Ok(text) = str::from_utf8(&self.fields[start..*end]) else {
                return Ok(Err(format!("the field {name:?} is not UTF-8")));
            };
            row.push(name, Kind::Text, text);
            start = *end;
        }
        Ok(Ok(()))
    }

    /// Takes a record: its fields are then in `fields` and `ends`.
    fn take(&mut self) -> io::Result<Taken> {
        let (mut length, mut count, mut too_long) = (0, 0, false);
        loop {
            let input = self.lines.look()?;
            let (result, read, written, ended) =
                self.parser.read_record(input, &mut self.fields[length..], &mut self.ends[count..]);
            self.lines.consume(read);
            length += written;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record if too_long => return Ok(Taken::TooLong),
                ReadRecordResult::Record => return Ok(Taken::Record(count)),
                ReadRecordResult::End => return Ok(if too_long { Taken::TooLong } else { Taken::End }),
                ReadRecordResult::OutputFull if length < MAX_ROW_BYTES => {
                    self.fields.resize((length * 2).min(MAX_ROW_BYTES), 0);
                }
                ReadRecordResult::OutputEndsFull if count < MAX_COLUMNS => {
                    self.ends.resize((count * 2).min(MAX_COLUMNS), 0);
                }
                // Too much: what is there is written over, until the record's end is found.
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (length, count, too_long) = (0, 0, true);
                }
            }
        }
    }

    fn name_columns(&mut self, count: usize) -> Result<(), String> {
        let mut start = 0;
        for end in &self.ends[..count] {
            let name = str::from_utf8(&self.fields[start..*end])
                .map_err(|_| "the header line is not UTF-8".to_owned())?
                .trim();
            if self.header.iter().any(|known| known == name) {
                return Err(format!("two columns have the name {name:?}"));
            }
            self.header.push(name.to_owned());
            start = *end;
        }
        Ok(())
    }
}

/// The separator that the first line has most of.
fn guess_separator(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| line.iter().map(|byte| usize::from(*byte == separator)).sum::<usize>();
    // The last of the largest wins, so the likeliest comes last here.
    SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows as (line, cells joined by `|`, or the problem).
    fn rows(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut csv = Csv::open(Lines::of(bytes), None).expect("memory").expect("a header");
        let mut row = Row::default();
        let mut rows = Vec::new();
        while csv.lines_mut().skip_breaks().expect("memory") {
            let line = csv.lines().place().lines + 1;
            let text = match csv.read(&mut row).expect("memory") {
                Ok(()) => row.iter().map(|(_, cell)| cell.text).collect::<Vec<_>>().join("|"),
                Err(problem) => problem,
            };
            rows.push((line, text));
        }
        rows
    }

    fn check(bytes: &str, expected: &[(u64, &str)]) {
        let expected: Vec<(u64, String)> =
            expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
        assert_eq!(rows(bytes.as_bytes()), expected, "{bytes:?}");
        assert_eq!(rows(bytes.replace('\n', "\r\n").as_bytes()), expected, "CRLF of {bytes:?}");
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        check("a,b\n1,2\n\n3,4", &[(2, "1|2"), (4, "3|4")]);
        check("a;b\n1,5;2\n", &[(2, "1,5|2")]);
        check("a\tb\n1\t2\n", &[(2, "1|2")]);
        check("a\n1\n", &[(2, "1")]);
        check("a,b\n\"x,\"\"y\"\"\",2\n", &[(2, "x,\"y\"|2")]);
        check("a,b\n", &[]);
    }

    #[test]
    fn a_quoted_field_may_have_line_breaks() {
        assert_eq!(rows(b"a,b\n\"x\ny\",2\n3,4\n"), [(2, "x\ny|2".to_owned()), (4, "3|4".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_said_and_the_next_row_read() {
        check(
            "a,b\n1\n1,2,3\n4,5\n",
            &[
                (2, "the row has 1 fields, the header has 2"),
                (3, "the row has 3 fields, the header has 2"),
                (4, "4|5"),
            ],
        );
        assert_eq!(rows(b"a\n\xff\n1\n"), [(2, "the field \"a\" is not UTF-8".into()), (3, "1".into())]);
        let mut long = b"a\n".to_vec();
        long.resize(MAX_ROW_BYTES + 10, b'x');
        long.extend_from_slice(b"\n1\n");
        let rows = rows(&long);
        assert!(rows[0].1.contains("longer than"), "{}", rows[0].1);
        assert_eq!(rows[1], (3, "1".to_owned()));
    }

    #[test]
    fn a_header_is_needed_and_its_names_are_unique() {
        let problem =
            |bytes: &[u8]| Csv::open(Lines::of(bytes), None).expect("memory").err().expect("a problem");
        assert_eq!(problem(b""), "it has no header line");
        assert_eq!(problem(b"a,b,a\n"), "two columns have the name \"a\"");
    }
}
