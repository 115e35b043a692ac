# indir from source, for nixpkgs: `callPackage ./package.nix { }`; its `shim` is that
# and the binder by themselves.
#
# Build it with a stdenv that does not change with the libc of the packages that it
# links (that of `indirBaseline`, docs/nix.md): it is an input of every compile
# derivation.
{ lib, rustPlatform, runCommandLocal }:
let
  manifest = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace.package;
  # Anything else changes often, and a change would build all of it again. build.rs names
  # what it reads, which tests/it/system/scripts.rs compares. Cargo wants the
  # tests to be there, and does not compile them.
  needed = map (name: toString ../. + "/${name}")
    [ "Cargo.lock" "Cargo.toml" "benches" "build.rs" "linker-plugin" "share" "shim" "src" "tests/it/main.rs" ];
  isNeeded = path: builtins.any
    (name: path == name || lib.hasPrefix (name + "/") path || lib.hasPrefix (path + "/") name)
    needed;
  indir = rustPlatform.buildRustPackage {
    pname = "indir";
    inherit (manifest) version;
    src = lib.cleanSourceWith {
      src = lib.cleanSource ../.;
      filter = path: _: isNeeded path;
    };
    cargoLock.lockFile = ../Cargo.lock;
    # The tests download glibc builds and need to be root.
    doCheck = false;
    # Or the binder would name its folder.
    NIX_NO_SELF_RPATH = true;
    # The whole prefix from the one executable: `ld` for cc -B, manual pages, shim.
    postInstall = ''
      mv $out/bin/indir indir-built
      rm -rf $out
      ./indir-built setup --prefix $out
    '';
    passthru.shim = import ./shim.nix { run = runCommandLocal; inherit indir; };
    meta = {
      description = "Link against ABI stubs, reach libraries through a table";
      license = with lib.licenses; [ mit asl20 ];
      platforms = [ "x86_64-linux" ];
      mainProgram = "indir";
    };
  };
in
indir
