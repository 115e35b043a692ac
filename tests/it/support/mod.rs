//! What the tests share: scratch folders, compilers, an installed prefix.
