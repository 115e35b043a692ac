//! The functions of libc that may open what /etc/nsswitch.conf names.
//!
//! Where libc itself is the same, nothing of it is looked into, and these names stand for
//! what can be reached in it: what leads to `__libc_dlopen_mode` in glibc 2.36 other than
//! for parts of glibc itself. A test compares the list with the libc at hand.

use super::graph::{Graph, OPENS};
use crate::resolve::addresses::object::LoadedObject;

/// Their names, sorted.
pub const FUNCTIONS: &[&str] = &[
    "__getlogin_r_chk",
    "__idna_from_dns_encoding",
    "__idna_to_dns_encoding",
    "__internal_endnetgrent",
    "__internal_getnetgrent_r",
    "__internal_setnetgrent",
    "__ivaliduser",
    "__nss_disable_nscd",
    "__nss_group_lookup2",
    "__nss_hosts_lookup2",
    "__nss_lookup",
    "__nss_lookup_function",
    "__nss_next2",
    "__nss_passwd_lookup2",
    "__nss_services_lookup2",
    "_authenticate",
    "authdes_create",
    "authdes_getucred",
    "authdes_pk_create",
    "callrpc",
    "clnt_create",
    "clntraw_create",
    "cuserid",
    "endaliasent",
    "endgrent",
    "endhostent",
    "endnetent",
    "endnetgrent",
    "endprotoent",
    "endpwent",
    "endrpcent",
    "endservent",
    "endsgent",
    "endspent",
    "ether_hostton",
    "ether_ntohost",
    "getaddrinfo",
    "getaddrinfo_a",
    "getaliasbyname",
    "getaliasbyname_r",
    "getaliasent",
    "getaliasent_r",
    "getgrent",
    "getgrent_r",
    "getgrgid",
    "getgrgid_r",
    "getgrnam",
    "getgrnam_r",
    "getgrouplist",
    "gethostbyaddr",
    "gethostbyaddr_r",
    "gethostbyname",
    "gethostbyname2",
    "gethostbyname2_r",
    "gethostbyname_r",
    "gethostent",
    "gethostent_r",
    "gethostid",
    "getlogin",
    "getlogin_r",
    "getnameinfo",
    "getnetbyaddr",
    "getnetbyaddr_r",
    "getnetbyname",
    "getnetbyname_r",
    "getnetent",
    "getnetent_r",
    "getnetgrent",
    "getnetgrent_r",
    "getprotobyname",
    "getprotobyname_r",
    "getprotobynumber",
    "getprotobynumber_r",
    "getprotoent",
    "getprotoent_r",
    "getpublickey",
    "getpw",
    "getpwent",
    "getpwent_r",
    "getpwnam",
    "getpwnam_r",
    "getpwuid",
    "getpwuid_r",
    "getrpcbyname",
    "getrpcbyname_r",
    "getrpcbynumber",
    "getrpcbynumber_r",
    "getrpcent",
    "getrpcent_r",
    "getrpcport",
    "getsecretkey",
    "getservbyname",
    "getservbyname_r",
    "getservbyport",
    "getservbyport_r",
    "getservent",
    "getservent_r",
    "getsgent",
    "getsgent_r",
    "getsgnam",
    "getsgnam_r",
    "getspent",
    "getspent_r",
    "getspnam",
    "getspnam_r",
    "glob",
    "glob64",
    "initgroups",
    "innetgr",
    "iruserok",
    "iruserok_af",
    "key_decryptsession",
    "key_decryptsession_pk",
    "key_encryptsession",
    "key_encryptsession_pk",
    "key_get_conv",
    "key_secretkey_is_set",
    "key_setnet",
    "key_setsecret",
    "netname2user",
    "rcmd",
    "rcmd_af",
    "rexec",
    "rexec_af",
    "ruserok",
    "ruserok_af",
    "setaliasent",
    "setgrent",
    "sethostent",
    "setnetent",
    "setnetgrent",
    "setprotoent",
    "setpwent",
    "setrpcent",
    "setservent",
    "setsgent",
    "setspent",
    "svc_getreq",
    "svc_getreq_common",
    "svc_getreq_poll",
    "svc_getreqset",
    "svc_run",
    "wordexp",
];

/// Whether a function of this name is one of them.
pub(super) fn opens(name: &[u8]) -> bool {
    let found = FUNCTIONS.binary_search_by(|function| function.as_bytes().cmp(name));
    found.is_ok()
}

/// The names of functions of `object`, which is a libc with this graph, that open others.
pub fn openers(object: &LoadedObject, graph: &Graph) -> Vec<String> {
    let mut users: Vec<Vec<u32>> = vec![Vec::new(); graph.len()];
    for (index, _) in graph.atoms.iter().enumerate() {
        let index = index as u32;
        for &to in graph.edges(index) {
            let import = graph.imports.get(&to);
            // What libc asks for itself it has itself, if nobody is before it.
            let own = import.and_then(|import| graph.export(import.symbol));
            if let Some(users) = users.get_mut(own.unwrap_or(to) as usize) {
                users.push(index);
            }
        }
    }
    let all = graph.atoms.iter().zip(0_u32..);
    let mut reached: Vec<bool> = all.map(|(atom, _)| atom.flags & OPENS != 0).collect();
    let starts = reached.iter().zip(0_u32..).filter(|(opens, _)| **opens);
    let mut queue: Vec<u32> = starts.map(|(_, index)| index).collect();
    while let Some(index) = queue.pop() {
        for &user in users.get(index as usize).into_iter().flatten() {
            if let Some(reached) = reached.get_mut(user as usize)
                && !*reached
            {
                *reached = true;
                queue.push(user);
            }
        }
    }
    let opens = |atom: u32| reached.get(atom as usize).copied().unwrap_or(false);
    let symbols = graph.exports.iter().filter(|(_, place)| opens(place.0));
    let names = symbols.filter_map(|(&symbol, _)| object.symbol_name(symbol));
    let mut names: Vec<String> = names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}
