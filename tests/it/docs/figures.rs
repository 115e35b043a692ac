//! Figures that stand in two places agree.

use super::read;

/// The numbers in a text: digits with commas and one point.
fn numbers(text: &str) -> Vec<(f64, usize)> {
    let mut numbers = Vec::new();
    for word in text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ',')) {
        let word = word.trim_matches(['.', ',']);
        let plain = word.replace(',', "");
        if let Ok(number) = plain.parse::<f64>() {
            let decimals = plain.split_once('.').map_or(0, |(_, after)| after.len());
            numbers.push((number, decimals));
        }
    }
    numbers
}

/// Whether a number of the text, in units, thousands or millions, rounds to this one.
fn says(text: &[(f64, usize)], (figure, decimals): (f64, usize)) -> bool {
    let scale = 10f64.powi(i32::try_from(decimals).unwrap());
    text.iter().any(|&(number, _)| {
        [1.0, 1e3, 1e6]
            .iter()
            .any(|unit| ((number / unit * scale).round() - figure * scale).abs() < 1e-6)
    })
}

#[test]
fn figures_of_the_readme_stand_in_the_pages_that_it_names() {
    let readme = read("README.md");
    let rows = readme
        .lines()
        .filter(|row| row.starts_with("| ") && row.ends_with(") |"));
    let rows: Vec<&str> = rows.filter(|row| row.matches(" | ").count() == 3).collect();
    assert!(rows.len() >= 4, "{rows:?}");
    for row in rows {
        let (said, pages) = row.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        let texts: Vec<String> = pages
            .split("](")
            .skip(1)
            .map(|rest| read(rest.split_once(')').unwrap().0))
            .collect();
        assert!(!texts.is_empty(), "{row}");
        let there = numbers(&texts.concat());
        for figure in numbers(said) {
            assert!(
                says(&there, figure),
                "{figure:?} is in no page that is named: {row}"
            );
        }
    }
}

/// What stands between `before` and `after` in a page, once.
fn between(page: &str, before: &str, after: &str) -> String {
    let text = read(page).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = text.split(before).skip(1).filter_map(|rest| {
        let (figure, _) = rest.split_once(after)?;
        (figure.len() < 60).then(|| figure.to_owned())
    });
    found
        .next()
        .unwrap_or_else(|| panic!("{page}: nothing between {before:?} and {after:?}"))
}

/// A page, what stands before a figure, and what behind.
type Place = (&'static str, &'static str, &'static str);

/// Quantities that several pages tell, and where.
const SAME: &[(&str, &[Place])] = &[
    (
        "packages that an installation downloads, in MB",
        &[
            ("README.md", "It is ", " MB to download"),
            ("docs/guide.md", "the packages are ", " MB to download"),
        ],
    ),
    (
        "processor time of an installation, in minutes",
        &[
            (
                "README.md",
                "MB to download and ",
                " minutes of processor time",
            ),
            (
                "docs/guide.md",
                "crates and compiles for ",
                " minutes of processor time",
            ),
        ],
    ),
    (
        "system calls of an ordinary start",
        &[
            ("docs/loader-contract.md", "An ordinary start makes ", ":"),
            (
                "docs/compatibility.md",
                "come the shim's ",
                " (loader-contract.md)",
            ),
        ],
    ),
    (
        "room of the note for further places",
        &[
            ("docs/adopt.md", "The note has ", " bytes of room"),
            ("docs/linker.md", "The note has ", " bytes of room"),
        ],
    ),
    (
        "what the wrapper adds to a link",
        &[
            ("docs/linker.md", "the limit is ", " ms"),
            (
                "docs/benchmarks.md",
                "| a link through `indir-ld` takes at most ",
                " ms more",
            ),
        ],
    ),
    (
        "lookups from which a plan is bound",
        &[
            (
                "docs/DESIGN.md",
                "that a start makes, and from ",
                " on writes",
            ),
            (
                "docs/benchmarks.md",
                "writes a bound plan from ",
                " lookups",
            ),
        ],
    ),
    (
        "programs of the whole system",
        &[
            ("README.md", "| ", " programs of Debian, ten swaps"),
            (
                "docs/compatibility.md",
                "On a Debian 12 system with ",
                " such executables",
            ),
        ],
    ),
    (
        "derivations of the tree of nixpkgs",
        &[
            (
                "docs/nix.md",
                "that the tree evaluates, ",
                " compile derivations",
            ),
            (
                "docs/rfc.md",
                "In the tree of docs/nix.md (",
                " compile derivations",
            ),
        ],
    ),
];

#[test]
fn the_same_quantity_has_one_number() {
    for (quantity, places) in SAME {
        let figures: Vec<String> = places
            .iter()
            .map(|(page, before, after)| between(page, before, after))
            .collect();
        assert!(
            figures.windows(2).all(|pair| pair[0] == pair[1]),
            "{quantity}: {figures:?} in {places:?}"
        );
    }
}

#[test]
fn figures_are_compared_in_any_unit() {
    let text = numbers("7,451,177 bytes, 51.38 ms; 975.");
    for figure in ["7.5", "51.38", "975", "51.4", "7451"] {
        assert!(says(&text, numbers(figure)[0]), "{figure}");
    }
    for figure in ["7.4", "976", "51.37"] {
        assert!(!says(&text, numbers(figure)[0]), "{figure}");
    }
}
