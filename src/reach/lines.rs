//! Calls that pass the number of a source line, which says nothing about behaviour but
//! is told in a message.

/// Which of the second to fifth 32-bit arguments is a line, of a function that reports
/// failed assertions or counts allocations: 0 is ESI, 1 EDX, 2 ECX, 3 R8D.
pub(super) fn line_argument(function: &str) -> Option<usize> {
    Some(match function {
        "ERR_set_debug" | "_gcry_bug" => 0,
        "__assert_fail"
        | "__assert_perror_fail"
        | "__assert"
        | "__libc_assert_fail"
        | "__malloc_assert"
        | "g_assertion_message"
        | "g_assertion_message_expr"
        | "g_assertion_message_cmpnum"
        | "g_assertion_message_cmpstr"
        | "g_assertion_message_error"
        | "g_warn_message"
        | "CRYPTO_malloc"
        | "CRYPTO_zalloc"
        | "CRYPTO_free"
        | "CRYPTO_strdup"
        | "CRYPTO_secure_malloc"
        | "CRYPTO_secure_zalloc"
        | "CRYPTO_secure_free"
        | "OPENSSL_die"
        | "PR_Assert"
        | "_gcry_assert_failed"
        | "log_assert_failed"
        | "log_assert_failed_return"
        | "log_assert_failed_unreachable" => 1,
        "CRYPTO_realloc"
        | "CRYPTO_memdup"
        | "CRYPTO_clear_free"
        | "CRYPTO_strndup"
        | "CRYPTO_secure_clear_free"
        | "log_internal"
        | "ThrowMagickException"
        | "LogMagickEvent"
        | "log_oom_internal" => 2,
        "CRYPTO_clear_realloc" | "_gnutls_log" => 3,
        _ => return None,
    })
}
