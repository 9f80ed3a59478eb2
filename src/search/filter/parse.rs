//! Reading the grammar, one recursion a bracket.

use super::{Condition, Expression, Operator, Test};

/// Brackets and `not`s within each other, at most: a reader of anything must not run out of stack.
const DEEPEST: usize = 64;

/// What does not fit.
pub(super) struct Fault {
    /// The byte where.
    pub(super) at: usize,
    pub(super) reason: &'static str,
}

/// Reads a whole expression.
pub(super) fn expression(text: &str) -> Result<Expression, Fault> {
    let mut reader = Reader { text, at: 0, depth: 0, brackets: 0 };
    let expression = reader.any()?;
    if reader.rest().is_empty() {
        Ok(expression)
    } else {
        Err(reader.fault("and, or or the end was expected"))
    }
}

/// Whether a column's name can be written without quotes.
pub(super) fn is_bare_name(name: &str) -> bool {
    !name.starts_with(['(', '"'])
        && !name.contains(ends_a_name)
        && !name.eq_ignore_ascii_case("not")
}

/// Whether a column's name without quotes ends before this character.
fn ends_a_name(c: char) -> bool {
    c.is_whitespace() || "=!<>".contains(c)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Brackets and `not`s that are open.
    depth: usize,
    /// Brackets alone, those of lists too.
    brackets: usize,
}

impl<'a> Reader<'a> {
    /// What is left, from the next character that is no space.
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn fault(&self, reason: &'static str) -> Fault {
        Fault { at: self.at, reason }
    }

    /// Takes a word of the grammar if it comes next, whole and in any case.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let (Some(start), Some(after)) = (rest.get(..word.len()), rest.get(word.len()..)) else {
            return false;
        };
        let ends = after.chars().next().is_none_or(|c| c.is_whitespace() || "()'\"".contains(c));
        let found = ends && start.eq_ignore_ascii_case(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// Takes a sign if it comes next.
    fn sign(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn any(&mut self) -> Result<Expression, Fault> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(joined(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, Fault> {
        let mut parts = vec![self.factor()?];
        while self.word("and") {
            parts.push(self.factor()?);
        }
        Ok(joined(parts, Expression::All))
    }

    fn factor(&mut self) -> Result<Expression, Fault> {
        if self.depth == DEEPEST {
            return Err(self.fault("brackets within brackets too deep to follow"));
        }
        self.depth += 1;
        let factor = if self.sign("(") {
            self.brackets += 1;
            let inner = self.any()?;
            self.brackets -= 1;
            if !self.sign(")") {
                return Err(self.fault("and, or or a closing bracket was expected"));
            }
            inner
        } else if self.negates() {
            Expression::Not(Box::new(self.factor()?))
        } else {
            self.condition()?
        };
        self.depth -= 1;
        Ok(factor)
    }

    /// Takes a `not`, unless it is a column of that name.
    fn negates(&mut self) -> bool {
        let before = self.at;
        let negates = self.word("not") && !self.rest().starts_with(['=', '!', '<', '>']);
        if !negates {
            self.at = before;
        }
        negates
    }

    fn condition(&mut self) -> Result<Expression, Fault> {
        let column = self.column()?;
        let signs = Operator::SIGNS.into_iter();
        let mut operator = None;
        for (sign, found) in signs {
            if self.sign(sign) {
                operator = Some(found);
                break;
            }
        }
        if let Some(operator) = operator {
            let test = Test::Compare(operator, self.value()?);
            return Ok(Expression::Condition(Condition { column, test }));
        }
        if self.word("is") {
            let known = self.word("not");
            if !self.word("null") {
                return Err(self.fault("null or not null was expected"));
            }
            return Ok(negated(known, Condition { column, test: Test::Null }));
        }
        let other = self.word("not");
        let test = if self.word("in") {
            Test::OneOf(self.values()?)
        } else if self.word("between") {
            let low = self.value()?;
            if !self.word("and") {
                return Err(self.fault("and was expected, and the other end"));
            }
            Test::Between(low, self.value()?)
        } else {
            return Err(self.fault("no operator after the column name"));
        };
        Ok(negated(other, Condition { column, test }))
    }

    /// A column's name, in double quotes or up to the operator.
    fn column(&mut self) -> Result<String, Fault> {
        let rest = self.rest();
        let (name, length) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (name, _) = quoted
                    .split_once('"')
                    .ok_or_else(|| self.fault("the quotes of the column name do not close"))?;
                (name, name.len() + 2)
            }
            None => {
                let end = rest.find(ends_a_name).unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        if name.is_empty() {
            return Err(self.fault("no column name"));
        }
        self.at += length;
        Ok(name.to_owned())
    }

    /// The values of a list.
    fn values(&mut self) -> Result<Vec<String>, Fault> {
        if !self.sign("(") {
            return Err(self.fault("a list of values in brackets was expected"));
        }
        self.brackets += 1;
        let mut values = vec![self.value()?];
        while self.sign(",") {
            values.push(self.value()?);
        }
        self.brackets -= 1;
        if self.sign(")") { Ok(values) } else { Err(self.fault("the list does not close")) }
    }

    /// A value: quoted as in SQL, or a bare word. Within brackets a bare word ends at a closing one
    /// or a comma.
    fn value(&mut self) -> Result<String, Fault> {
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix('\'') {
            let mut value = String::new();
            let mut left = quoted;
            loop {
                let Some((part, after)) = left.split_once('\'') else {
                    return Err(self.fault("the quotes of the value do not close"));
                };
                value.push_str(part);
                left = after;
                // Two are one of the value.
                match left.strip_prefix('\'') {
                    Some(after) => left = after,
                    None => break,
                }
                value.push('\'');
            }
            self.at = self.text.len() - left.len();
            if left.starts_with(|c: char| !c.is_whitespace() && !self.closes(c)) {
                return Err(self.fault("something follows the quotes of the value"));
            }
            return Ok(value);
        }
        let ends = |c: char| c.is_whitespace() || "'\"=<>!".contains(c) || self.closes(c);
        let end = rest.find(ends).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.fault("a value was expected"));
        }
        self.at += end;
        if rest[end..].starts_with(['\'', '"', '=', '<', '>', '!']) {
            return Err(self.fault("the value holds a sign or a quote: put it in single quotes"));
        }
        let value = &rest[..end];
        let mut open = 0_u32;
        for c in value.chars() {
            open += u32::from(c == '(');
            if c == ')' {
                let Some(left) = open.checked_sub(1) else {
                    return Err(self.fault(
                        "a bracket closes that was not opened: put a value with one in single quotes",
                    ));
                };
                open = left;
            }
        }
        Ok(value.to_owned())
    }

    /// Whether a character ends a value within brackets.
    fn closes(&self, c: char) -> bool {
        self.brackets > 0 && (c == ')' || c == ',')
    }
}

fn joined(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() > 1 { join(parts) } else { parts.remove(0) }
}

fn negated(negated: bool, condition: Condition) -> Expression {
    let condition = Expression::Condition(condition);
    if negated { Expression::Not(Box::new(condition)) } else { condition }
}
