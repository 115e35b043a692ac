//! `indir` in Nix: relinked packages, their upgrades, remote builders, a daemon.

mod daemon;
mod packages;
mod parts;
mod remote;
mod upgrade;
