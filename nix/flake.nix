{
  description = "Packages that are compiled against ABI stubs and find their libraries by table";

  # No inputs: nixpkgs, where it is used, is the caller's.
  outputs = { self }: {
    # Everything of docs/nix.md: stubsOf, hook, bintools, withIndirection.
    lib.forShell = import ./default.nix;

    overlays.default = import ./overlay.nix;
  };
}
