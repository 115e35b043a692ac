# The package set: ordinary packages, none of which knows of indirection.
{ mkDerivation, sources, changes ? { } }:
let
  package = source: attrs:
    let
      from = sources.${source};
      base =
        if !(sources ? ${source}) then { pname = source; version = "1"; src = ./. + "/${source}"; } // attrs
        else {
          pname = source;
          version = builtins.replaceStrings [ "+dfsg2" "+dfsg" ".dfsg" ] [ "" "" "" ] from.version;
          src = builtins.path { inherit (from) path sha256; recursive = false; name = baseNameOf from.path; };
        } // attrs;
    in
    mkDerivation (base // (changes.${source} or (_: { })) base);

  isFull = sources ? openssl;

  slice = {
    # Tests compile it again and again, and nobody runs that one for long.
    zlib = package "zlib" ({ indirLibrary = true; } // (if isFull then { } else { CFLAGS = "-O1"; }));
    # A library and programs in outputs of their own.
    xz = package "xz-utils" {
      pname = "xz";
      outputs = [ "bin" "out" "dev" ];
      configureFlags = "--disable-static --disable-nls --disable-doc --bindir=\${bin}/bin";
    };
    lzip = package "lzip" { configureFlags = "CXX=g++"; doCheck = true; };
    # Runs itself while it is built.
    file = package "file" {
      buildInputs = with slice; [ zlib xz ];
      configureFlags = "--disable-libseccomp --disable-bzlib --disable-zstdlib --disable-lzlib --disable-static";
    };
    # Plugins (loadable extensions) and helper programs (libexec/awk).
    gawk = package "gawk" {
      configureFlags = "--without-readline --without-mpfr --disable-nls";
      # Debian's tarball lacks the manual, and the examples that are made from it.
      preBuild = "for dir in doc awklib; do printf 'all install:\\n' >$dir/Makefile; done";
    };
    # A helper program, a plugin, a wrapper: see parts/.
    parts = package "parts" {
      buildInputs = with slice; [ zlib ];
      unpackPhase = "cp -r $src source; chmod -R u+w source; cd source";
      makeFlags = "PREFIX=\${out}";
    };
    hello = package "hello" { configureFlags = "--disable-nls"; doCheck = true; };
  };

  full = rec {
    inherit (slice) zlib xz;
    expat = package "expat" {
      outputs = [ "bin" "out" "dev" ];
      preConfigure = "cd expat; autoreconf -fi";
      configureFlags = "--without-docbook --without-examples --without-tests --disable-static --bindir=\${bin}/bin";
    };
    bzip2 = package "bzip2" {
      configurePhase = ":";
      buildPhase = "make -f Makefile-libbz2_so; make bzip2 bzip2recover";
      installPhase = ''
        make install PREFIX=$out
        cp -a libbz2.so.* $out/lib
        ln -s libbz2.so.1.0 $out/lib/libbz2.so
        rm $out/lib/libbz2.a
      '';
    };
    zstd = package "libzstd" {
      pname = "zstd";
      configurePhase = ":";
      buildPhase = "make -C lib -j$NIX_BUILD_CORES lib; make -C programs -j$NIX_BUILD_CORES zstd";
      installPhase = "make -C lib install PREFIX=$out; make -C programs install PREFIX=$out; rm $out/lib/*.a";
    };
    lz4 = package "lz4" { configurePhase = ":"; makeFlags = "PREFIX=\${out} BUILD_STATIC=no"; };
    pcre2 = package "pcre2" { configureFlags = "--disable-static"; };
    ncurses = package "ncurses" {
      configureFlags = "--with-shared --without-debug --without-ada --without-cxx-binding --without-manpages --without-tests --enable-widec --enable-pc-files";
      preConfigure = "configureFlags=\"$configureFlags --with-pkg-config-libdir=$out/lib/pkgconfig\"";
      postInstall = ''
        for name in ncurses form panel menu; do ln -s lib''${name}w.so $out/lib/lib$name.so; done
        ln -s libncursesw.so $out/lib/libtinfo.so
        (cd $out/include && ln -s ncursesw/* .)
        rm $out/lib/*.a
      '';
    };
    readline = package "readline" {
      outputs = [ "out" "dev" ];
      propagatedBuildInputs = [ ncurses ];
      configureFlags = "--disable-static --disable-install-examples";
      makeFlags = "SHLIB_LIBS=-lncursesw";
    };
    onig = package "libonig" { pname = "onig"; preConfigure = "autoreconf -fi"; configureFlags = "--disable-static"; };
    openssl = package "openssl" {
      configurePhase = "perl ./Configure linux-x86_64 shared no-tests --prefix=$out --libdir=lib --openssldir=$out/etc/ssl";
      buildPhase = "make -j$NIX_BUILD_CORES build_sw";
      installPhase = "make install_sw; rm $out/lib/*.a";
    };
    libxml2 = package "libxml2" {
      outputs = [ "bin" "out" "dev" ];
      propagatedBuildInputs = [ zlib xz ];
      configureFlags = "--disable-static --without-python --bindir=\${bin}/bin";
    };
    sqlite = package "sqlite3" {
      pname = "sqlite";
      buildInputs = [ readline zlib ];
      configureFlags = "--disable-static --disable-tcl --disable-amalgamation --enable-readline";
    };
    curl = package "curl" {
      buildInputs = [ openssl zlib zstd ];
      outputs = [ "bin" "out" "dev" ];
      configureFlags = "--disable-static --disable-manual --with-openssl --with-zstd --without-libpsl --without-brotli --without-nghttp2 --without-libidn2 --disable-ldap --bindir=\${bin}/bin";
    };
    bash = package "bash" {
      buildInputs = [ readline ];
      configureFlags = "--with-installed-readline --with-curses --without-bash-malloc --disable-nls";
    };
    jq = package "jq" {
      buildInputs = [ onig ];
      preConfigure = "autoreconf -fi";
      configureFlags = "--disable-static --disable-docs --disable-maintainer-mode";
    };
    sed = package "sed" { configureFlags = "--disable-nls --without-selinux"; };
    grep = package "grep" { buildInputs = [ pcre2 ]; configureFlags = "--disable-nls"; };
    nano = package "nano" { buildInputs = [ ncurses ]; configureFlags = "--disable-nls --disable-libmagic"; };
    less = package "less" { buildInputs = [ ncurses ]; };
    tar = package "tar" { configureFlags = "--disable-nls FORCE_UNSAFE_CONFIGURE=1"; };
    diffutils = package "diffutils" { configureFlags = "--disable-nls"; };
    # Helper programs in libexec, and a script that starts the programs.
    findutils = package "findutils" { configureFlags = "--disable-nls"; };
    gzip = package "gzip" { };
    # A Rust program with a library of the set. Its build runs programs that it compiles.
    ripgrep = package "ripgrep" {
      buildInputs = [ pcre2 ];
      buildPhase = ''
        export PATH=$PATH:/rust/bin CARGO_HOME=$NIX_BUILD_TOP/cargo
        # Since Rust 1.90 the compiler asks for a linker of its own.
        if rustc -C linker-features=-lld --print cfg >/dev/null 2>&1; then
          export RUSTFLAGS="-C linker-features=-lld"
        fi
        cargo build --release --frozen --features pcre2 -j$NIX_BUILD_CORES
      '';
      installPhase = "install -D -t $out/bin target/release/rg";
    };
    patch = package "patch" { };
  };
in
slice // (if isFull then full else { })
