//! What is known of a file of a source by its name.
//!
//! In doubt a file is code: what is taken for a comment or a document hides how names are
//! put together and which versions are asked for.

/// What is known of a file by its name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    /// It has C's comments, strings and macros.
    pub(super) is_c: bool,
    /// It is for people.
    pub(super) is_document: bool,
    /// Braces in strings are holes.
    pub(super) is_python: bool,
    /// It is for m4: `PKG_CHECK_MODULES` is not CMake's.
    pub(super) is_m4: bool,
}

/// Extensions of files with C's comments. Not `inc`, `def` and `m`, which others have too:
/// `src/*.c` in a Makefile.inc begins no comment.
const C: &[&str] = &[
    "c", "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "C", "H", "y", "l", "yy", "ll", "mm", "inl",
    "ipp", "tcc", "tpp", "c++", "h++",
];
/// Extensions of documents. No name without one counts: `changeset.c` is none.
const DOCUMENTS: &[&str] = &[
    "md", "rst", "po", "pot", "html", "htm", "texi", "texinfo", "xhtml", "svg", "css", "adoc",
    "docbook", "tex",
];
/// Names of documents that have no extension.
const PLAIN_DOCUMENTS: &[&str] = &[
    "ChangeLog",
    "NEWS",
    "README",
    "AUTHORS",
    "COPYING",
    "THANKS",
    "TODO",
    "BUGS",
    "INSTALL",
    "LICENSE",
];

/// What the name of a file tells.
pub(super) fn style(path: &str) -> Style {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".in").unwrap_or(name);
    let Some((_, extension)) = name.rsplit_once('.') else {
        return Style {
            is_document: PLAIN_DOCUMENTS.contains(&name),
            is_m4: name == "configure",
            ..Style::default()
        };
    };
    Style {
        is_c: C.contains(&extension),
        is_document: DOCUMENTS.contains(&extension),
        is_python: extension == "py",
        is_m4: matches!(extension, "ac" | "m4"),
    }
}
