//! OPATH, the filter language of the `Filter` parameter, in the part that clients use:
//! `Prop -eq|-ne|-like|-notlike 'value'` with `-and`, `-or`, `-not` and parentheses.

use serde_json::{Map, Value};

use crate::error::CmdletError;
use crate::row::Select;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare {
        property: String,
        operator: Operator,
        value: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Like,
    NotLike,
}

/// Properties through which an object can be found without a scan.
const INDEXED: &[&str] = &[
    "EmailAddresses",
    "PrimarySmtpAddress",
    "WindowsEmailAddress",
    "ExternalDirectoryObjectId",
    "Guid",
    "ExchangeGuid",
    "UserPrincipalName",
    "Sid",
    "Name",
    "Alias",
    "DisplayName",
];

impl Filter {
    pub fn parse(text: &str) -> Result<Self, CmdletError> {
        let trimmed = text.trim();
        let inner = trimmed
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(trimmed);
        let mut parser = Parser {
            tokens: tokens(inner)?,
            at: 0,
            depth: 0,
        };
        let filter = parser.either()?;
        match parser.peek() {
            None => Ok(filter),
            Some(_) => Err(invalid(text)),
        }
    }

    /// The properties that must be known to decide.
    pub fn select(&self) -> Select {
        let mut names = Vec::new();
        self.properties(&mut names);
        Select::only(names)
    }

    pub fn properties(&self, names: &mut Vec<String>) {
        match self {
            Self::And(left, right) | Self::Or(left, right) => {
                left.properties(names);
                right.properties(names);
            }
            Self::Not(inner) => inner.properties(names),
            Self::Compare { property, .. } => names.push(property.clone()),
        }
    }

    /// Values one of which every match must be named by, when the filter implies such a list.
    pub fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Or(left, right) => {
                let mut names = left.names()?;
                names.extend(right.names()?);
                Some(names)
            }
            Self::And(left, right) => left.names().or_else(|| right.names()),
            Self::Compare {
                property,
                operator: Operator::Equal,
                value: Some(value),
            } if INDEXED.iter().any(|known| known.eq_ignore_ascii_case(property)) => {
                Some(vec![value.clone()])
            }
            Self::Not(_) | Self::Compare { .. } => None,
        }
    }

    /// Decides about one output object.
    pub fn matches(&self, row: &Map<String, Value>) -> Result<bool, CmdletError> {
        Ok(match self {
            Self::And(left, right) => left.matches(row)? && right.matches(row)?,
            Self::Or(left, right) => left.matches(row)? || right.matches(row)?,
            Self::Not(inner) => !inner.matches(row)?,
            Self::Compare {
                property,
                operator,
                value,
            } => {
                let found = row.iter().find(|(name, _)| name.eq_ignore_ascii_case(property));
                let Some((name, found)) = found else {
                    return Err(CmdletError::not_filterable(property));
                };
                let proxies = name == "EmailAddresses";
                match operator {
                    Operator::Equal => any(found, |text| equal(text, value.as_deref(), proxies)),
                    Operator::NotEqual => !any(found, |text| equal(text, value.as_deref(), proxies)),
                    Operator::Like => any(found, |text| like(text, value.as_deref(), proxies)),
                    Operator::NotLike => !any(found, |text| like(text, value.as_deref(), proxies)),
                }
            }
        })
    }
}

fn any(value: &Value, holds: impl Fn(Option<&str>) -> bool) -> bool {
    match value {
        Value::Array(items) if items.is_empty() => holds(None),
        Value::Array(items) => items.iter().any(|item| holds(item.as_str())),
        Value::String(text) if text.is_empty() => holds(None),
        Value::String(text) => holds(Some(text)),
        Value::Bool(true) => holds(Some("True")),
        Value::Bool(false) => holds(Some("False")),
        Value::Number(number) => holds(Some(&number.to_string())),
        Value::Null | Value::Object(_) => holds(None),
    }
}

fn equal(text: Option<&str>, wanted: Option<&str>, proxy: bool) -> bool {
    match (text, wanted) {
        (None, None) => true,
        (Some(text), Some(wanted)) => {
            let same = |text: &str| text.to_lowercase() == wanted.to_lowercase();
            same(text) || (proxy && text.split_once(':').is_some_and(|(_, address)| same(address)))
        }
        (None, Some(wanted)) => wanted.is_empty(),
        (Some(_), None) => false,
    }
}

fn like(text: Option<&str>, pattern: Option<&str>, proxy: bool) -> bool {
    let (Some(text), Some(pattern)) = (text, pattern) else {
        return false;
    };
    let (text, pattern) = (text.to_lowercase(), pattern.to_lowercase());
    wildcard(&text, &pattern)
        || (proxy
            && text
                .split_once(':')
                .is_some_and(|(_, address)| wildcard(address, &pattern)))
}

/// Matches `*` against any run of characters.
pub fn wildcard(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    /// A word that starts with `-`, in lower case.
    Operator(String),
    Word(String),
    Quoted(String),
}

fn invalid(text: &str) -> CmdletError {
    CmdletError::binding(format!(
        "Cannot bind parameter 'Filter' to the target. Exception setting \"Filter\": \"Invalid filter syntax. \
         For a description of the filter parameter syntax see the command help. \"{text}\"\""
    ))
}

fn tokens(text: &str) -> Result<Vec<Token>, CmdletError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        if tokens.len() > LONGEST {
            return Err(invalid("too long"));
        }
        match next {
            ' ' | '\t' | '\r' | '\n' => {}
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            quote @ ('\'' | '"') => {
                let mut value = String::new();
                loop {
                    match chars.next() {
                        Some(c) if c == quote && chars.peek() == Some(&quote) => {
                            chars.next();
                            value.push(quote);
                        }
                        Some(c) if c == quote => break,
                        Some(c) => value.push(c),
                        None => return Err(invalid(text)),
                    }
                }
                tokens.push(Token::Quoted(value));
            }
            first => {
                let mut word = String::from(first);
                while let Some(c) =
                    chars.next_if(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '\'' | '"'))
                {
                    word.push(c);
                }
                tokens.push(if first == '-' {
                    Token::Operator(word.to_ascii_lowercase())
                } else {
                    Token::Word(word)
                });
            }
        }
    }
    Ok(tokens)
}

/// Parentheses deeper than this are refused instead of recursed into.
const DEEPEST: usize = 64;

/// Longer filters than this many tokens are refused; a chain is walked recursively.
const LONGEST: usize = 8_000;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn operator(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Operator(word)) if word == name);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Result<Filter, CmdletError> {
        let mut filter = self.both()?;
        while self.operator("-or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.both()?));
        }
        Ok(filter)
    }

    fn both(&mut self) -> Result<Filter, CmdletError> {
        let mut filter = self.one()?;
        while self.operator("-and") {
            filter = Filter::And(Box::new(filter), Box::new(self.one()?));
        }
        Ok(filter)
    }

    fn one(&mut self) -> Result<Filter, CmdletError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(invalid("nested too deeply"));
        }
        let filter = self.unnested();
        self.depth -= 1;
        filter
    }

    fn unnested(&mut self) -> Result<Filter, CmdletError> {
        if self.operator("-not") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        match self.take() {
            Some(Token::Open) => {
                let filter = self.either()?;
                match self.take() {
                    Some(Token::Close) => Ok(filter),
                    _ => Err(invalid("missing closing parenthesis")),
                }
            }
            Some(Token::Word(property)) => self.comparison(property),
            _ => Err(invalid("a property name is expected")),
        }
    }

    fn comparison(&mut self, property: String) -> Result<Filter, CmdletError> {
        let operator = match self.take() {
            Some(Token::Operator(word)) => match word.as_str() {
                "-eq" => Operator::Equal,
                "-ne" => Operator::NotEqual,
                "-like" => Operator::Like,
                "-notlike" => Operator::NotLike,
                _ => return Err(invalid(&word)),
            },
            _ => return Err(invalid(&property)),
        };
        let value = match self.take() {
            Some(Token::Quoted(value)) => Some(value),
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "$null" => None,
                "$true" => Some("True".to_owned()),
                "$false" => Some("False".to_owned()),
                _ => Some(word),
            },
            _ => return Err(invalid(&property)),
        };
        Ok(Filter::Compare {
            property,
            operator,
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::Filter;

    fn row() -> Map<String, Value> {
        json!({
            "DisplayName": "O'Neil's box", "Alias": "sales", "IsDirSynced": false, "ForwardingAddress": null,
            "EmailAddresses": ["SMTP:sales@contoso.com", "smtp:verkauf@contoso.com"], "CustomAttribute1": "",
        })
        .as_object()
        .cloned()
        .unwrap()
    }

    fn matches(filter: &str) -> bool {
        Filter::parse(filter).unwrap().matches(&row()).unwrap()
    }

    #[test]
    fn comparison_ignores_case() {
        assert!(matches("alias -EQ 'SALES'"));
        assert!(!matches("Alias -ne 'SALES'"));
    }

    #[test]
    fn addresses_match_with_and_without_prefix() {
        assert!(matches("EmailAddresses -eq 'smtp:verkauf@contoso.com'"));
        assert!(matches("EmailAddresses -eq 'Verkauf@contoso.com'"));
        assert!(!matches("EmailAddresses -eq 'other@contoso.com'"));
        assert!(matches("EmailAddresses -like 'verk*@contoso.com'"));
        assert!(!matches("EmailAddresses -ne 'sales@contoso.com'"));
    }

    #[test]
    fn and_binds_closer_than_or_and_parentheses_closer_still() {
        assert!(matches("Alias -eq 'sales' -or Alias -eq 'x' -and Alias -eq 'y'"));
        assert!(!matches(
            "(Alias -eq 'sales' -or Alias -eq 'x') -and Alias -eq 'y'"
        ));
        assert!(matches("-not (Alias -eq 'x')"));
    }

    #[test]
    fn a_doubled_quote_is_a_quote() {
        assert!(matches("DisplayName -eq 'O''Neil''s box'"));
    }

    #[test]
    fn null_is_empty_and_empty_is_null() {
        assert!(matches("ForwardingAddress -eq $null"));
        assert!(matches("CustomAttribute1 -eq $null"));
        assert!(matches("Alias -ne $null"));
    }

    #[test]
    fn booleans_come_as_text_or_as_variables() {
        assert!(matches("IsDirSynced -eq 'False'"));
        assert!(matches("IsDirSynced -eq $false"));
    }

    #[test]
    fn wildcards_stand_anywhere() {
        assert!(matches("Alias -like 's*l*s'"));
        assert!(matches("Alias -like '*'"));
        assert!(!matches("Alias -like 'sale'"));
        assert!(matches("Alias -notlike 'x*'"));
    }

    #[test]
    fn an_unknown_property_or_bad_syntax_is_refused() {
        assert!(
            Filter::parse("Nonsense -eq 'x'")
                .unwrap()
                .matches(&row())
                .is_err()
        );
        for bad in [
            "Alias -eq",
            "Alias 'x'",
            "(Alias -eq 'x'",
            "Alias -eq 'x' Alias",
            "'x",
            "",
        ] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
        assert!(Filter::parse(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn lookups_by_name_need_no_scan() {
        let filter = Filter::parse("EmailAddresses -eq 'a@b' -or UserPrincipalName -eq 'c@d'").unwrap();
        assert_eq!(filter.names(), Some(vec!["a@b".to_owned(), "c@d".to_owned()]));
        assert_eq!(Filter::parse("CustomAttribute1 -eq 'x'").unwrap().names(), None);
        assert_eq!(
            Filter::parse("Alias -eq 'a' -or IsDirSynced -eq 'True'")
                .unwrap()
                .names(),
            None
        );
    }
}
