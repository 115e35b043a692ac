//! Words as small numbers: each distinct text is stored once.
//!
//! Marks and keywords that the splitter looks for have constants. This module must not
//! know what a word means.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// A hasher for numbers that nobody chose to be unkind: names, and digests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quick(u64);

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

/// Something by name.
pub(super) type ByName<T> = HashMap<Name, T, BuildHasherDefault<Quick>>;
/// Names, each once.
pub(super) type NameSet = HashSet<Name, BuildHasherDefault<Quick>>;

/// A word, mark, number or literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(u32);

pub(super) use known::*;

/// Texts that have constants, in the order of their numbers.
mod known {
    #![expect(
        dead_code,
        reason = "most keywords are told by the range that they lie in"
    )]

    use super::Name;

    macro_rules! known {
    ($($name:ident $text:literal),* $(,)?) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "they count constants")]
        enum Count { $($name),* }
        pub(super) const KNOWN: &[&str] = &[$($text),*];
        $(pub(in super::super) const $name: Name = Name(Count::$name as u32);)*
    };
}

    known! {
        OPEN "(", CLOSE ")", OPEN_SQUARE "[", CLOSE_SQUARE "]", OPEN_BRACE "{", CLOSE_BRACE "}",
        SEMICOLON ";", COMMA ",", EQUAL "=", COLON ":", SCOPE "::", PASTE "##", HASH "#", STAR "*",
        LESS "<", GREATER ">", ELLIPSIS "...", ARROW "->", DOT ".", CARET "^", AMPERSAND "&",
        // Keywords of C and C++: KEYWORDS names the last.
        STRUCT "struct", UNION "union", ENUM "enum", CLASS "class", EXTERN "extern",
        NAMESPACE "namespace", INLINE "inline", OPERATOR "operator", TYPEDEF "typedef",
        TEMPLATE "template", USING "using", FRIEND "friend", CONCEPT "concept",
        ATTRIBUTE "__attribute__", ATTRIBUTE_ "__attribute", DECLSPEC "__declspec",
        ASM "asm", ASM_ "__asm", ASM__ "__asm__", ALIGNAS "alignas", ALIGNAS_ "_Alignas",
        NOEXCEPT "noexcept", THROW "throw", DECLTYPE "decltype", TYPEOF "typeof",
        TYPEOF_ "__typeof", TYPEOF__ "__typeof__", PRAGMA_ "_Pragma", PRAGMA__ "__pragma",
        STATIC_ASSERT "static_assert", STATIC_ASSERT_ "_Static_assert",
        K_AUTO "auto", K_BREAK "break", K_CASE "case", K_CHAR "char", K_CONST "const",
        K_CONTINUE "continue", K_DEFAULT "default", K_DO "do", K_DOUBLE "double", K_ELSE "else",
        K_FLOAT "float", K_FOR "for", K_GOTO "goto", K_IF "if", K_INT "int", K_LONG "long",
        K_REGISTER "register", K_RESTRICT "restrict", K_RESTRICT_ "__restrict",
        K_RESTRICT__ "__restrict__", K_RETURN "return", K_SHORT "short", K_SIGNED "signed",
        K_SIZEOF "sizeof", K_STATIC "static", K_SWITCH "switch", K_UNSIGNED "unsigned",
        K_VOID "void", K_VOLATILE "volatile", K_WHILE "while", K_INLINE_ "__inline",
        K_INLINE__ "__inline__", K_CONST_ "__const", K_CONST__ "__const__",
        K_VOLATILE_ "__volatile__", K_VOLATILE__ "__volatile", K_SIGNED_ "__signed__",
        K_EXTENSION "__extension__", K_NORETURN "_Noreturn",
        K_THREAD "_Thread_local", K_THREAD_ "__thread", K_THREAD__ "thread_local",
        K_ATOMIC "_Atomic", K_VIRTUAL "virtual", K_EXPLICIT "explicit", K_CONSTEXPR "constexpr",
        K_MUTABLE "mutable", K_TYPENAME "typename", K_PUBLIC "public", K_PRIVATE "private",
        K_PROTECTED "protected", K_NEW "new", K_DELETE "delete", K_THIS "this",
        K_CONSTEVAL "consteval", K_CONSTINIT "constinit", K_REQUIRES "requires",
        // Types without a declaration.
        K_BOOL "_Bool", K_COMPLEX "_Complex", K_VA_LIST "__builtin_va_list", K_INT128 "__int128",
        K_FLOAT128 "__float128",
        // Words of directives.
        IF "#if", IFDEF "ifdef", IFNDEF "ifndef", ELIF "elif", ELSE "#else", ENDIF "endif",
        ELIFDEF "elifdef", ELIFNDEF "elifndef", DEFINE "define", UNDEF "undef",
        INCLUDE "include", INCLUDE_NEXT "include_next", IMPORT "import", EMBED "embed",
        PRAGMA "pragma", ERROR "error", WARNING "warning",
        DEFINED "defined", VA_ARGS "__VA_ARGS__", VA_OPT "__VA_OPT__", LINE "__LINE__",
        TEXT "\"\"", NOT "!",
    }
}

/// The last keyword that is no name of anything.
const KEYWORDS: Name = K_FLOAT128;

impl Name {
    /// Whether it is a word of the language, which declares and uses nothing.
    pub(super) fn is_keyword(self) -> bool {
        self.0 >= STRUCT.0 && self.0 <= KEYWORDS.0
    }

    /// Whether a parenthesis after it belongs to an attribute, not to a declarator.
    pub(super) fn is_attribute(self) -> bool {
        self.0 >= ATTRIBUTE.0 && self.0 <= PRAGMA__.0
    }

    /// Whether it can stand before a type, so that what follows is none's name.
    pub(super) fn is_qualifier(self) -> bool {
        matches!(
            self,
            K_CONST
                | K_CONST_
                | K_CONST__
                | K_VOLATILE
                | K_VOLATILE_
                | K_VOLATILE__
                | K_RESTRICT
                | K_RESTRICT_
                | K_RESTRICT__
                | K_REGISTER
                | K_STATIC
                | K_EXTENSION
                | K_ATOMIC
                | STRUCT
                | UNION
                | ENUM
                | CLASS
                | K_TYPENAME
                | TYPEDEF
                | EXTERN
                | INLINE
                | K_INLINE_
                | K_INLINE__
        )
    }
}

/// All texts met so far.
#[derive(Debug)]
pub(super) struct Names {
    by_text: HashMap<Rc<[u8]>, Name>,
    texts: Vec<Rc<[u8]>>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self {
            by_text: HashMap::new(),
            texts: Vec::new(),
        };
        for text in KNOWN {
            names.name(text.as_bytes());
        }
        names
    }
}

impl Names {
    /// The name of `text`.
    pub(super) fn name(&mut self, text: &[u8]) -> Name {
        if let Some(&name) = self.by_text.get(text) {
            return name;
        }
        let text: Rc<[u8]> = text.into();
        // Inputs are capped far below this many texts.
        let name = Name(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(Rc::clone(&text));
        self.by_text.insert(text, name);
        name
    }

    /// The name of `text` if it was met.
    pub(super) fn known(&self, text: &[u8]) -> Option<Name> {
        self.by_text.get(text).copied()
    }

    /// The text of a name.
    pub(super) fn text(&self, name: Name) -> &[u8] {
        self.texts
            .get(name.0 as usize)
            .map_or(&[], |text| text.as_ref())
    }

    /// The text of a name for people.
    pub(super) fn shown(&self, name: Name) -> String {
        String::from_utf8_lossy(self.text(name)).into_owned()
    }
}

/// Sorts a list of names, each once.
pub(super) fn sort(list: &mut Vec<Name>) {
    list.sort_unstable();
    list.dedup();
}
