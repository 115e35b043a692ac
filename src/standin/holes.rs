//! Where something is put into a text beside a word: variables of shells, make, m4 and
//! CMake, formats of printf, strings that are joined.

/// On which sides of a word a hole is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    pub(super) before: bool,
    pub(super) after: bool,
}

/// How far an opening bracket is looked for.
const REACH: usize = 80;

/// The holes beside the word in `data` from `start` to `end`. In C only those of formats.
pub(super) fn around(data: &[u8], start: usize, end: usize, is_c: bool, is_python: bool) -> Around {
    let before = data
        .get(start.saturating_sub(REACH)..start)
        .unwrap_or_default();
    let after = data
        .get(end..data.len().min(end + REACH))
        .unwrap_or_default();
    let word = data.get(start..end).unwrap_or_default();
    // `%s` begins the word behind it with its letter.
    let format_before = before.ends_with(b"%")
        && !before.ends_with(b"%%")
        && word.first().is_some_and(|b| b"sdiuxc".contains(b))
        && word.len() > 1;
    if is_c {
        return Around {
            before: format_before,
            after: is_format(after),
        };
    }
    Around {
        before: format_before || hole_before(before, is_python),
        after: hole_after(word, after, is_python),
    }
}

/// Whether the word in `data` from `start` to `end` may be put into a text that stands in
/// another file: a variable has it, or the body of a macro is it, or a macro pastes it, or it
/// is quoted and looks like a beginning or end, or `sed` puts it at one.
pub(super) fn is_loose(data: &[u8], start: usize, end: usize, is_c: bool) -> bool {
    let before = data
        .get(start.saturating_sub(REACH)..start)
        .unwrap_or_default();
    let after = data.get(end..).unwrap_or_default();
    let word = data.get(start..end).unwrap_or_default();
    let quoted = before.last().is_some_and(|b| is_quote(*b));
    let is_end = word.ends_with(b"_") || word.starts_with(b"_");
    if quoted && is_end && after.first().is_some_and(|b| is_quote(*b)) {
        return true;
    }
    // The other part comes from where the macro is used.
    if before.trim_ascii_end().ends_with(b"##") || after.trim_ascii_start().starts_with(b"##") {
        return true;
    }
    if is_c {
        let line = before.rsplit(|&b| b == b'\n').next().unwrap_or_default();
        let line = line.trim_ascii_start();
        let rest = line
            .strip_prefix(b"#")
            .unwrap_or_default()
            .trim_ascii_start();
        let is_spliced = line.is_empty() && before.trim_ascii_end().ends_with(b"\\");
        let is_body = is_spliced
            || rest.starts_with(b"define") && line.ends_with(b" ") | line.ends_with(b"\t");
        let next = after.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r'));
        return is_body && matches!(next, None | Some(b'\n' | b'/'));
    }
    let lead = match quoted {
        true => before.split_last().map_or(before, |(_, rest)| rest),
        false => before,
    };
    let is_set = lead.trim_ascii_end().ends_with(b"=") || lead.trim_ascii_end().ends_with(b":");
    is_set
        || matches!(
            before,
            [
                ..,
                b'^' | b'$',
                b'/' | b',' | b'|' | b'!' | b'#' | b'@' | b':'
            ]
        )
}

fn is_format(after: &[u8]) -> bool {
    matches!(
        after,
        [
            b'%',
            b's' | b'd' | b'i' | b'u' | b'x' | b'c' | b'l' | b'(' | b'1'..=b'9',
            ..
        ]
    )
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `$x`, `${x}`, `$(x)`, `@x@`, `%s`, `\1`, `"$x`, `" + x`, `#{x}`.
fn hole_after(word: &[u8], after: &[u8], is_python: bool) -> bool {
    match after {
        [b'$', next, ..] => is_word(*next) || matches!(next, b'{' | b'(' | b'*' | b'@'),
        [b'@', rest @ ..] => {
            let name = rest.iter().take_while(|b| is_word(**b)).count();
            name > 0 && rest.get(name) == Some(&b'@')
        }
        [b'\\', b'0'..=b'9', ..] | [b'#', b'{', ..] => true,
        [b'&', ..] => word.ends_with(b"_"),
        [b'{', ..] => is_python,
        [quote, b'$' | b'@', ..] if is_quote(*quote) => true,
        [quote, rest @ ..] if is_quote(*quote) => joined(rest.trim_ascii_start()),
        _ => is_format(after),
    }
}

/// Whether what follows a string joins it with another.
fn joined(rest: &[u8]) -> bool {
    match rest {
        [b'+', next, ..] => *next != b'+',
        // awk
        [b'$', next, ..] => is_word(*next),
        [b'.', next, ..] => *next == b' ' || *next == b'$' || *next == b'.' || *next == b'"',
        [b'~', ..] => true,
        _ => false,
    }
}

fn hole_before(before: &[u8], is_python: bool) -> bool {
    let Some((&last, rest)) = before.split_last() else {
        return false;
    };
    let opened = |open: u8, lead: &[u8]| {
        let at = rest.iter().rposition(|&byte| byte == open);
        at.is_some_and(|at| {
            let lead_at = at.checked_sub(1).and_then(|at| rest.get(at));
            lead_at.is_some_and(|byte| lead.contains(byte))
        })
    };
    match last {
        b'}' => is_python || opened(b'{', b"$#@"),
        b')' => opened(b'(', b"$"),
        b'@' => {
            let name = rest.iter().rev().take_while(|b| is_word(**b)).count();
            name > 0 && rest.len() > name && rest.get(rest.len() - name - 1) == Some(&b'@')
        }
        b'0'..=b'9' => {
            let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
            rest.get(..rest.len() - digits)
                .is_some_and(|rest| rest.ends_with(b"$") || rest.ends_with(b"\\"))
        }
        quote if is_quote(quote) => {
            // `"$x"name`, `x + "name"`.
            let variable = rest.last().is_some_and(|b| is_word(*b) || *b == b'}') && {
                let name = rest.iter().rev().take_while(|b| is_word(**b)).count();
                let at = rest.len() - name;
                rest.last() == Some(&b'}') || rest.get(..at).is_some_and(|r| r.ends_with(b"$"))
            };
            let joins = rest.trim_ascii_end();
            let joins = joins.ends_with(b"+")
                || joins.ends_with(b" .")
                || joins.ends_with(b"..")
                || joins.ends_with(b"~");
            variable || joins
        }
        _ => false,
    }
}
