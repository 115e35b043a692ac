{
  description = "Packages that are compiled against ABI stubs and find their libraries by tables of their environment";

  # No inputs: nixpkgs, where it is used, is the caller's.
  outputs = { self }: {
    # An indirect nixpkgs from a tree of it; and the parts, for other package sets.
    lib.nixpkgs = import ./nixpkgs.nix;
    lib.forShell = import ./default.nix;

    nixosModules.default = import ./module.nix;
  };
}
