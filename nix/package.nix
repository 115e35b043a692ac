# indir from source, for nixpkgs: `callPackage ./package.nix { }`.
#
# Build it with a stdenv that does not change with the libc of the packages that it
# links (nixpkgs' bootstrap stdenv, say): it is an input of every compile derivation.
{ lib, rustPlatform, runCommandLocal }:
let
  indir = rustPlatform.buildRustPackage {
    pname = "indir";
    version = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace.package.version;
    src = lib.cleanSource ../.;
    cargoLock.lockFile = ../Cargo.lock;
    # The tests download glibc builds and need to be root.
    doCheck = false;
    # The whole prefix from the one executable: `ld` for cc -B, manual pages, shim.
    postInstall = ''
      mv $out/bin/indir indir-built
      rm -rf $out
      ./indir-built setup --prefix $out
    '';
    passthru = { inherit shim; };
    meta = {
      description = "Link against ABI stubs, reach libraries through a table";
      license = with lib.licenses; [ mit asl20 ];
      platforms = [ "x86_64-linux" ];
      mainProgram = "indir";
    };
  };
  # Shim and binder by themselves: no libc, and content-addressed, because every
  # program names their path and it must not change with the rest of indir.
  shim = runCommandLocal "indir-shim"
    {
      __contentAddressed = true;
      outputHashMode = "recursive";
      outputHashAlgo = "sha256";
    } ''
    mkdir -p $out/lib/indir
    cp ${indir}/lib/indir/ld-indir-x86-64.so.1 ${indir}/lib/indir/libindir-bind.so $out/lib/indir
  '';
in
indir
