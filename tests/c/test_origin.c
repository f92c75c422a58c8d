/* SPDX-License-Identifier: MIT */
/* Origins: which are the same, and which are none. */
#include "protocol/origin.h"

#include "support.h"

static void
test_origin_is_that_of_the_host(void **state)
{
    (void)state;
    const struct {
        const char *origin, *scheme, *host;
        bool is_allowed;
    } rows[] = {
        {"http://example.com", "http", "example.com", true},
        {"http://example.com:80", "http", "example.com", true},
        {"http://example.com", "http", "example.com:80", true},
        {"HTTP://Example.COM", "http", "example.com", true},
        {"https://example.com", "https", "example.com:443", true},
        {"http://localhost:8000", "http", "localhost:8000", true},
        {"http://[::1]:8000", "http", "[::1]:8000", true},
        {"http://example.com", "https", "example.com", false},
        {"https://example.com", "http", "example.com", false},
        {"https://example.com", "http", "example.com:443", false},
        {"http://example.com:8000", "http", "example.com", false},
        {"http://example.com", "http", "example.com:8000", false},
        {"http://a.example.com", "http", "example.com", false},
        {"http://example.com.evil", "http", "example.com", false},
        {"http://evil", "http", "example.com", false},
        {"http://example.com", "http", "", false},
        {"http://example.com", "http", "example.com,evil", false},
        {"http://example.com", "http", "example.com:", false},
        {"http://example.com:0", "http", "example.com:0", false},
        {"null", "http", "null", false},
        {"", "http", "", false},
        {"example.com", "http", "example.com", false},
        {"http://example.com/", "http", "example.com", false},
        {"http://user@example.com", "http", "example.com", false},
        {"http://example.com http://evil", "http", "example.com", false},
    };
    fq_origins origins = {.allows_same = true};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(fq_origins_allow(&origins, fq_str_of(rows[i].origin),
                                          fq_str_of(rows[i].scheme),
                                          fq_str_of(rows[i].host)),
                         rows[i].is_allowed);
    assert_false(fq_origins_allow(&origins, FQ_STR_LIT("http://x"),
                                  FQ_STR_LIT("http"), fq_str_make(NULL, 0)));
    char host[400];
    memset(host, 'a', sizeof(host));
    assert_false(fq_origins_allow(&origins, FQ_STR_LIT("http://x"),
                                  FQ_STR_LIT("http"),
                                  fq_str_make(host, sizeof(host))));
}

static void
test_origin_is_one_of_a_list(void **state)
{
    (void)state;
    fq_origin items[2];
    assert_int_equal(
        fq_origin_parse(FQ_STR_LIT("https://app.example.com"), &items[0]),
        FQ_OK);
    assert_int_equal(
        fq_origin_parse(FQ_STR_LIT("chrome-extension://abc_d"), &items[1]),
        FQ_OK);
    fq_origins origins = {.items = items, .n_items = 2};
    const struct {
        const char *origin;
        bool is_allowed;
    } rows[] = {
        {"https://app.example.com", true},
        {"https://app.example.com:443", true},
        {"https://app.example.com:444", false},
        {"http://app.example.com", false},
        {"chrome-extension://abc_d", true},
        {"chrome-extension://abc_d:80", false},
        {"https://asked", false},
        {"null", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(fq_origins_allow(&origins, fq_str_of(rows[i].origin),
                                          FQ_STR_LIT("https"),
                                          FQ_STR_LIT("asked")),
                         rows[i].is_allowed);
    origins.allows_opaque = true;
    assert_true(fq_origins_allow(&origins, FQ_STR_LIT("null"),
                                 FQ_STR_LIT("https"), FQ_STR_LIT("asked")));
    origins.allows_all = true;
    assert_true(fq_origins_allow(&origins, FQ_STR_LIT("anything"),
                                 FQ_STR_LIT("https"), FQ_STR_LIT("asked")));
}

static void
test_origin_refuses_what_is_none(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",           "https",         "https:",          "https://",
        "://host",    "1http://host",  "https://host:",   "https://host:99999",
        "https://[",  "https://[]",    "https://[::1",    "https://[::1]x",
        "https://h/", "https://h?q",   "https://h#f",     "https://u:p@h",
        "https:/h",   "ht tp://h",     "https://h:80:80", "https://h\xc3\xa4",
        "*",          "https://*.com", "a_b://host",
    };
    fq_origin origin;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(fq_origin_parse(fq_str_of(texts[i]), &origin),
                         FQ_ERR_INVALID);
    char text[FQ_ORIGIN_TEXT_MAX + 1];
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://", 7);
    assert_int_equal(fq_origin_parse(fq_str_make(text, sizeof(text)), &origin),
                     FQ_ERR_INVALID);
    assert_int_equal(
        fq_origin_parse(fq_str_make(text, sizeof(text) - 1), &origin), FQ_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_origin_is_that_of_the_host),
        FQ_TEST(test_origin_is_one_of_a_list),
        FQ_TEST(test_origin_refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
