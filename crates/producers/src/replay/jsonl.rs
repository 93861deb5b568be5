//! JSON Lines: one object a line. Objects inside of it become cells with dotted names, such as `location.latitude`.

use std::borrow::Cow;
use std::fmt;
use std::io;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lines::{Lines, MAX_ROW_BYTES};
use super::row::{Kind, Row};

/// Reads rows of JSON Lines.
pub(super) struct Jsonl {
    lines: Lines,
    line: Vec<u8>,
}

impl Jsonl {
    pub(super) fn open(lines: Lines) -> Self {
        Self { lines, line: Vec::new() }
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
        self.line.clear();
        if !self.lines.take_line(&mut self.line)? {
            return Ok(Err(format!("the line is longer than {MAX_ROW_BYTES} bytes")));
        }
        Ok(parse(&self.line, row))
    }
}

fn parse(line: &[u8], row: &mut Row) -> Result<(), String> {
    let Ok(text) = str::from_utf8(line) else { return Err("the line is not UTF-8".to_owned()) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(Object { row, prefix: "" }).and_then(|()| deserializer.end());
    read.map_err(|error| {
        // The parser's own position begins with "line 1", which would contradict the line of the file.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        format!("not a JSON object: {message} (column {})", error.column())
    })
}

/// Puts the fields of an object into a row.
struct Object<'r> {
    row: &'r mut Row,
    /// What goes before the fields' names.
    prefix: &'r str,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let name = if self.prefix.is_empty() { key } else { format!("{}.{key}", self.prefix).into() };
            if self.row.get(&name).is_some() {
                return Err(A::Error::custom(format_args!("the key {name:?} is there twice")));
            }
            map.next_value_seed(Value { row: self.row, name: &name })?;
        }
        Ok(())
    }
}

/// Puts one value into a row.
struct Value<'r> {
    row: &'r mut Row,
    name: &'r str,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.row.push(self.name, Kind::Text, text);
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.row.push(self.name, Kind::Number, &number.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.row.push(self.name, Kind::Number, &number.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.row.push(self.name, Kind::Number, &number.to_string());
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.row.push(self.name, Kind::Bool, if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.row.push(self.name, Kind::Null, "");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.row.push(self.name, Kind::List, "[…]");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Object { row: self.row, prefix: self.name }.visit_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<&[(&str, Kind, &str)], &str>) {
        let mut row = Row::default();
        let got = parse(line.as_bytes(), &mut row);
        let cells: Vec<_> = row.iter().map(|(name, cell)| (name, cell.kind, cell.text)).collect();
        match (got, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(cells, expected),
            (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
            (got, expected) => panic!("{line}: {got:?} is not {expected:?}"),
        }
    }

    #[test]
    fn objects_become_cells() {
        check(
            r#"{"sensor_id":"é\n","t":23.5,"n":-7,"big":18446744073709551615,"location":{"latitude":52.3,"deep":{"x":null}},"ok":true,"list":[1,{"a":2}]}"#,
            Ok(&[
                ("sensor_id", Kind::Text, "é\n"),
                ("t", Kind::Number, "23.5"),
                ("n", Kind::Number, "-7"),
                ("big", Kind::Number, "18446744073709551615"),
                ("location.latitude", Kind::Number, "52.3"),
                ("location.deep.x", Kind::Null, ""),
                ("ok", Kind::Bool, "true"),
                ("list", Kind::List, "[…]"),
            ]),
        );
        check("{}", Ok(&[]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("[1]", Err("expected an object"));
        check(r#"{"a":1"#, Err("EOF while parsing an object (column 6)"));
        check(r#"{"a":1} x"#, Err("trailing characters"));
        check(r#"{"a":1,"a":2}"#, Err("the key \"a\" is there twice"));
        check(r#"{"a":1e400}"#, Err("number out of range"));
        check(&format!("{}{}", r#"{"a":"#.repeat(500), "}".repeat(500)), Err("recursion limit"));
    }
}
