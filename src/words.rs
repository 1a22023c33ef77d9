//! Words for messages.

/// A count and what is counted, with its verb where it has one: `counted(1, "change waits", "changes wait")`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    let words = if count == 1 { one } else { many };
    format!("{count} {words}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_one_and_everything_else_is_many() {
        let words = |count| counted(count, "change waits", "changes wait");
        assert_eq!(
            [0, 1, 2].map(words),
            ["0 changes wait", "1 change waits", "2 changes wait"]
        );
    }
}
