//! The rules by which `diff` decides, each with its class, its name and why.
//!
//! They are what `indir abi diff` prints and what docs/stubs.md lists.

use serde::Serialize;

/// How much a change, or all of them together, matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Nothing changed.
    Equal,
    /// Something is there that was not.
    Added,
    /// Something changed that no client of the old library can tell.
    Compatible,
    /// A client of the old library may fail with the new one.
    Incompatible,
}

macro_rules! rules {
    ($($name:ident $class:ident $code:literal $why:literal)*) => {
        /// The rule that decided on a change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Rule {
            $(#[doc = $why] $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The class of every change that it decides on.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }

            /// Its name in JSON and in the documentation.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Why it is so, in one line.
            pub fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)* }
            }
        }
    };
}

rules! {
    Machine Incompatible "machine" "a program cannot mix machines or their calling conventions"
    Soname Incompatible "soname" "clients ask for the library by its old name"
    SymbolRemoved Incompatible "symbol-removed" "a client that uses it does not start, or stops at the first call"
    VersionRemoved Incompatible "version-removed" "ld.so refuses to start a client that needs the version"
    Kind Incompatible "kind" "code, data, thread-local data and numbers are reached in different ways"
    SizeGrown Incompatible "size-grown" "a client that copied the object has no room for the rest"
    SizeShrunk Incompatible "size-shrunk" "a client may use what is no longer there"
    AlignGrown Incompatible "align-grown" "a client's copy may be aligned too weakly"
    Writable Incompatible "writable" "a client's copy lies in memory that is read-only after start"
    Protected Incompatible "protected" "the library would not use a client's copy"
    AliasLost Incompatible "alias-lost" "a client that copied the object made one copy for both names"
    AliasGained Incompatible "alias-gained" "a client that copied one object leaves the library with the other"
    SymbolFlags Incompatible "symbol-flags" "the machine calls such symbols in different ways"
    MustProvide Incompatible "must-provide" "a client that does not define it does not start"
    SymbolAdded Added "symbol-added" "no old client uses it"
    VersionAdded Added "version-added" "no old client needs it"
    Demoted Compatible "demoted" "ld.so finds `name@VERSION` whether it is the default or not"
    Promoted Compatible "promoted" "ld.so finds `name@VERSION` whether it is the default or not"
    BaseAccepted Compatible "base-accepted" "ld.so accepts a definition without version for a version that the library defines"
    VersionGained Compatible "version-gained" "ld.so gives a reference without version the default one"
    Binding Compatible "binding" "ld.so treats weak and global definitions alike"
    Label Compatible "label" "ld.so does not look at the type of code and data labels"
    TlsGrown Compatible "tls-grown" "thread-local objects are never copied"
    AlignShrunk Compatible "align-shrunk" "a client's copy is aligned more strictly than needed"
    ReadOnly Compatible "read-only" "a client's copy stays writable"
    Unprotected Compatible "unprotected" "definitions that can be interposed serve as well"
    NeedNotProvide Compatible "need-not-provide" "a definition that nobody asks for does no harm"
    MayProvide Compatible "may-provide" "a weak reference may stay undefined"
    Needed Compatible "needed" "which libraries it loads is its own affair"
    VersionNode Compatible "version-node" "ld.so does not use inheritance, or the weakness of a definition"
    LinkerMarker Compatible "linker-marker" "each program has its own, made by its link, whatever its libraries have"
    Property Compatible "property" "linkers look at it, ld.so checks the real library"
    Warning Compatible "warning" "only linkers print it"
}
